"""Tensors and numbers computed by the published HyCTAS release on random weights, see ``README.md``."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

HERE = Path(__file__).parent
LOW_LEVELS = ('none', 's4', 's4s8')


def golden_file(name: str) -> Path:
    """A golden file of this folder, or of the shared reference beside ``HYCTAS_DATA``; skips the test where it is in
    neither.
    """
    shared = Path('reference') / 'goldens'
    for folder in (HERE, Path(os.environ.get('HYCTAS_DATA', '')).parent / shared, HERE.parents[2] / 'shared' / shared):
        if (folder / name).is_file():
            return folder / name
    pytest.skip(f'{name} is not in the repository (too large), nor in reference/goldens beside HYCTAS_DATA')


@cache
def load(name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a golden file, and its meta data."""
    with np.load(golden_file(name)) as arrays:
        out = {key: arrays[key] for key in arrays.files}
    return out, json.loads(str(out.pop('meta')))


def tensors(name: str, prefix: str) -> dict[str, Tensor]:
    """The arrays whose names start with ``prefix``, without it."""
    arrays, _ = load(name)
    return {key[len(prefix) :]: torch.from_numpy(array) for key, array in arrays.items() if key.startswith(prefix)}


def assert_golden(ours: Tensor, golden: Any, what: str, tolerance: float = 1e-3) -> None:
    """Compares with the tolerance that the reference suggests: of the largest absolute value."""
    golden = torch.as_tensor(golden)
    assert ours.shape == golden.shape, f'{what}: {tuple(ours.shape)} is not {tuple(golden.shape)}'
    error = (ours - golden).abs().max().item()
    assert error <= tolerance * golden.abs().max().item(), (
        f'{what}: off by {error:.2e} of {golden.abs().max().item():.2e}'
    )
