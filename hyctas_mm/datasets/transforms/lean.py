"""mmseg's augmentation and packing in less time: equal random numbers give equal samples."""

from __future__ import annotations

from typing import Any

import cv2
import mmcv
import numpy as np
import torch
from mmcv.transforms.utils import cache_randomness
from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs, PhotoMetricDistortion, RandomCrop

from hyctas_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LeanRandomCrop(RandomCrop):
    """mmseg's ``RandomCrop``, which counts the pixels of each class without sorting them."""

    @cache_randomness
    def crop_bbox(self, results: dict[str, Any]) -> tuple[int, int, int, int]:
        """First and last row, first and last column of a crop in which no class is too frequent, if ten draws find
        one.
        """
        height, width = results['img'].shape[:2]
        box = self._draw(height, width)
        if self.cat_max_ratio < 1:
            for _ in range(10):
                counts = np.bincount(self.crop(results['gt_seg_map'], box).ravel())
                if 0 <= self.ignore_index < len(counts):
                    counts[self.ignore_index] = 0
                if np.count_nonzero(counts) > 1 and counts.max() / counts.sum() < self.cat_max_ratio:
                    break
                box = self._draw(height, width)
        return box

    def _draw(self, height: int, width: int) -> tuple[int, int, int, int]:
        top = np.random.randint(0, max(height - self.crop_size[0], 0) + 1)
        left = np.random.randint(0, max(width - self.crop_size[1], 0) + 1)
        return top, top + self.crop_size[0], left, left + self.crop_size[1]


@TRANSFORMS.register_module()
class LeanPhotoMetricDistortion(PhotoMetricDistortion):
    """mmseg's ``PhotoMetricDistortion``, which looks the new value of each byte up in place of computing with floats.

    Images that are not of bytes are distorted as by mmseg.
    """

    def convert(self, img: np.ndarray, alpha: float = 1, beta: float = 0) -> np.ndarray:
        """``img * alpha + beta``, clipped."""
        convert = super().convert
        return cv2.LUT(img, convert(_BYTES, alpha, beta)) if img.dtype == np.uint8 else convert(img, alpha, beta)

    def hue(self, img: np.ndarray) -> np.ndarray:
        """The image with its hues turned, in half of the calls."""
        if img.dtype != np.uint8:
            return super().hue(img)
        if np.random.randint(2):
            img = mmcv.bgr2hsv(img)
            turn = np.random.randint(-self.hue_delta, self.hue_delta)
            img[:, :, 0] = cv2.LUT(img[:, :, 0], ((_BYTES.astype(int) + turn) % 180).astype(np.uint8))
            img = mmcv.hsv2bgr(img)
        return img


@TRANSFORMS.register_module()
class LeanPackSegInputs(PackSegInputs):
    """mmseg's ``PackSegInputs``, which leaves labels of a byte as they are: mmseg makes them eight, five times what an
    image has, to be sent from process to process and to the device.

    :class:`~hyctas_mm.models.data_preprocessor.LeanSegDataPreProcessor` makes them int64 there.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        labels = results.get('gt_seg_map')
        if labels is None or labels.dtype != np.uint8 or labels.ndim != 2:
            packed: dict[str, Any] = super().transform(results)
            return packed
        packed = super().transform({name: value for name, value in results.items() if name != 'gt_seg_map'})
        small = torch.from_numpy(np.ascontiguousarray(labels[None]))  # (1, H, W)
        packed['data_samples'].gt_sem_seg = PixelData(data=small)
        return packed


_BYTES = np.arange(256, dtype=np.uint8)
