"""What follows a search: retraining, pictures, ONNX."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from hyctas_mm.archs import Handover, SearchSpace
from hyctas_mm.deploy.export import export_onnx
from hyctas_mm.engine.candidate_costs import CandidateCosts
from hyctas_mm.engine.predictions import overlay, spread_indices
from hyctas_mm.engine.retraining import arch_of, random_twin, retrain
from hyctas_mm.files import read_json
from hyctas_mm.report.html import write_report
from hyctas_mm.search.folder import SearchFolder
from hyctas_mm.studies.finished_search import FinishedSearch
from hyctas_mm.wizard.results_table import results_table
from tests.conftest import run_script, supernet_cfg
from tests.tiny_jobs import FAST, config, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def retrained(searched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('retrained') / 'search'
    shutil.copytree(searched / 'search', folder)
    for subnet in SearchFolder(folder).subnets():
        retrain(subnet, num_pictures=2, options=FAST)
    return folder


def test_results_and_pictures(retrained: Path) -> None:
    for subnet in SearchFolder(retrained).subnets():
        results = json.loads((subnet / 'results.json').read_text())
        assert (
            results['retrained']['iters'] == 2
            and 0 <= results['retrained']['mIoU'] <= 100
            and 'mIoU' in results['inherited']
        )
        before = (subnet / 'retrained.pth').stat().st_mtime_ns
        assert retrain(subnet, options=FAST) == results['retrained']
        assert (subnet / 'retrained.pth').stat().st_mtime_ns == before
    pictures = sorted((retrained / 'predictions').iterdir())
    assert len(pictures) == 2
    names = {p.name for p in pictures[0].iterdir()}
    assert names == {'image.png', 'truth.png', *(f'{f.name}.png' for f in SearchFolder(retrained).subnets())}
    assert cv2.imread(str(pictures[0] / 'truth.png')).shape == (64, 128, 3)
    assert pictures[0].name in write_report(retrained).read_text()


def test_onnx_equals_pytorch(retrained: Path, tmp_path: Path) -> None:
    subnet = SearchFolder(retrained).subnets()[0]
    result = export_onnx(subnet / 'config.py', subnet / 'retrained.pth', tmp_path / 'model.onnx', (64, 128))
    assert result.path.is_file() and result.max_difference < 1e-4
    others = SearchFolder(retrained).subnets()[1:]
    if others:
        with pytest.raises(ValueError, match='another network'):
            export_onnx(subnet / 'config.py', others[0] / 'retrained.pth', tmp_path / 'x.onnx', (64, 128))
        assert not (tmp_path / 'x.onnx').exists()


# Trained with other channels than searched with ----------------------------------------------------------------------

WIDER = dict(base_channels=6, low_level='s4')


def counted(folder: Path) -> dict[str, float]:
    """Parameters and MACs of the network that a folder's config trains."""
    cfg = Config.fromfile(folder / 'config.py')
    assert cfg.model.backbone.base_channels == cfg.model.decode_head.base_channels
    return CandidateCosts(cfg.model, (1, 3, 64, 128))(arch_of(folder))


