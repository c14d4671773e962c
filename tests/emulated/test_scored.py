"""Candidates scored on an emulated GPU: the scores are those of the CPU, and it is seldom waited for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.model import BaseDataPreprocessor
from mmengine.registry import METRICS, MODELS
from mmengine.structures import BaseDataElement, PixelData
from mmseg.structures import SegDataSample
from torch import nn

from hyctas_mm.archs import SearchSpace
from hyctas_mm.engine.scoring import Scorer, keep_on_device
from hyctas_mm.models.subnet import cut_subnet
from tests.conftest import supernet_cfg
from tests.emulated.cuda import EmulatedCuda
from tests.emulated.real import AnyCuda

SPACE = dict(layers=4, base_channels=2)
SIZE = (32, 64)
MODEL = supernet_cfg(SPACE)


class Images:
    """A data set of noise."""

    metainfo = dict(classes=list('abcde'))

    def __init__(self, name: str, count: int) -> None:
        self.name, self.count = name, count

    def __len__(self) -> int:
        return self.count

    def get_data_info(self, index: int) -> dict[str, Any]:
        return dict(img_path=f'{self.name}{index}.png')

    def __getitem__(self, index: int) -> dict[str, Any]:
        rng = np.random.default_rng([len(self.name), index])
        label = torch.from_numpy(rng.choice([0, 1, 2, 3, 4, 255], (1, *SIZE)))
        sample = SegDataSample(gt_sem_seg=PixelData(data=label), metainfo=dict(img_shape=SIZE, ori_shape=SIZE))
        return dict(inputs=torch.from_numpy(rng.integers(0, 256, (3, *SIZE), dtype=np.uint8)), data_samples=sample)


def loader(name: str, count: int) -> Any:
    return SimpleNamespace(dataset=Images(name, count), batch_size=2, collate_fn=pseudo_collate)


def scorer(device: str, **options: Any) -> Scorer:
    metric = METRICS.build(dict(type='IoUMetric'))
    loaders = loader('calibration', 4), loader('validation', 4)
    return Scorer(*loaders, Evaluator([metric]), 2, torch.device(device), **options)


def scores(supernet: nn.Module, judge: Scorer, arch: Any) -> dict[str, float]:
    return judge.score(judge.recalibrated(cut_subnet(supernet, MODEL, arch)))


AMP = [False, *(pytest.param(amp, marks=pytest.mark.slow) for amp in (True, 'bfloat16'))]


@pytest.mark.parametrize('amp', AMP)
def test_a_scored_candidate(cuda: AnyCuda, amp: bool | str) -> None:
    supernet = MODELS.build(MODEL)
    arch = SearchSpace.from_dict(SPACE).sample(np.random.default_rng(1))
    expected = scores(supernet, scorer('cpu', amp=amp), arch)
    judge = scorer('cuda', amp=amp)
    supernet.to('cuda')
    cuda.waits.clear()
    cuda.uploads.clear()
    found = scores(supernet, judge, arch)
    assert len(cuda.waits) == 1, cuda.waits
    assert len(cuda.uploads) <= 5, cuda.uploads
    exact = isinstance(cuda, EmulatedCuda)  # a GPU's kernels round otherwise, and a pixel in a thousand turns
    assert set(found) == set(expected)
    assert abs(found['aAcc'] - expected['aAcc']) < (5 if amp else 1e-3 if exact else 0.5)


def test_what_is_true_of_images_stays_on_the_gpu(cuda: AnyCuda) -> None:
    ids = torch.arange(8, dtype=torch.int32).view(1, 2, 4)
    sample = BaseDataElement(gt_panoptic_seg=PixelData(sem_seg=ids), gt_sem_seg=PixelData(data=ids.to(torch.uint8)))
    batch = dict(inputs=[torch.zeros(3, 2, 4, dtype=torch.uint8)], data_samples=[sample])
    assert keep_on_device([batch], torch.device('cuda', 0))
    cuda.uploads.clear()
    again = BaseDataPreprocessor().to('cuda').cast_data(batch)
    truth = again['data_samples'][0]
    assert truth.gt_panoptic_seg.sem_seg.device.type == truth.gt_sem_seg.data.device.type == 'cuda'
    assert not cuda.uploads, 'nothing is left to be copied for a candidate'
