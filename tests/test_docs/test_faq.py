"""Every error of the FAQ is provoked and says what the FAQ says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, init_default_scope

import tests.test_docs.provoke_data
import tests.test_docs.provoke_models
import tests.test_docs.provoke_results
import tests.test_docs.provoke_search  # noqa: F401
from hyctas_mm.archs import SearchSpace
from hyctas_mm.engine.hooks.sample_arch_hook import CHECKPOINT_KEY
from hyctas_mm.engine.scoring import Scorer
from tests.test_docs.faq import FAQ, PROVOKERS, Place, Row, message_of, read_rows, search
from tests.tiny_jobs import SPACE, config

ROWS = read_rows(FAQ.read_text(encoding='utf-8'))


def constant_score(self: Scorer, *args: Any) -> dict[str, float]:
    """A score without images: what goes wrong here has nothing to do with them."""
    return dict(aAcc=50.0, mAcc=40.0, mIoU=30.0)


@pytest.fixture(scope='module')
def untrained(toy_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint of a supernet as it is built."""
    folder = tmp_path_factory.mktemp('untrained')
    init_default_scope('mmseg')
    model = MODELS.build(ConfigDict(config('search', toy_root, folder).model.to_dict()))
    space = SearchSpace.from_dict(SPACE).to_dict()
    torch.save(
        {'state_dict': model.state_dict(), CHECKPOINT_KEY: dict(seed=0, search_space=space)}, folder / 'supernet.pth'
    )
    return folder / 'supernet.pth'


@pytest.fixture(scope='module')
def begun(toy_root: Path, untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Work dir of a finished search."""
    work_dir = tmp_path_factory.mktemp('begun')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scorer, 'score', constant_score)
        search(toy_root, untrained, work_dir)
    return work_dir


def test_every_row_has_a_provoker_and_every_provoker_a_row() -> None:
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names)) and len(names) > 25
    assert set(names) == set(PROVOKERS)


def test_every_row_is_whole() -> None:
    assert all(row.did and row.message and row.cure for row in ROWS)


@pytest.mark.slow
@pytest.mark.parametrize('row', ROWS, ids=lambda row: row.name)
def test_the_message_is_the_one_of_the_faq(
    row: Row, toy_root: Path, untrained: Path, begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scorer, 'score', constant_score)
    message = message_of(PROVOKERS[row.name], Place(tmp_path, toy_root, untrained, begun, monkeypatch))
    assert row.matches(message), f'the FAQ has\n{row.message}\nbut the error says\n{message}'


def test_a_row_of_another_message_does_not_match() -> None:
    row = Row('a', 'b', 'no file …: give --out', 'c')
    assert (
        row.matches('no file x/y.py: give --out')
        and not row.matches('no file x: give --in')
        and not row.matches('Error: no file x: give --out')
    )
