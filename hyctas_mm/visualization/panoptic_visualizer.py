"""mmengine's visualizer for panoptic segmentation."""

from __future__ import annotations

from typing import Any

import cv2
import mmcv
import numpy as np
import numpy.typing as npt
from mmengine.dist import master_only
from mmengine.registry import VISUALIZERS
from mmengine.visualization import Visualizer

from hyctas_mm.errors import BadValue
from hyctas_mm.visualization.panoptic_overlay import Image, default_palette, panoptic_overlay, true_panoptic


@VISUALIZERS.register_module()
class PanopticVisualizer(Visualizer):
    """Draws panoptic ground truth beside the prediction: things outlined and each in a shade of its own, stuff filled,
    with the classes' names.

    For mmdet's ``DetVisualizationHook``. mmdet's own ``DetLocalVisualizer`` does not serve here: it takes the segment
    ids of ``gt_panoptic_seg`` for labels, and paints ``pred_sem_seg`` under the panoptic prediction.

    Example:
        >>> visualizer = dict(type='PanopticVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer')
        >>> default_hooks = dict(visualization=dict(type='DetVisualizationHook'))
    """

    @master_only
    def add_datasample(
        self,
        name: str,
        image: npt.NDArray[np.uint8],
        data_sample: Any = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        pred_score_thr: float = 0.0,
        step: int = 0,
    ) -> None:
        """Draws a sample and shows, writes or stores the picture.

        Args:
            name: Identifies the picture in a backend, or the window.
            image: (H, W, 3), RGB.
            data_sample: A ``DetDataSample`` with ``pred_panoptic_seg`` in mmdet's encoding, or ``gt_panoptic_seg`` and
                ``gt_segments_info``, or both; without either the picture is the image.
            draw_gt: Whether to draw the ground truth, on the left.
            draw_pred: Whether to draw the prediction.
            show: Whether to open a window.
            wait_time: Seconds for which it stays open.
            out_file: File to write to, in place of the backends.
            pred_score_thr: Not used: a panoptic prediction is drawn as it is scored, with all of its segments.
            step: Step under which a backend stores it.

        Raises:
            ValueError: Without the data set's classes.
        """
        maps = [] if data_sample is None else self._maps(data_sample, draw_gt, draw_pred)
        drawn = np.concatenate([self._draw(image, panoptic) for panoptic in maps], axis=1) if maps else image
        self.set_image(drawn)
        if show:
            self.show(drawn, win_name=name, wait_time=wait_time)
        if out_file is not None:
            mmcv.imwrite(drawn[..., ::-1], out_file)  # RGB -> BGR
        elif not show:
            self.add_image(name, drawn, step)

    def _classes(self) -> tuple[str, ...]:
        classes = (self.dataset_meta or {}).get('classes')
        if not classes:
            raise BadValue(
                f"{type(self).__name__}: dataset_meta has no 'classes'; set visualizer.dataset_meta = dataset.metainfo"
            )
        return tuple(classes)

    def _maps(self, sample: Any, draw_gt: bool, draw_pred: bool) -> list[npt.NDArray[Any]]:
        """The maps (H, W) to draw, in mmdet's encoding."""
        maps = []
        if draw_gt and 'gt_panoptic_seg' in sample:
            ids = sample.gt_panoptic_seg.sem_seg[0].cpu().numpy()
            maps.append(true_panoptic(ids, sample.gt_segments_info, len(self._classes())))
        if draw_pred and 'pred_panoptic_seg' in sample:
            maps.append(sample.pred_panoptic_seg.sem_seg[0].cpu().numpy())
        return maps

    def _draw(self, image: npt.NDArray[np.uint8], panoptic: npt.NDArray[Any]) -> Image:
        classes = self._classes()
        palette = (self.dataset_meta or {}).get('palette') or default_palette(len(classes))
        if image.shape[:2] != panoptic.shape:
            image = cv2.resize(image, panoptic.shape[::-1])
        # RGB -> BGR -> RGB
        drawn: Image = panoptic_overlay(np.ascontiguousarray(image[..., ::-1]), panoptic, palette, classes)[..., ::-1]
        return drawn