@pytest.fixture(scope='module')
def wider(toy_root: Path, supernet: Path, fast_training: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Work dir of a search for networks that are trained wider than the supernet."""
    work_dir = tmp_path_factory.mktemp('wider')
    small = {'train_cfg.population': 2, 'train_cfg.generations': 1, 'train_cfg.handover': WIDER}
    small |= {'train_cfg.supernet': str(supernet), 'train_cfg.subnet_config': str(fast_training)}
    run(config('search', toy_root, work_dir, **small))
    return work_dir


def test_a_search_prices_and_exports_what_will_be_trained(wider: Path) -> None:
    search = SearchFolder.find(wider)
    assert search.handover == Handover(**WIDER)
    found = {c.archid: c for c in search.candidates()}
    for folder in search.chosen():
        candidate = found[folder.name]
        assert arch_of(folder) == replace(candidate.arch, low_level='s4') != candidate.arch
        assert Config.fromfile(folder / 'config.py').model.backbone.base_channels == 6
        assert counted(folder) == pytest.approx(candidate.costs)
        assert not (folder / 'weights.pth').exists()
        with pytest.raises(ValueError, match='leave --inherit out'):
            retrain(folder, inherit=True)
    page = write_report(search.path).read_text()
    assert 'Base channels of the supernet</dt><dd>4' in page.replace('\n', '') and folder.name in page
    studied = FinishedSearch(wider)
    assert studied.arch(folder.name) == arch_of(folder) and studied.space.base_channels == 6
    assert studied.costs()(candidate.arch) == pytest.approx(candidate.costs)


def test_networks_are_retrained_wider_beside_those_of_the_search(
    fast_search: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = SearchFolder.find(fast_search)
    before = search.chosen()
    name = before[0].name
    options = ('--networks', name, '--base-channels', 6, '--low-level', 's4', '--random', 1)
    assert run_script(monkeypatch, 'tools/retrain.py', fast_search, *options) == 0
    made = search.path / 'subnets' / f'{name}-b6-s4'
    twin = next(f for f in search.subnets() if read_json(f / 'results.json').get('role') == 'random')
    assert search.chosen() == before and search.subnets()[len(before) :] == sorted([made, twin])
    assert not (before[0] / 'results.json').exists()
    assert arch_of(made) == replace(arch_of(before[0]), low_level='s4') and twin.name.endswith('-b6-s4')
    for folder in (made, twin):
        results = json.loads((folder / 'results.json').read_text())
        assert results['costs'] == pytest.approx(counted(folder)) and results['retrained']['iters'] == 2
        state = torch.load(folder / 'retrained.pth', weights_only=True)
        assert state['meta']['archid'] == arch_of(folder).archid
        assert next(iter(state['state_dict'].values())).shape == (2 * 2 * 6, 3, 3, 3)
    assert made.name in (search.path / 'report.html').read_text()
    assert {made.name, twin.name} <= set(results_table(search.path).columns[0].cells)


@pytest.mark.parametrize(
    ('options', 'message'),
    [(('--networks', 'abc'), 'abc: not among those'), (('--base-channels', 0), 'base_channels=0; expected')],
)
def test_wrong_handovers_are_told(
    options: tuple[object, ...], message: str, fast_search: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert run_script(monkeypatch, 'tools/retrain.py', fast_search, *options) == 2
    assert message in capsys.readouterr().err


def test_weights_of_another_width_are_refused(fast_search: Path, searched: Path) -> None:
    folder = SearchFolder.find(fast_search).chosen()[0]
    shutil.copy(searched / 'search' / 'subnets' / folder.name / 'weights.pth', folder)
    widened = {'model.backbone.base_channels': 6, 'model.decode_head.base_channels': 6}
    for inherit in (True, False):
        with pytest.raises(ValueError, match=r'weights\.pth: weights of another network than its config'):
            retrain(folder, inherit=inherit, options=widened)
    assert 'inherited' not in read_json(folder / 'results.json')


def test_a_random_twin_has_a_like_cost(wide_space: SearchSpace) -> None:
    costs = CandidateCosts(supernet_cfg(), (1, 3, 32, 64))
    rng = np.random.default_rng(0)
    arch = wide_space.sample(rng, 2)
    twin = random_twin(arch, 'macs_g', wide_space, costs, rng, tolerance=0.2)
    assert twin != arch and len(twin.branches) == 2
    assert costs(twin)['macs_g'] == pytest.approx(costs(arch)['macs_g'], rel=0.2)


def test_overlay_colours() -> None:
    image = np.zeros((1, 3, 3), np.uint8)
    mixed = overlay(image, np.array([[0, 1, 255]]), [[200, 0, 0], [0, 0, 100]])
    assert mixed[0].tolist() == [[0, 0, 130], [65, 0, 0], [0, 0, 0]]
    assert spread_indices(10, 3) in ([0, 4, 9], [0, 5, 9]) and spread_indices(2, 5) == [0, 1]
