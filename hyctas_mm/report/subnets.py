"""The exported networks of a search, what came of them (``subnets/<archid>/``), and what to type to use them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from statistics import stdev
from typing import Any

from hyctas_mm.archs import Architecture
from hyctas_mm.report.doubts import better_weights
from hyctas_mm.report.result import SearchResult
from hyctas_mm.search.archive import Candidate, SearchFileError, read_arch
from hyctas_mm.search.folder import CHOSEN, HANDED_OVER, RANDOM, read_object

DEPLOY = 'deploy/'
_FILES = ('config.py', 'weights.pth', 'arch.json', 'arch.svg', 'model.onnx', 'results.json', DEPLOY + 'README.md')


@dataclass(frozen=True)
class Subnet:
    """An exported network.

    Attributes:
        folder: Name of its folder in ``subnets``; that of a chosen network is its id in the archive.
        arch: The network, as it is trained.
        record: Its line of the archive; None for a network that was added.
        role: See :data:`~hyctas_mm.search.folder.CHOSEN`.
        costs: From the archive, else from ``results.json``.
        inherited: Scores before retraining on the whole test set, if measured.
        retrained: Scores after training from scratch (and ``iters``), if that was done; the mean of several trainings.
        by_seed: Scores of each of those trainings.
        results: All of its ``results.json``.
        files: Names of the files that exist in its folder.
        deployed: The files in its ``deploy`` by their target: ``file``, ``megabytes``, ``metrics``, ``latency_ms``.
    """

    folder: str
    arch: Architecture
    record: Candidate | None
    role: str
    costs: Mapping[str, float]
    inherited: Mapping[str, float]
    retrained: Mapping[str, float]
    by_seed: tuple[Mapping[str, float], ...]
    results: Mapping[str, Any]
    files: tuple[str, ...]
    deployed: Mapping[str, Mapping[str, Any]]

    def deviation(self, name: str) -> float | None:
        """Standard deviation of a score over several trainings."""
        scores = [seed[name] for seed in self.by_seed if name in seed]
        return stdev(scores) if len(scores) > 1 else None


def read_subnets(result: SearchResult) -> list[Subnet]:
    """The chosen networks in their order, then those added to them by name.

    Raises:
        SearchFileError: If a ``results.json`` cannot be used.
        ArchitectureError: If an ``arch.json`` cannot be used.
    """
    folder = result.path / 'subnets'
    others = sorted(p.parent.name for p in folder.glob('*/arch.json') if p.parent.name not in result.chosen)
    found = [_read_subnet(result, archid, folder / archid) for archid in (*result.chosen, *others)]
    return [s for s in found if s.folder in result.chosen or s.role in (RANDOM, HANDED_OVER)]


def _read_subnet(result: SearchResult, archid: str, folder: Path) -> Subnet:
    record = result.by_id.get(archid)
    path = folder / 'arch.json'
    arch = result.handover.arch(record.arch) if record else read_arch(read_object(path), str(path))
    path = folder / 'results.json'
    data = read_object(path) if path.is_file() else {}
    role = CHOSEN if archid in result.chosen else str(data.get('role', CHOSEN))
    keys = ('inherited', 'retrained', 'costs')
    inherited, retrained, costs = (_numbers(data.get(key) or {}, key, path) for key in keys)
    files = tuple(n for n in _FILES if (folder / n).is_file())
    seeds = data.get('by_seed') or {}
    if not isinstance(seeds, Mapping):
        raise SearchFileError(
            f'{path}: "by_seed" must map seeds to scores, got {seeds!r}; delete the file and run tools/retrain.py again'
        )
    by_seed = tuple(_numbers(scores, f'by_seed.{seed}', path) for seed, scores in seeds.items())
    known = record.costs if record else costs
    path = folder / DEPLOY / 'deploy.json'
    deployed = read_object(path).get('files', {}) if path.is_file() else {}
    return Subnet(archid, arch, record, role, known, inherited, retrained, by_seed, data, files, deployed)


def _numbers(data: Any, key: str, path: Path) -> dict[str, float]:
    if not isinstance(data, Mapping) or not all(isinstance(v, (int, float)) for v in data.values()):
        raise SearchFileError(
            f'{path}: "{key}" must map names to numbers, got {data!r}; delete the file and run tools/retrain.py again'
        )
    return {str(k): float(v) for k, v in data.items()}


def commands(result: SearchResult, subnet: Subnet) -> Iterator[tuple[str, str]]:
    """What can be done with a network, and the command; to be run in the folder of the search."""
    folder = f'subnets/{subnet.folder}'
    weights = better_weights(subnet.results, result.trained_metric) if subnet.results else 'weights.pth'
    if subnet.files and 'weights.pth' not in subnet.files:  # the supernet's do not fit
        weights = 'retrained.pth'
    package = _package(result.path / folder / 'config.py')
    yield 'test it', f'mim test {package} {folder}/config.py --checkpoint {folder}/{weights}'
    yield 'train it alone', f'mim train {package} {folder}/config.py'
    size = result.facts.get('input_hw')
    shape = ' '.join(map(str, size)) if isinstance(size, list) else 'HEIGHT WIDTH'
    yield 'export it', f'python REPOSITORY/tools/export_onnx.py {folder}/config.py {folder}/{weights} --shape {shape}'
    yield 'load it', f"from hyctas_mm.archs import load_arch; arch = load_arch('{folder}/arch.json')"


def _package(config: Path) -> str:
    """mim's name of the package that trains the network, from its config's default scope; the config is not run."""
    text = config.read_text(encoding='utf-8') if config.is_file() else ''
    found = re.search(r"^default_scope\s*=\s*['\"](\w+)['\"]", text, re.MULTILINE)
    scope = found.group(1) if found else 'mmseg'
    if scope == 'mmdet' and next(iter(distributions(name='mmdet')), None) is None:
        return 'mmdetection'  # so it is called in the maintained distributions, and mmdet in upstream's
    return scope
