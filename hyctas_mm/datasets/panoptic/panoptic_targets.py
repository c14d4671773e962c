"""The pipeline step that turns segment ids into training targets."""

from __future__ import annotations

from typing import Any

from mmcv.transforms import BaseTransform

from hyctas_mm.datasets.panoptic.segment_ids import ids_from_seg_map
from hyctas_mm.datasets.panoptic.targets import build_targets
from hyctas_mm.errors import BadValue
from hyctas_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PanopticTargets(BaseTransform):
    """Makes semantic labels, centre heatmap, offsets and weights; put it after all geometric transforms.

    Required keys: ``gt_seg_map`` of ``LoadPanoptic``, ``segments_info``. Modified key: ``gt_seg_map`` (H, W) int64, now
    the semantic labels. Added key: ``gt_panoptic_maps``, a
    :class:`~hyctas_mm.datasets.panoptic.targets.TargetMaps`.

    Args:
        sigma: Standard deviation of the Gaussians in pixels: 8 for COCO, 10 for Cityscapes.
        small_area: Instances of fewer pixels, as they are after resizing and cropping, have ``small_weight``.
        small_weight: Weight of small instances in the semantic loss.
        ignore_crowd: Whether crowd regions are void for the semantic labels too. NOTE(release): detectron2's mapper
            labels them by default; a crowd has no centres, so its pixels would be given to the nearest instance.

    Raises:
        ValueError: For a ``sigma`` or ``small_weight`` that is not positive, or a ``gt_seg_map`` that is not from
            ``LoadPanoptic``.

    Example:
        >>> train_pipeline = [
        ...     dict(type='LoadImageFromFile'), dict(type='LoadPanoptic'),
        ...     dict(type='RandomResize', scale=(640, 640), ratio_range=(0.5, 2.0), keep_ratio=True),
        ...     dict(type='RandomFlip', prob=0.5),
        ...     dict(type='RandomCrop', crop_size=(640, 640)), dict(type='Pad', size=(640, 640)),
        ...     dict(type='PanopticTargets', sigma=8),
        ...     dict(type='PackPanopticInputs')]
    """

    def __init__(
        self, sigma: float = 8.0, small_area: float = 4096.0, small_weight: float = 3.0, ignore_crowd: bool = True
    ) -> None:
        for name, value in (('sigma', sigma), ('small_weight', small_weight)):
            if not value > 0:
                raise BadValue(f'PanopticTargets: {name}={value}; expected a positive number')
        self.sigma, self.small_area, self.small_weight, self.ignore_crowd = (
            sigma,
            small_area,
            small_weight,
            ignore_crowd,
        )

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        if 'gt_seg_map' not in results:
            raise BadValue(
                f'image {results.get("img_path")} has no segments; put LoadPanoptic before PanopticTargets, or leave '
                'both out'
            )
        maps = build_targets(
            ids_from_seg_map(results['gt_seg_map']),
            results['segments_info'],
            self.sigma,
            self.small_area,
            self.small_weight,
            self.ignore_crowd,
        )
        results['gt_seg_map'], results['gt_panoptic_maps'] = maps.semantic, maps
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(sigma={self.sigma}, small_area={self.small_area}, '
            f'small_weight={self.small_weight}, '
            f'ignore_crowd={self.ignore_crowd})'
        )
