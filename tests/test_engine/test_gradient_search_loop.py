from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from hyctas_mm.archs import SearchSpace, load_arch
from hyctas_mm.engine import gradient_search_loop
from hyctas_mm.engine.gradient_search import GradientSearch
from hyctas_mm.engine.gradient_search_loop import main_losses
from hyctas_mm.models.subnet import set_arch
from hyctas_mm.search.archive import read_archive
from tests.conftest import supernet_cfg
from tests.test_engine.test_search_loop import lines
from tests.test_engine.test_search_workers import free_port, processes
from tests.tiny_jobs import SPACE, gradient_search, run


def search(root: Path, supernet: Path, work_dir: Path, report: bool = False, **options: object) -> None:
    run(gradient_search(root, supernet, work_dir, **options), report)


@pytest.fixture(scope='module')
def learned(toy_root: Path, supernet: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work_dir = tmp_path_factory.mktemp('gradient')
    search(toy_root, supernet, work_dir, report=True)
    return work_dir


def test_its_files_are_those_of_any_search(learned: Path) -> None:
    folder = learned / 'search'
    found = read_archive(folder / 'archive.jsonl')
    assert 2 <= len(found) <= 4 and {c.track for c in found} == {None}
    assert all('mIoU' in c.metrics for c in found)
    front = json.loads((folder / 'front.json').read_text())
    for archid in front['chosen']:
        assert load_arch(folder / 'subnets' / archid / 'arch.json').archid == archid
    history = json.loads((folder / 'choices' / 'joint_1.json').read_text())
    report = (folder / 'report.html').read_text()
    assert 'How the choices were made' in report and 'entropy of the choices against steps' in report
    assert 'generation 0 is random' not in report
    assert history['budget'] == 0.05 and {len(v) for v in history['steps'].values()} == {4}


def test_networks_are_compared_without_auxiliary_losses() -> None:
    """Which deep networks have more of."""
    model = MODELS.build(supernet_cfg(SPACE)).train()
    sample = SegDataSample(gt_sem_seg=PixelData(data=torch.randint(5, (1, 32, 64))), metainfo=dict(img_shape=(32, 64)))
    for stride, count in ((8, 0), (32, 2)):
        archs = (SearchSpace.from_dict(SPACE).sample(np.random.default_rng(seed), 1) for seed in itertools.count())
        set_arch(model, next(arch for arch in archs if arch.output_strides == (stride,)))
        losses = model.loss(torch.rand(2, 3, 32, 64), [sample, sample])
        names = {name for name in losses if 'loss' in name}
        assert {name for name in main_losses(losses) if 'loss' in name} == {'decode.loss_ce'}
        assert len(names) == 1 + count


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        ({'train_cfg.budgets': (2, 1)}, r'budgets=\[2, 1\]|budgets=\(2, 1\); expected one or more'),
        ({'train_cfg.cost': 'params_m'}, "cost='params_m'; expected one of the objectives"),
        ({'train_cfg.population': 3}, r"\['population'\]; expected candidates and budgets"),
        ({'train_cfg.choice_dataloader.dataset.indices': 12}, r'4 image\(s\) are in both'),
    ],
)
def test_wrong_configs(toy_root: Path, supernet: Path, tmp_path: Path, options: dict, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        search(toy_root, supernet, tmp_path, **options)


def test_other_searches_have_no_such_figure(searched: Path) -> None:
    report = (searched / 'search' / 'report.html').read_text()
    assert 'How the choices were made' not in report and 'generation 0 is random' in report


def test_a_killed_search_goes_on_to_the_same_archive(
    toy_root: Path, supernet: Path, learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 0
    step = GradientSearch.step

    def killed(self: GradientSearch) -> None:
        nonlocal steps
        steps += 1
        if steps == 7:  # the third of the second budget
            raise KeyboardInterrupt
        step(self)

    monkeypatch.setattr(gradient_search_loop, 'SAVE_EVERY', 2)
    monkeypatch.setattr(GradientSearch, 'step', killed)
    with pytest.raises(KeyboardInterrupt):
        search(toy_root, supernet, tmp_path)
    assert len(lines(tmp_path)) <= 2
    search(toy_root, supernet, tmp_path, resume=True)
    assert steps == 9, 'two steps were left'
    assert lines(tmp_path) == lines(learned)
    name = 'search/choices/joint_1.json'
    assert (tmp_path / name).read_text() == (learned / name).read_text()


def test_two_processes_give_the_archive_of_one(toy_root: Path, supernet: Path, learned: Path, tmp_path: Path) -> None:
    """The first learns, both score."""
    assert processes('ranks', toy_root, supernet, tmp_path, 2, free_port(), 'gradients') == '0 0'
    assert lines(tmp_path) == lines(learned)
