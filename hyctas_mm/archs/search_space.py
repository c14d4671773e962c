"""The set of architectures that a search may visit, and how to move in it.

An architecture is encoded as a vector of whole numbers ("genes"). Decoding repairs: *every* vector within the bounds
decodes to a valid architecture, so sampling, mutation and crossover are valid by construction and none of them ever
rejects.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from hyctas_mm.archs.architecture import Architecture
from hyctas_mm.archs.genes import GeneLayout, Genes, decode, encode
from hyctas_mm.archs.ops import SKIP
from hyctas_mm.archs.parts import (
    DETAIL_STRIDE,
    FULL_WIDTH,
    STEM_STRIDE,
    STRIDES,
    ArchitectureError,
)
from hyctas_mm.archs.problems import membership_problems, space_problems
from hyctas_mm.archs.space_size import count_branches
from hyctas_mm.errors import BadValue

_ADDED = ('nodes', 'gate_prob', 'fine_widths', 'detail_layers', 'detail_ops', 'head_depths')  # absent where not used


@dataclass(frozen=True)
class SearchSpace:
    """A multi-branch space (paper sections 3.2 to 3.4).

    NOTE(paper): it describes convolution, light convolution, attention and skip, but lists neither ops nor widths. The
    default ops are those that the release's genotypes can name, the default widths those that they have.

    Args:
        layers: Longest branch, 4..20 cells. Depth is searched through ``skip``.
        ops: Candidate ops by name. Without ``'skip'`` every branch has exactly ``layers`` cells.
        widths: Candidate output widths in twelfths.
        max_branches: 1..3.
        base_channels: The paper's filter multiplier; full width at stride 8 is ``8 * base_channels`` channels.
        stem_widths: Candidate widths of the stem; one value in the paper's space.
        head_widths: Candidate widths of the head; one value in the paper's space.
        low_levels: Candidate low-level fusions of the head.
        head_attentions: Whether the head has its attention block, which is the release's and always there.
        branch_probs: Probability of 1, 2, 3 branches in :meth:`sample` (paper section 4.2).
        nodes: Whether gates between branches are searched (paper section 3.2). NOTE(release): it has none.
        gate_prob: Probability with which :meth:`sample` opens a gate.
        fine_widths: More candidate widths of cells that write maps of stride 4 or 8, above those of ``widths``.
        detail_layers: Most cells at stride 4, 0..3. Their number is searched through ``skip``.
        detail_ops: Candidate ops of these cells. Attention over all positions is dear there.
        head_depths: Candidate numbers of 3x3 convolutions before the head's predictor.

    Raises:
        ValueError: Naming the argument, its value and what was expected.
    """

    layers: int = 12
    ops: tuple[str, ...] = (SKIP, 'conv', 'lite_conv', 'lite_conv_2x', 'attention')
    widths: tuple[int, ...] = (4, 6, 8, 10, 12)
    max_branches: int = 3
    base_channels: int = 8
    stem_widths: tuple[int, ...] = (FULL_WIDTH,)
    head_widths: tuple[int, ...] = (FULL_WIDTH,)
    low_levels: tuple[str, ...] = ('none',)
    head_attentions: tuple[bool, ...] = (True,)
    branch_probs: tuple[float, ...] = (0.2, 0.3, 0.5)
    nodes: bool = False
    gate_prob: float = 0.25
    fine_widths: tuple[int, ...] = ()
    detail_layers: int = 0
    detail_ops: tuple[str, ...] = (SKIP, 'conv', 'lite_conv')
    head_depths: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        for field in fields(self):
            if isinstance(value := getattr(self, field.name), list):
                object.__setattr__(self, field.name, tuple(value))
        for problem in space_problems(self):
            raise BadValue(f'search_space: {problem}')

    @property
    def computing(self) -> tuple[str, ...]:
        """The ops but for the skip."""
        return tuple(op for op in self.ops if op != SKIP)

    def widths_at(self, stride: int) -> tuple[int, ...]:
        """Candidate widths of cells that write maps of this stride."""
        return self.widths + self.fine_widths if stride <= STEM_STRIDE else self.widths

    def widest(self, stride: int) -> int:
        """The most twelfths that a map of this stride has in any network, 12 or more."""
        ends = self.head_widths if stride > DETAIL_STRIDE else (0,)
        stem = {STEM_STRIDE: max(self.stem_widths)}.get(stride, 0)
        return max(FULL_WIDTH, stem, *ends, *self.widths_at(stride))

    # The plain form ---------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, for configs and checkpoints."""
        absent = [f.name for f in fields(self) if f.name in _ADDED and getattr(self, f.name) == f.default]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items() if k not in absent}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any] | SearchSpace) -> SearchSpace:
        """Reads a config's dict.

        Raises:
            ValueError: For an unknown key or a wrong value.
        """
        if isinstance(data, SearchSpace):
            return data
        known = [f.name for f in fields(cls)]
        unknown = [k for k in data if k not in known]
        if unknown:
            raise BadValue(f'search_space: unknown key(s) {unknown}; expected some of {", ".join(known)}')
        options: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return cls(**options)

    # Random architectures ---------------------------------------------------------------------------------------------

    def sample(self, rng: np.random.Generator, num_branches: int | None = None) -> Architecture:
        """Draws an architecture from the paper's prior (section 3.4).

        The number of branches follows ``branch_probs`` unless given; each other gene is uniform over its choices.
        NOTE(paper): "uniform" is per decision, not per architecture: the latter would make nearly all samples as deep
        as possible.
        """
        if num_branches is None:
            probs = np.asarray(self.branch_probs[: self.max_branches])
            num_branches = 1 + int(rng.choice(self.max_branches, p=probs / probs.sum()))
        return self.decode(self._draw(rng, num_branches), num_branches)

    def _draw(self, rng: np.random.Generator, num_branches: int | None) -> Genes:
        lower, upper = self.bounds(num_branches)
        genes = rng.integers(lower, upper + 1)
        if self.nodes:
            gates = GeneLayout(self, num_branches).gates(genes)
            gates[:] = rng.random(gates.shape) < self.gate_prob
        return genes

    def mutate(
        self, arch: Architecture, rng: np.random.Generator, prob: float = 0.02, joint: bool = False
    ) -> Architecture:
        """Draws each gene anew with probability ``prob``; the number of branches stays unless ``joint``."""
        num_branches = None if joint else len(arch.branches)
        genes = self.encode(arch, num_branches)
        fresh = self._draw(rng, num_branches)
        return self.decode(np.where(rng.random(len(genes)) < prob, fresh, genes), num_branches)

    def crossover(
        self, a: Architecture, b: Architecture, rng: np.random.Generator
    ) -> tuple[Architecture, Architecture]:
        """Two-point crossover of the genes; two children. Parents may differ in their number of branches."""
        num_branches = len(a.branches) if len(a.branches) == len(b.branches) else None
        x, y = self.encode(a, num_branches), self.encode(b, num_branches)
        start, stop = sorted(rng.integers(0, len(x) + 1, size=2))
        inside = np.zeros(len(x), dtype=bool)
        inside[start:stop] = True
        return self.decode(np.where(inside, y, x), num_branches), self.decode(np.where(inside, x, y), num_branches)

    @property
    def tracks(self) -> tuple[int, ...]:
        """Numbers of branches, which the paper searches one by one (section 4.2)."""
        return tuple(range(1, self.max_branches + 1))

    def track_of(self, arch: Architecture) -> int:
        """The track that an architecture belongs to."""
        return len(arch.branches)

    # Genes ------------------------------------------------------------------------------------------------------------

    def end_combinations(self, num_branches: int | None = None) -> list[tuple[int, ...]]:
        """Final strides that a net of ``num_branches`` (any number if None) may have, e.g. ``[(8,), (16,), (32,)]``."""
        if num_branches is not None and not 1 <= num_branches <= self.max_branches:
            raise BadValue(
                f'num_branches={num_branches}; expected 1..{self.max_branches}, the max_branches of the search_space'
            )
        counts = self.tracks if num_branches is None else [num_branches]
        return [c for n in counts for c in itertools.combinations(STRIDES, n)]

    def bounds(self, num_branches: int | None = None) -> tuple[Genes, Genes]:
        """Smallest and largest value of each gene, both inclusive; ``None`` for a joint search over all numbers of
        branches.
        """
        upper = GeneLayout(self, num_branches).upper()
        return np.zeros(len(upper), dtype=np.int64), np.asarray(upper, dtype=np.int64)

    def decode(self, genes: Sequence[int] | Genes, num_branches: int | None = None) -> Architecture:
        """The architecture of a gene vector within :meth:`bounds`; never fails for one.

        Raises:
            ValueError: If the vector has another length or leaves the bounds.
        """
        lower, upper = self.bounds(num_branches)
        vector = np.asarray(genes)
        if vector.shape != upper.shape or (vector < lower).any() or (vector > upper).any():
            count = num_branches or 'any number of'
            raise BadValue(
                f'genes of shape {vector.shape} do not fit the bounds of {len(upper)} genes for {count} branches'
            )
        return decode(GeneLayout(self, num_branches), vector.astype(np.int64))

    def encode(self, arch: Architecture, num_branches: int | None = None) -> Genes:
        """Genes that decode to ``arch``.

        Args:
            arch: A member of the space.
            num_branches: The layout: that of nets with this number of branches, or the joint one if None.

        Raises:
            ArchitectureError: If the architecture is not in the space, naming why.
        """
        problems = self.violations(arch)
        if num_branches is not None and num_branches != len(arch.branches):
            problems.append(f'it has {len(arch.branches)} branches, the layout is for {num_branches}')
        if problems:
            raise ArchitectureError(problems, f'architecture {arch.archid} is not in this search space')
        return encode(GeneLayout(self, num_branches), arch)

    # Membership and size ----------------------------------------------------------------------------------------------

    def violations(self, arch: Architecture | Mapping[str, Any]) -> list[str]:
        """Every reason why ``arch`` is not in the space, one sentence each; empty if it is."""
        if not isinstance(arch, Architecture):
            try:
                arch = Architecture.from_dict(arch)
            except ArchitectureError as error:
                return error.problems
        return list(membership_problems(self, arch))

    def size(self, num_branches: int | None = None) -> int:
        """Exact number of different architectures with ``num_branches`` (in all if None)."""
        settings = (self.stem_widths, self.head_widths, self.low_levels, self.head_attentions, self.head_depths)
        detail = (len(self.detail_ops) - (SKIP in self.detail_ops)) * len(self.widths_at(DETAIL_STRIDE))
        least = 0 if SKIP in self.detail_ops else self.detail_layers
        details: int = sum(detail**n for n in range(least, self.detail_layers + 1))
        num_widths = (len(self.widths_at(STEM_STRIDE)), len(self.widths))
        choices = (self.layers, SKIP in self.ops, len(self.computing), num_widths, self.nodes)
        branches = sum(count_branches(ends, *choices) for ends in self.end_combinations(num_branches))
        return math.prod(map(len, settings)) * details * branches
