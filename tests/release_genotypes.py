"""Genotypes of the release for architectures of ours: the inverse of ``read_release``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hyctas_mm.archs import Architecture
from hyctas_mm.archs.parts import FULL_WIDTH
from hyctas_mm.archs.release_format import KEYS, RELEASE_OPS


def write_release(arch: Architecture, order: Sequence[int] | None = None) -> dict[str, Any]:
    """The genotype of an architecture that has the release's ops only, its branches in this order (by default ours)."""
    out: dict[str, Any] = {key: [] for key in KEYS}
    for index in order if order is not None else range(len(arch.branches)):
        branch = arch.branches[index]
        downs = [int(cell.down) for cell in branch]
        out['ops'].append([RELEASE_OPS.index(cell.op) for cell in branch])
        out['paths'].append([sum(downs[:layer]) for layer in range(len(branch))])
        out['downs'].append(downs)
        out['widths'].append([cell.width / FULL_WIDTH for cell in branch[:-1]])
        out['lasts'].append(sum(downs))
    return out
