"""A search that trains each of its candidates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from hyctas_mm.evaluators import from_scratch
from hyctas_mm.search.driver import SearchError
from hyctas_mm.search.folder import SearchFolder
from tests.tiny_jobs import config, run

APART = {'train_dataloader.dataset.indices': list(range(8, 24)), 'train_dataloader.batch_size': 2}
"""Trains on what the search's tests calibrate on, not on what they score on."""


@pytest.fixture
def cfg(toy_root: Path, fast_training: Path, tmp_path: Path) -> Config:
    cfg = config('search', toy_root, tmp_path)
    options: dict[str, Any] = dict(APART)
    cfg.train_cfg = dict(
        type='SearchLoop',
        evaluator=dict(type='FromScratch', iters=1, seeds=[0, 1], options=options),
        algorithm=dict(type='RandomSearch'),
        objectives=['mIoU', 'macs_g'],
        subnet_config=str(fast_training),
        input_hw=(64, 128),
        branches=(1,),
        population=2,
        generations=1,
        num_chosen=1,
    )
    return cfg


@pytest.mark.slow
def test_a_search_from_scratch(cfg: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(cfg)
    search = SearchFolder(tmp_path / 'search')
    found = search.candidates()
    assert (
        len(found) == 2
        and search.settings['evaluator']['type'] == 'FromScratch'
        and search.settings['evaluator']['seeds'] == [0, 1]
    )
    for candidate in found:
        kept = json.loads((tmp_path / 'from_scratch' / 'subnets' / candidate.archid / 'results.json').read_text())
        assert {name: kept['retrained'][name] for name in ('mIoU', 'aAcc')} == pytest.approx(
            {name: candidate.metrics[name] for name in ('mIoU', 'aAcc')}
        )
        assert [kept['by_seed'][seed]['iters'] for seed in '01'] == [1, 1]
    (chosen,) = search.chosen()
    exported, trained = (
        torch.load(path, weights_only=True)['state_dict']
        for path in (chosen / 'weights.pth', tmp_path / 'from_scratch' / 'subnets' / chosen.name / 'retrained.pth')
    )
    assert all(torch.equal(exported[name], trained[name]) for name in exported)
    cfg.train_cfg.evaluator.seeds, cfg.resume = [0], True
    with pytest.raises(SearchError, match=r'holds another search: evaluator.seeds is \[0, 1\] there, \[0\] here'):
        run(cfg)
    cfg.train_cfg.evaluator.seeds = [0, 1]
    monkeypatch.setattr(
        from_scratch,
        'retrain',
        lambda folder, *_, **__: json.loads((folder / 'results.json').read_text())['by_seed']['0'],
    )
    archive = tmp_path / 'search' / 'archive.jsonl'
    archive.write_bytes(archive.read_bytes().splitlines(keepends=True)[0])
    run(cfg)
    assert [c.archid for c in search.candidates()] == [c.archid for c in found]


def test_training_on_scoring_images_is_refused(cfg: Config) -> None:
    cfg.train_cfg.evaluator.options = {
        'train_dataloader.dataset.indices': 12,
        'train_dataloader.dataset.data_prefix.img_path': 'leftImg8bit/train',
    }
    with pytest.raises(ValueError, match=r'would be trained on 8 image\(s\) that they are scored on'):
        run(cfg)


def test_several_processes_are_refused(cfg: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_scratch, 'get_world_size', lambda: 2)
    with pytest.raises(ValueError, match='FromScratch trains in one process'):
        run(cfg)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('evaluator', 'message'),
    [
        (dict(type='FromNowhere'), "train_cfg.evaluator: type='FromNowhere'; expected one of .*FromScratch"),
        (dict(type='FromScratch', steps=3), "FromScratch: got an unexpected keyword argument 'steps'"),
    ],
)
def test_wrong_evaluators(cfg: Config, evaluator: dict[str, Any], message: str) -> None:
    cfg.train_cfg.evaluator = evaluator
    with pytest.raises(ValueError, match=message):
        run(cfg)
