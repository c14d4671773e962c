"""The files and configs of docs/extending, run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS
from mmengine.runner import Runner

from hyctas_mm.archs import Architecture
from hyctas_mm.engine import candidate_costs
from hyctas_mm.models.subnet import cut_subnet, set_arch
from hyctas_mm.search import COSTS
from hyctas_mm.search.algorithms import ALGORITHMS
from hyctas_mm.search.archive import read_archive
from tests import evaluators  # noqa: F401  registers them
from tests.tiny_jobs import CONFIGS, config, run
from tests.tiny_jobs import supernet as supernet

EXTENDING = Path(__file__).parents[2] / 'docs' / 'extending'
PLANTS, VIEWS = 12, 2


@pytest.fixture(autouse=True)
def on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXTENDING))


@pytest.fixture(autouse=True)
def own_parts() -> Iterator[None]:
    """Takes registered costs and algorithms away again: later tests in this process would find them, and those in
    others not.
    """
    before = [(registry, dict(registry)) for registry in (COSTS, candidate_costs._own_costs, ALGORITHMS)]
    yield
    for registry, entries in before:
        registry.clear()
        registry.update(entries)


def page_config(page: str, kind: str, root: Path, work_dir: Path) -> Config:
    """A tiny quickstart config with the lines of a page in docs/extending, its first block of Python, on top."""
    block = re.search(r'^```python\n(.*?)^```', (EXTENDING / f'{page}.md').read_text(), re.DOTALL | re.MULTILINE)
    assert block, f'{page}.md has no config'
    options: dict[str, Any] = {} if kind == 'search' else {'train_cfg.max_iters': 2}
    config(kind, root, work_dir, **options).dump(str(work_dir / 'base.py'))
    (work_dir / f'{page}.py').write_text(f"_base_ = './base.py'\n{block[1]}")
    return Config.fromfile(work_dir / f'{page}.py')


def last_loss(runner: Runner) -> float:
    return float(runner.message_hub.get_scalar('train/loss').current())


@pytest.mark.slow
def test_an_op(toy_root: Path, tmp_path: Path) -> None:
    runner = run(page_config('op', 'supernet', toy_root, tmp_path))
    assert np.isfinite(last_loss(runner)) and runner.iter == 2
    cells: list[dict[str, Any]] = [
        dict(op='my_conv_5x5', width=8, down=True),
        dict(op='conv', width=6),
        dict(op='my_conv_5x5', width=12),
    ]
    arch = Architecture.from_dict(dict(branches=[cells]))
    supernet = runner.model.eval()
    set_arch(supernet, arch)
    subnet = cut_subnet(supernet, runner.cfg.model.to_dict(), arch).eval()
    assert [type(op).__name__ for op in subnet.backbone.cells.values()] == ['MyConv5x5', 'Conv', 'MyConv5x5']
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(supernet(x), subnet(x))


@pytest.mark.slow
def test_a_cost(toy_root: Path, supernet: Path, tmp_path: Path) -> None:
    cfg = page_config('cost', 'search', toy_root, tmp_path)
    cfg.train_cfg.update(supernet=str(supernet), branches=(1,), generations=1)
    run(cfg)
    costs = [c.costs for c in read_archive(tmp_path / 'search' / 'archive.jsonl')]
    assert len(costs) == 3 and all(0 < c['largest_map_m'] <= 0.05 for c in costs)
    # the stem's first map is the largest of all: 2 * 8 channels at stride 2 of 64x128
    assert all(c['largest_map_m'] >= 2 * 8 * 32 * 64 / 1e6 for c in costs)


def lines(work_dir: Path) -> list[dict[str, Any]]:
    """The archive without what a clock decides."""
    text = (work_dir / 'search' / 'archive.jsonl').read_text()
    return [{k: v for k, v in json.loads(line).items() if k not in ('seconds', 'check')} for line in text.splitlines()]


def search_and_kill(cfg: Config, kept: int) -> list[dict[str, Any]]:
    """Searches with the loop of a page, made tiny; again from the first candidates that it kept; returns the archive,
    equal both times.
    """
    subnet = str(CONFIGS / 'toy_streets_subnet.py')
    cfg.train_cfg.update(
        subnet_config=subnet, input_hw=(64, 128), branches=(1,), population=3, generations=3, num_chosen=2
    )
    run(cfg)
    whole = lines(Path(cfg.work_dir))
    archive = Path(cfg.work_dir) / 'search' / 'archive.jsonl'
    archive.write_bytes(b''.join(archive.read_bytes().splitlines(keepends=True)[:kept]))
    cfg.resume = True
    run(cfg)
    assert lines(Path(cfg.work_dir)) == whole
    return whole


@pytest.mark.slow
def test_an_evaluator(toy_root: Path, tmp_path: Path) -> None:
    found = search_and_kill(page_config('evaluator', 'search', toy_root, tmp_path), 4)
    assert len(found) > 5 and not any(c['violations'] for c in found)
    assert len({c['metrics']['patterns'] for c in found}) > 1 and all(
        c['metrics'].keys() == {'patterns'} for c in found
    )
    settings = json.loads((tmp_path / 'search' / 'search.json').read_text())
    assert settings['evaluator']['type'] == 'ActivationPatterns' and len(settings['evaluator']['images']) == 6
    exported = next((tmp_path / 'search' / 'subnets').iterdir())
    assert (exported / 'config.py').is_file() and not (exported / 'weights.pth').exists()


@pytest.mark.slow
def test_an_algorithm(toy_root: Path, supernet: Path, tmp_path: Path) -> None:
    cfg = page_config('algorithm', 'search', toy_root, tmp_path)
    cfg.train_cfg.evaluator.update(type='ConstantScore', supernet=str(supernet), calibration_batches=2)
    found = search_and_kill(cfg, 5)
    assert len(found) == 9 == len({c['archid'] for c in found})
    assert min(c['costs']['macs_g'] for c in found[3:]) < min(c['costs']['macs_g'] for c in found[:3]), (
        'it goes downhill'
    )
    settings = json.loads((tmp_path / 'search' / 'search.json').read_text())
    assert settings['algorithm'] == dict(type='LocalSearch', tries=500)


@pytest.mark.slow
def test_a_data_set(toy_root: Path, tmp_path: Path) -> None:
    root, rng = tmp_path / 'plants', np.random.default_rng(0)
    for name in (f'plant{plant:02}_{view}' for plant in range(PLANTS) for view in range(VIEWS)):
        for folder, suffix, levels in (('images', 'jpg', 255), ('labels', 'png', 3)):
            path = root / folder / 'train' / f'{name}.{suffix}'
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), rng.integers(0, levels, (72, 80), dtype=np.uint8))
    cfg = page_config('dataset', 'supernet', toy_root, tmp_path)
    assert cfg.train_dataloader.dataset.data_root == 'data/plants'
    cfg.train_dataloader.dataset.data_root = str(root)
    runner = run(cfg)
    assert np.isfinite(last_loss(runner)) and runner.iter == 2
    parts = {}
    for part in ('fit', 'select', 'all'):
        dataset = DATASETS.build(dict(cfg.train_dataloader.dataset, part=part))
        parts[part] = {Path(dataset.get_data_info(i)['img_path']).stem for i in range(len(dataset))}
    assert (
        parts['all'] == parts['fit'] | parts['select']
        and len(parts['all']) == PLANTS * VIEWS
        and parts['fit']
        and parts['select']
    )
    assert not {name.split('_')[0] for name in parts['fit']} & {name.split('_')[0] for name in parts['select']}


def test_a_head(toy_root: Path, tmp_path: Path) -> None:
    runner = run(page_config('head', 'subnet', toy_root, tmp_path))
    assert np.isfinite(last_loss(runner)) and runner.iter == 2
    assert runner.cfg.model.decode_head.in_channels == list(runner.model.backbone.out_channels)
    assert runner.model.eval()(torch.randn(1, 3, 64, 96)).shape == (1, 11, 16, 24)
