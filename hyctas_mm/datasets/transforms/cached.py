"""Decoded images kept in memory."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from hyctas_mm.errors import BadValue
from hyctas_mm.registry import TRANSFORMS

Sample = dict[str, Any]


@dataclass
class _Store:
    samples: dict[str, Sample] = field(default_factory=dict)
    num_bytes: int = 0


_STORE = _Store()
"""Samples by transforms and what these were given. One for the process, so that a second training finds the images of
the first one.
"""


@TRANSFORMS.register_module()
class Cached(BaseTransform):
    """Applies transforms once to each sample of a process and copies what they made after that.

    For transforms at the beginning of a pipeline that draw nothing at random: reading, decoding, checking. Files are
    taken not to change while the process lives. Each worker process of a data loader has samples of its own, so
    ``max_bytes`` counts for each; with ``num_workers=0`` and several trainings in a process they share them.

    Args:
        transforms: The transforms.
        max_bytes: Bytes of decoded images to keep in the process; samples beyond are made again each time.

    Raises:
        ValueError: If ``max_bytes`` is negative.

    Example:
        >>> load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
        >>> pipeline = [dict(type='Cached', transforms=load), dict(type='RandomFlip', prob=0.5)]
    """

    def __init__(self, transforms: Sequence[Mapping[str, Any]], max_bytes: int = 2**30) -> None:
        if max_bytes < 0:
            raise BadValue(f'Cached: max_bytes={max_bytes}; expected 0 or more, e.g. {2**30}')
        self.transforms, self.max_bytes = Compose([dict(cfg) for cfg in transforms]), max_bytes
        self._recipe = repr(transforms)

    def transform(self, results: Sample) -> Sample | None:
        key = f'{self._recipe} {sorted(results.items())}'
        if key not in _STORE.samples:
            made = self.transforms(results)
            num_bytes = sum(value.nbytes for value in (made or {}).values() if isinstance(value, np.ndarray))
            if made is None or _STORE.num_bytes + num_bytes > self.max_bytes:
                return made
            _STORE.samples[key] = made
            _STORE.num_bytes += num_bytes
        return {name: copy.copy(value) for name, value in _STORE.samples[key].items()}

    def __repr__(self) -> str:
        return f'{type(self).__name__}(transforms={self.transforms}, max_bytes={self.max_bytes})'
