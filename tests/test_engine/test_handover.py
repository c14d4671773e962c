"""What follows a search: retraining, pictures, ONNX."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from hyctas_mm.archs import SearchSpace
from hyctas_mm.deploy.export import export_onnx
from hyctas_mm.engine.candidate_costs import CandidateCosts
from hyctas_mm.engine.predictions import overlay, spread_indices
from hyctas_mm.engine.retraining import random_twin, retrain
from hyctas_mm.report.html import write_report
from hyctas_mm.search.folder import SearchFolder
from tests.conftest import supernet_cfg
from tests.tiny_jobs import FAST

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
