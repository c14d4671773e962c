"""A pipeline step that names a broken sample instead of letting it end as a CUDA assertion or a silent score."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from hyctas_mm.errors import BadValue
from hyctas_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class CheckLabels(BaseTransform):
    """Checks a sample right after ``LoadAnnotations``: image and label files have one size, labels are class indices
    or void.

    Args:
        num_classes: Number of classes.
        ignore_index: The void label.

    Raises:
        ValueError: Naming the file, the values and what was expected.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        self.num_classes, self.ignore_index = num_classes, ignore_index

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        image, label = results['img'], results['gt_seg_map']
        height, width = results.get('ori_shape', image.shape)[:2]
        if (height, width) != label.shape[:2]:
            raise BadValue(
                f'image {results["img_path"]} is {width}x{height} but its label {results["seg_map_path"]} is '
                f"{label.shape[1]}x{label.shape[0]}; both must have one size: make the label anew at the image's size"
            )
        wrong = np.unique(label[(label >= self.num_classes) & (label != self.ignore_index)])
        if wrong.size:
            raise BadValue(
                f'label {results["seg_map_path"]} holds {wrong.tolist()[:8]}; '
                f'expected classes 0..{self.num_classes - 1} or {self.ignore_index} (void); '
                'convert the labels, or set num_classes to the number of classes'
            )
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(num_classes={self.num_classes}, ignore_index={self.ignore_index})'
