"""The pipeline step that reads a COCO-panoptic PNG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mmcv
import mmengine
import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from hyctas_mm.datasets.panoptic.segment_ids import (
    VOID_ID,
    ids_from_rgb,
    present_ids,
    seg_map_from_ids,
    segment_numbers,
)
from hyctas_mm.errors import BadValue
from hyctas_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadPanoptic(BaseTransform):
    """Reads the segment ids of a sample into ``gt_seg_map``.

    The map takes part in mmcv's, mmdet's and mmseg's resizing (backend cv2), flipping, cropping and padding, all of
    which keep its int32 ids exactly. It holds the negated ids, so that what ``Pad`` fills in (255 by default, itself a
    valid id) ends as void; ``PanopticTargets`` or ``PackPanopticInputs`` undo that. For testing put it after
    ``Resize``: predictions are compared at the image's own size.

    Required keys: ``seg_map_path``, ``segments_info``. Added keys: ``gt_seg_map`` (H, W) int32, an entry in
    ``seg_fields``.

    Args:
        strict: Refuse ids that only the PNG or only the JSON has. Otherwise the former become void and the latter leave
            ``segments_info``.
        backend_args: See mmengine's fileio.

    Raises:
        ValueError: If there is no PNG, its size is not the image's, or (``strict``) ids do not match; file and ids are
            named.
    """

    def __init__(self, strict: bool = True, backend_args: dict[str, Any] | None = None) -> None:
        self.strict, self.backend_args = strict, backend_args

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        if 'seg_map_path' not in results:
            # an image by itself, as mmdet's inference_detector gives it; samples of a data set always have the key
            return results
        path = results['seg_map_path']
        if path is None:
            raise BadValue(
                f"image {results.get('img_path')} has no PNG of segments; set data_prefix['seg'], or leave "
                'LoadPanoptic out'
            )
        content = mmengine.fileio.get(path, backend_args=self.backend_args)
        # with this flag it ignores channel_order: BGR
        png = mmcv.imfrombytes(content, flag='color_ignore_orientation', backend='cv2')
        ids = ids_from_rgb(png[..., ::-1])
        if tuple(results.get('ori_shape', ids.shape)[:2]) != ids.shape:
            raise BadValue(
                f'image {results["img_path"]} is (height, width) = {tuple(results["ori_shape"][:2])} but its PNG '
                f'{path} is {ids.shape}; '
                'both must have one size: write the PNG anew from the annotation'
            )
        if self.strict:
            _check_ids(ids, results['segments_info'], path)
        else:
            results['segments_info'] = _reconcile(ids, results['segments_info'])
        results['gt_seg_map'] = seg_map_from_ids(ids)
        results.setdefault('seg_fields', []).append('gt_seg_map')  # what mmseg's transforms go by
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(strict={self.strict}, backend_args={self.backend_args})'


def _check_ids(ids: NDArray[np.int32], segments_info: Sequence[dict[str, Any]], path: str) -> None:
    drawn = set(present_ids(ids).tolist()) - {VOID_ID}
    listed = {segment['id'] for segment in segments_info}
    for extra, where, lacking in ((drawn - listed, 'the PNG', 'the JSON'), (listed - drawn, 'the JSON', 'the PNG')):
        if extra:
            raise BadValue(
                f'{path}: {len(extra)} segment ids are in {where} but not in {lacking}: {sorted(extra)[:8]}; expected '
                'the same ids in both. '
                'Mend the annotation, or pass strict=False to treat such pixels as void'
            )


def _reconcile(ids: NDArray[np.int32], segments_info: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Makes unlisted ids void in place, and returns the segments that have pixels."""
    ids[segment_numbers(ids, segments_info) == 0] = VOID_ID
    drawn = set(present_ids(ids).tolist())
    return [segment for segment in segments_info if segment['id'] in drawn]
