"""Predictions as the Cityscapes test server takes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from hyctas_mm.errors import BadValue
from hyctas_mm.evaluation.segments import INSTANCE_OFFSET

IMAGE_SUFFIX = '_leftImg8bit'
LABEL_IDS = {
    'road': 7,
    'sidewalk': 8,
    'building': 11,
    'wall': 12,
    'fence': 13,
    'pole': 17,
    'traffic light': 19,
    'traffic sign': 20,
    'vegetation': 21,
    'terrain': 22,
    'sky': 23,
    'person': 24,
    'rider': 25,
    'car': 26,
    'truck': 27,
    'bus': 28,
    'train': 31,
    'motorcycle': 32,
    'bicycle': 33,
}
"""The numbers that cityscapesscripts knows the classes by; networks are trained on others."""


@METRICS.register_module()
class CityscapesSubmission(BaseMetric):
    """Writes predictions for the Cityscapes test server and scores nothing, as the test images have no labels.

    - ``OUT_DIR/semantic/<city>_<seq>_<frame>.png``: label ids (not train ids), one byte for each pixel.
    - Of panoptic networks also ``OUT_DIR/panoptic/*.png`` and ``OUT_DIR/panoptic.json``: segments as COCO's panoptic
      format has them, category ids are label ids.

    Samples need ``img_path`` and ``pred_sem_seg`` (1, H, W) at the size of the file; ``pred_panoptic_seg`` as
    :class:`~hyctas_mm.evaluation.PanopticQuality` has it.

    Args:
        out_dir: The folder.
        collect_device: Where the processes' results are gathered, ``'cpu'`` or ``'gpu'``.

    Raises:
        ValueError: If the data set has a class that Cityscapes does not have.

    Example:
        >>> test_evaluator = dict(type='CityscapesSubmission', out_dir='work_dirs/cityscapes_test')
    """

    def __init__(self, out_dir: str, collect_device: str = 'cpu') -> None:
        super().__init__(collect_device=collect_device)
        self.out_dir = Path(out_dir)

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Writes the PNGs, and keeps what the JSON file says of each."""
        ids = self._label_ids()
        for sample in data_samples:
            name = Path(sample['img_path']).stem.removesuffix(IMAGE_SUFFIX)
            predicted = sample['pred_sem_seg']
            labels = predicted['data'] if 'data' in predicted else predicted['sem_seg']  # mmseg's, mmdet's
            mmcv.imwrite(ids[labels[0].cpu().numpy()], str(self.out_dir / 'semantic' / f'{name}.png'))
            segments = None
            if 'pred_panoptic_seg' in sample:
                segments = self._write_segments(sample['pred_panoptic_seg']['sem_seg'][0].cpu().numpy(), ids, name)
            self.results.append(dict(image_id=name, file_name=f'{name}.png', segments_info=segments))

    def _write_segments(self, panoptic: np.ndarray[Any, Any], ids: np.ndarray[Any, Any], name: str) -> list[Any]:
        values, numbers = np.unique(panoptic, return_inverse=True)
        is_void = values % INSTANCE_OFFSET >= len(ids)
        segment_ids = np.where(is_void, 0, np.arange(1, len(values) + 1))
        image = segment_ids[numbers].reshape(panoptic.shape)
        red_green_blue = np.stack([image & 255, image >> 8 & 255, image >> 16], -1).astype(np.uint8)
        mmcv.imwrite(red_green_blue[..., ::-1], str(self.out_dir / 'panoptic' / f'{name}.png'))
        found = zip(segment_ids[~is_void], values[~is_void] % INSTANCE_OFFSET, strict=True)
        return [dict(id=int(number), category_id=int(ids[label])) for number, label in found]

    def _label_ids(self) -> np.ndarray[Any, Any]:
        classes = (self.dataset_meta or {}).get('classes', ())
        unknown = sorted({*classes} - {*LABEL_IDS})
        if unknown or not classes:
            raise BadValue(
                f'CityscapesSubmission: the data set has the classes {unknown}, which Cityscapes has not; '
                f'expected some of {", ".join(LABEL_IDS)}'
            )
        return np.array([LABEL_IDS[name] for name in classes], np.uint8)

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Writes ``panoptic.json``, on the first process; returns the number of images."""
        if results and results[0]['segments_info'] is not None:
            content = json.dumps(dict(annotations=results))
            (self.out_dir / 'panoptic.json').write_text(content, encoding='utf-8')
        return dict(images=float(len(results)))
