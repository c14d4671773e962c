"""Cached and lean pipeline steps give the samples that mmcv's and mmseg's give."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from mmengine.registry import MODELS

from hyctas_mm.datasets.transforms import cached

LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
OF_MMSEG = [
    dict(type='RandomCrop', crop_size=(24, 40), cat_max_ratio=0.6),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
]
LEAN = [dict(step, type=f'Lean{step["type"]}') if step['type'] != 'RandomFlip' else step for step in OF_MMSEG]


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> cached._Store:
    """An empty memory, as in a fresh process."""
    monkeypatch.setattr(cached, '_STORE', cached._Store())
    return cached._STORE


@pytest.fixture
def sample(tmp_path: Path) -> dict[str, Any]:
    """What a dataset gives the first step: files of colours and of labels with one frequent class and void."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, (40, 60), np.uint8)
    label[:, :30] = 0
    label[:6] = 255
    cv2.imwrite(str(tmp_path / 'a.png'), rng.integers(0, 256, (40, 60, 3), np.uint8))
    cv2.imwrite(str(tmp_path / 'label.png'), label)
    files = dict(img_path=str(tmp_path / 'a.png'), seg_map_path=str(tmp_path / 'label.png'))
    return dict(files, seg_fields=[], label_map=None, reduce_zero_label=False)


def run(steps: list[dict[str, Any]], sample: dict[str, Any]) -> dict[str, Any]:
    return Compose(steps)(dict(sample, seg_fields=[]))


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(value, other[name]) for name, value in one.items())


def test_lean_steps_draw_and_give_what_mmsegs_do(sample: dict[str, Any]) -> None:
    for seed in range(60):
        np.random.seed(seed)
        expected, after = run(LOAD + OF_MMSEG, sample), np.random.get_state()[2]
        np.random.seed(seed)
        assert same(run(LOAD + LEAN, sample), expected) and np.random.get_state()[2] == after


def test_lean_labels_are_a_byte_each_and_mmsegs_after_preprocessing(sample: dict[str, Any]) -> None:
    batches = []
    for lean in ('', 'Lean'):
        packed = run([*LOAD, dict(type=f'{lean}PackSegInputs')], sample)
        kind = packed['data_samples'].gt_sem_seg.data.dtype
        batches.append((kind, preprocess(f'{lean}SegDataPreProcessor', packed)))
    (_, theirs), (kind, ours) = batches
    assert kind == torch.uint8 and torch.equal(ours['inputs'], theirs['inputs'])
    labels = [batch['data_samples'][0].gt_sem_seg.data for batch in (ours, theirs)]
    assert labels[0].dtype == labels[1].dtype == torch.int64 and torch.equal(*labels)
    assert labels[0].shape == (1, 48, 64) and (labels[0][:, 40:] == 255).all()


def test_lean_labels_beyond_a_byte_are_kept() -> None:
    label = np.full((2, 3), 300, np.int32)
    packed = run([dict(type='LeanPackSegInputs')], dict(img=np.zeros((2, 3, 3), np.uint8), gt_seg_map=label))
    assert packed['data_samples'].gt_sem_seg.data.tolist() == label[None].tolist()


def preprocess(kind: str, packed: dict[str, Any]) -> dict[str, Any]:
    data = dict(inputs=[packed['inputs']], data_samples=[copy.deepcopy(packed['data_samples'])])
    return MODELS.build(dict(type=kind, size=(48, 64)))(data, True)


def test_lean_distortion_of_floats_is_mmsegs(sample: dict[str, Any]) -> None:
    load = [dict(type='LoadImageFromFile', to_float32=True), LOAD[1]]
    for seed in range(20):
        found = []
        for steps in (OF_MMSEG, LEAN):
            np.random.seed(seed)
            found.append(run([*load, steps[-1]], sample))
        assert same(*found)


def test_cached_files_are_read_once(sample: dict[str, Any], store: cached._Store) -> None:
    step = dict(type='Cached', transforms=LOAD)
    expected = run(LOAD, sample)
    first = run([step], sample)
    first['img'][:] = 0  # what comes after may write into what it got
    first['seg_fields'].append('other')
    for name in ('img_path', 'seg_map_path'):
        Path(sample[name]).unlink()
    assert same(run([step], sample), expected)
    assert store.num_bytes == expected['img'].nbytes + expected['gt_seg_map'].nbytes == 40 * 60 * 4


def test_what_decides_the_sample_is_part_of_its_name(sample: dict[str, Any]) -> None:
    step = dict(type='Cached', transforms=LOAD)
    plain = run([step], sample)
    mapped = run([step], dict(sample, label_map={0: 1}))
    grey = run([dict(step, transforms=[dict(LOAD[0], color_type='grayscale'), LOAD[1]])], sample)
    assert (mapped['gt_seg_map'][plain['gt_seg_map'] == 0] == 1).all() and grey['img'].ndim == 2


def test_no_more_bytes_are_kept_than_allowed(sample: dict[str, Any], store: cached._Store) -> None:
    step = dict(type='Cached', transforms=LOAD, max_bytes=40 * 60 * 4 - 1)
    assert same(run([step], sample), run(LOAD, sample)) and store == cached._Store()
    with pytest.raises(ValueError, match='max_bytes=-1'):
        cached.Cached(LOAD, max_bytes=-1)
