"""mmseg's preprocessing of batches, with less to move and no waiting."""

from __future__ import annotations

from typing import Any

from mmseg.models import SegDataPreProcessor

from hyctas_mm.registry import MODELS


@MODELS.register_module()
class LeanSegDataPreProcessor(SegDataPreProcessor):
    """mmseg's ``SegDataPreProcessor``, which takes labels of a byte too, and does not wait while a batch is copied to
    a GPU (from pinned memory, ``train_dataloader.pin_memory=True``; other memory is waited for all the same).

    In training labels become int64 on the device, what losses expect.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._non_blocking = True

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        found: dict[str, Any] = super().forward(data, training)
        for sample in found['data_samples'] or () if training else ():
            sample.gt_sem_seg.data = sample.gt_sem_seg.data.long()
        return found
