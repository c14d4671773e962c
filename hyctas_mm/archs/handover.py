"""From a network that a search found to the one that is trained: the paper searches with filter multiplier 8 and trains
with 12 and 16, the larger networks with the stem's map at stride 4 in the head (section 4.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hyctas_mm.archs.architecture import Architecture
from hyctas_mm.archs.parts import LOW_LEVELS
from hyctas_mm.archs.search_space import SearchSpace
from hyctas_mm.errors import BadValue


@dataclass(frozen=True)
class Handover:
    """What the networks to be trained have in place of what their search gave them.

    Args:
        base_channels: Their filter multiplier.
        low_level: Their head's low-level fusion; None for the one that was found.

    Raises:
        ValueError: Naming the value and what was expected.
    """

    base_channels: int
    low_level: str | None = None

    def __post_init__(self) -> None:
        if type(self.base_channels) is not int or self.base_channels < 1:
            raise BadValue(
                f'handover: base_channels={self.base_channels!r}; expected a whole number from 1 up, e.g. 12'
            )
        if self.low_level not in (None, *LOW_LEVELS):
            raise BadValue(f'handover: low_level={self.low_level!r}; expected one of {", ".join(LOW_LEVELS)}')

    @classmethod
    def read(cls, cfg: Mapping[str, Any] | None, base_channels: int) -> Handover:
        """From a config's dict.

        Args:
            cfg: ``base_channels`` and ``low_level``, each may be missing; None for the networks as they were found.
            base_channels: The search space's, for where there is none.

        Raises:
            ValueError: For another key or a wrong value.
        """
        if cfg is not None and not isinstance(cfg, Mapping):
            raise BadValue(f"handover: {cfg!r}; expected dict(base_channels=12, low_level='s4')")
        unknown = sorted({*(cfg or {})} - {'base_channels', 'low_level'})
        if unknown:
            raise BadValue(f"handover: unknown {', '.join(unknown)}; expected dict(base_channels=12, low_level='s4')")
        return cls(**{'base_channels': base_channels, **(cfg or {})})

    @property
    def name(self) -> str:
        """For folders, e.g. ``'b16-s4'``."""
        return '-'.join([f'b{self.base_channels}', *([self.low_level] if self.low_level else [])])

    def arch(self, arch: Architecture) -> Architecture:
        """The architecture that is trained where ``arch`` was found."""
        return arch if self.low_level is None else replace(arch, low_level=self.low_level)

    def of(self, space: SearchSpace) -> dict[str, Any]:
        """Which networks are trained where ``space`` is searched, as JSON has it."""
        return dict(space=space.to_dict(), base_channels=self.base_channels, low_level=self.low_level)

    def keeps(self, arch: Architecture, base_channels: int) -> bool:
        """Whether ``arch`` is trained as it was found with ``base_channels``, so that weights found there fit."""
        return base_channels == self.base_channels and self.arch(arch) == arch
