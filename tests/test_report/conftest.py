"""A small search on disk, made up but shaped like a real one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hyctas_mm.archs import Architecture, SearchSpace, num_channels
from hyctas_mm.report.render import asset
from tests.front_reference import non_dominated

OBJECTIVES = [
    {'name': 'mIoU', 'direction': 'max', 'unit': '%'},
    {'name': 'latency_ms', 'direction': 'min', 'unit': 'ms'},
]

COLORS = {
    scheme: dict(re.findall(r'--(\w+): (#\w{6})', block))
    for scheme, block in zip(
        ('light', 'dark'), re.findall(r':root \{(.*?)\}', asset('report.css'), re.DOTALL), strict=True
    )
}
"""The page's colours by name, for light and dark readers."""


def make_record(index: int, arch: Architecture, generation: int, rng: np.random.Generator) -> dict[str, Any]:
    """A line of the archive; cost follows the cells, the score follows the cost and the generation."""
    cost = sum(num_channels(c.stride_out, c.cell.width, 8) ** 2 * 9 / c.stride_out**2 for c in arch.cells) / 4000
    score = 30 + 25 * (1 - np.exp(-cost / 3)) + 1.2 * generation + 2 * rng.standard_normal()
    return {
        'index': index,
        'generation': generation,
        'track': len(arch.branches),
        'archid': arch.archid,
        'arch': arch.to_dict(),
        'metrics': {'mIoU': float(score), 'aAcc': float(score + 35)},
        'costs': {'macs_g': float(cost), 'params_m': float(cost / 5), 'latency_ms': float(4 + 3 * cost)},
        'violations': [],
        'seconds': 3.2,
    }


def front_ids(records: list[dict[str, Any]]) -> list[str]:
    """Ids of the non-dominated records, cheapest first."""
    points = np.array([[r['costs']['latency_ms'], -r['metrics']['mIoU']] for r in records])
    best = {tuple(p) for p in non_dominated(points)}
    found = [r for r, p in zip(records, points, strict=True) if tuple(p) in best]
    return [r['archid'] for r in sorted(found, key=lambda r: r['costs']['latency_ms'])]


def write_search(root: Path, num: int = 60, num_chosen: int = 3) -> Path:
    """``WORK_DIR/search`` without any optional part; returns its folder."""
    rng = np.random.default_rng(0)
    space = SearchSpace()
    per_track, per_generation = num // 3, max(1, num // 3 // 5)
    records = []
    for index in range(num):
        arch = space.sample(rng, 1 + index // per_track)
        records.append(make_record(index, arch, index % per_track // per_generation, rng))
    rejected = {**records[-1], 'index': num, 'metrics': {}, 'violations': ['latency 99 ms is over the limit of 50 ms']}
    fronts = {str(t): front_ids([r for r in records if r['track'] == t]) for t in (1, 2, 3)}
    front = front_ids(records)
    folder = root / 'search'
    folder.mkdir(parents=True)
    (folder / 'archive.jsonl').write_text(''.join(json.dumps(r) + '\n' for r in [*records, rejected]))
    chosen = [front[i] for i in np.linspace(0, len(front) - 1, num_chosen).astype(int)]
    data = {
        'dataset': 'Toy Streets',
        'device': 'cpu',
        'input_hw': [128, 256],
        'objectives': OBJECTIVES,
        'front': front,
        'fronts_by_track': fronts,
        'chosen': list(dict.fromkeys(chosen)),
        'num_evaluated': num + 1,
        'num_infeasible': 1,
        'seconds': 1234.5,
        'base_channels': 8,
        'seed': 0,
    }
    (folder / 'front.json').write_text(json.dumps(data))
    return folder


def add_extras(folder: Path, pictures: int = 3) -> None:
    """Exported subnets with scores, a random one, predictions and the palette."""
    front = json.loads((folder / 'front.json').read_text())
    records = {r['archid']: r for r in map(json.loads, (folder / 'archive.jsonl').read_text().splitlines())}
    stranger = SearchSpace().sample(np.random.default_rng(99), 2)
    archs = {i: records[i]['arch'] for i in front['chosen']} | {stranger.archid: stranger.to_dict()}
    for index, (archid, arch) in enumerate(archs.items()):
        subnet = folder / 'subnets' / archid
        subnet.mkdir(parents=True)
        (subnet / 'arch.json').write_text(json.dumps(arch))
        for name in ('config.py', 'weights.pth', 'arch.svg'):
            (subnet / name).write_text('x')
        role = 'random' if archid == stranger.archid else 'chosen'
        scores = {'inherited': {'mIoU': 40.5 + index}, 'retrained': {'mIoU': 55.5 + index, 'iters': 400}, 'role': role}
        (subnet / 'results.json').write_text(json.dumps(scores))
    rng = np.random.default_rng(1)
    names = ['road', 'sky', 'building', 'tree', 'car', 'person']
    palette = rng.integers(30, 255, (len(names), 3)).tolist()
    (folder / 'palette.json').write_text(json.dumps({'classes': names, 'palette': palette}))
    for number in range(pictures):
        place = folder / 'predictions' / f'val_{number:03d}'
        place.mkdir(parents=True)
        for stem in ('image', 'truth', *front['chosen']):
            blocks = rng.integers(0, len(names), (8, 16))
            pixels = np.asarray(palette, dtype=np.uint8)[blocks].repeat(40, axis=0).repeat(40, axis=1)
            Image.fromarray(pixels).save(place / f'{stem}.png')


@pytest.fixture
def make_search() -> Callable[..., Path]:
    """:func:`write_search`."""
    return write_search


@pytest.fixture
def fill_search() -> Callable[..., None]:
    """:func:`add_extras`."""
    return add_extras


@pytest.fixture
def search_dir(tmp_path: Path) -> Path:
    """A search without optional parts."""
    return write_search(tmp_path)


@pytest.fixture
def edit_front(search_dir: Path) -> Callable[..., Path]:
    """Changes keys of ``front.json``; None removes one."""

    def edit(**changes: Any) -> Path:
        path = search_dir / 'front.json'
        data = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({k: v for k, v in data.items() if v is not None}))
        return search_dir

    return edit
