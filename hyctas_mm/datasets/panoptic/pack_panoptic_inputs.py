"""The pipeline step that packs an image with its panoptic ground truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.structures import DetDataSample
from mmengine.structures import PixelData
from torch import Tensor

from hyctas_mm.datasets.panoptic.segment_ids import ids_from_seg_map
from hyctas_mm.datasets.panoptic.targets import TargetMaps
from hyctas_mm.registry import TRANSFORMS

_MAPS = ('center', 'offset', 'center_weight', 'offset_weight', 'semantic_weight')


_META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction', 'class_counts')


@TRANSFORMS.register_module()
class PackPanopticInputs(BaseTransform):
    """Packs ``inputs`` (C, H, W) and a ``DetDataSample``.

    After ``PanopticTargets`` the sample has ``gt_sem_seg`` with ``sem_seg`` (1, H, W) uint8, int64 where labels need
    it, and ``gt_panoptic_maps`` with ``center`` (1, H, W), ``offset`` (2, H, W) and ``semantic_weight`` (1, H, W),
    float32, and ``center_weight`` and ``offset_weight`` (1, H, W), which are 0 or 1, uint8: see :class:`TargetMaps`.

    After ``LoadPanoptic`` alone, as for testing, it has ``gt_panoptic_seg`` with ``sem_seg`` (1, H, W) int64, the
    segment ids with 0 for void, and in its metainfo ``gt_segments_info``, a list of
    ``dict(id, category, is_thing, iscrowd)``.

    After neither it has no ground truth.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        sample = DetDataSample(metainfo={key: results[key] for key in _META_KEYS if key in results})
        if 'gt_panoptic_maps' in results:
            maps: TargetMaps = results['gt_panoptic_maps']
            semantic = maps.semantic if maps.semantic.max() > 255 else maps.semantic.astype(np.uint8)
            sample.gt_sem_seg = PixelData(sem_seg=_tensor(semantic[None]))  # (H, W) -> (1, H, W)
            sample.gt_panoptic_maps = PixelData(**{name: _tensor(getattr(maps, name)) for name in _MAPS})
            for name in ('center_weight', 'offset_weight'):
                sample.gt_panoptic_maps.set_field(sample.gt_panoptic_maps.get(name).to(torch.uint8), name)
        elif 'gt_seg_map' in results:
            ids = ids_from_seg_map(results['gt_seg_map']).astype(np.int64)
            sample.gt_panoptic_seg = PixelData(sem_seg=_tensor(ids[None]))  # (H, W) -> (1, H, W)
            sample.set_metainfo(dict(gt_segments_info=results['segments_info']))
        image = results['img']
        image = image[..., None] if image.ndim == 2 else image
        return dict(inputs=_tensor(image.transpose(2, 0, 1)), data_samples=sample)  # (H, W, C) -> (C, H, W)

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def _tensor(array: np.ndarray[Any, Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))
