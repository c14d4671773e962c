"""The exported networks of a search and what came of them (``subnets/<archid>/``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyctas_mm.archs import Architecture
from hyctas_mm.report.result import SearchResult, read_object
from hyctas_mm.search.archive import Candidate, SearchFileError, read_arch

_FILES = ('config.py', 'weights.pth', 'arch.json', 'arch.svg', 'model.onnx', 'results.json')


@dataclass(frozen=True)
class Subnet:
    """An exported network.

    Attributes:
        arch: The network.
        record: Its line of the archive; None for a network drawn at random for comparison.
        role: ``'chosen'`` or ``'random'``.
        costs: From the archive, else from ``results.json``.
        inherited: Scores with the supernet's weights on the whole test set, if measured.
        retrained: Scores after training from scratch (and ``iters``), if that was done; the mean of several trainings.
        by_seed: Scores of each of those trainings.
        results: All of its ``results.json``.
        files: Names of the files that exist in its folder.
    """

    arch: Architecture
    record: Candidate | None
    role: str
    costs: Mapping[str, float]
    inherited: Mapping[str, float]
    retrained: Mapping[str, float]
    by_seed: tuple[Mapping[str, float], ...]
    results: Mapping[str, Any]
    files: tuple[str, ...]


def read_subnets(result: SearchResult) -> list[Subnet]:
    """The chosen networks in their order, then the other exported ones (random ones) by id.

    Raises:
        SearchFileError: If a ``results.json`` cannot be used.
        ArchitectureError: If an ``arch.json`` cannot be used.
    """
    folder = result.path / 'subnets'
    others = sorted(p.parent.name for p in folder.glob('*/arch.json') if p.parent.name not in result.chosen)
    found = [_read_subnet(result, archid, folder / archid) for archid in (*result.chosen, *others)]
    return [s for s in found if s.arch.archid in result.chosen or s.role == 'random']


def _read_subnet(result: SearchResult, archid: str, folder: Path) -> Subnet:
    record = result.by_id.get(archid)
    arch = record.arch if record else read_arch(read_object(folder / 'arch.json'), str(folder / 'arch.json'))
    path = folder / 'results.json'
    data = read_object(path) if path.is_file() else {}
    role = 'chosen' if archid in result.chosen else str(data.get('role', 'chosen'))
    inherited, retrained, costs = (_numbers(data.get(key) or {}, key, path) for key in ('inherited', 'retrained', 'costs'))
    files = tuple(n for n in _FILES if (folder / n).is_file())
    seeds = data.get('by_seed') or {}
    if not isinstance(seeds, Mapping):
        raise SearchFileError(f'{path}: "by_seed" must map seeds to scores, got {seeds!r}; delete the file and run tools/retrain.py again')
    by_seed = tuple(_numbers(scores, f'by_seed.{seed}', path) for seed, scores in seeds.items())
    return Subnet(arch, record, role, record.costs if record else costs, inherited, retrained, by_seed, data, files)


def _numbers(data: Any, key: str, path: Path) -> dict[str, float]:
    if not isinstance(data, Mapping) or not all(isinstance(v, (int, float)) for v in data.values()):
        raise SearchFileError(f'{path}: "{key}" must map names to numbers, got {data!r}; delete the file and run tools/retrain.py again')
    return {str(k): float(v) for k, v in data.items()}
