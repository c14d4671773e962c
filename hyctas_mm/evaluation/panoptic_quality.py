"""The metric of panoptic segmentation for mmengine's evaluator."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.registry import METRICS
from rich.console import Console
from rich.table import Table
from torch import Tensor

from hyctas_mm.errors import BadValue
from hyctas_mm.evaluation.mask_ap import ImageInstances, average_precision, image_instances, require_pycocotools
from hyctas_mm.evaluation.matching import ClassAreas, Floats, PanopticSums, class_areas, match_segments, mean_of
from hyctas_mm.evaluation.segments import INSTANCE_OFFSET, Bools, TrueSegments

KNOWN_METRICS = ('PQ', 'mIoU', 'AP')
_QUALITIES = ('PQ', 'SQ', 'RQ')


@dataclass(frozen=True, eq=False)
class PanopticClasses:
    """The classes of a dataset.

    Attributes:
        names: C names.
        is_thing: (C,), whether a class is a thing; else it is stuff.
    """

    names: tuple[str, ...]
    is_thing: Bools

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any] | None) -> PanopticClasses:
        """Reads ``dataset_meta``.

        Raises:
            ValueError: If a key is missing, a class is not exactly one of thing and stuff, a name is repeated or
                unknown, or there are too many.
        """
        missing = [key for key in ('classes', 'thing_classes', 'stuff_classes') if key not in (meta or {})]
        if meta is None or missing:
            raise BadValue(f"PanopticQuality: dataset_meta lacks {missing}; set them in the dataset's METAINFO")
        names, things, stuff = (tuple(meta[key]) for key in ('classes', 'thing_classes', 'stuff_classes'))
        if len(set(names)) < len(names) or sorted(things + stuff) != sorted(names):
            raise BadValue(
                'PanopticQuality: each of classes must be in dataset_meta once, and in one of thing_classes and '
                'stuff_classes; '
                f'got classes={names}, thing_classes={things}, stuff_classes={stuff}'
            )
        if not 0 < len(names) < INSTANCE_OFFSET:
            raise BadValue(
                f'PanopticQuality: {len(names)} classes; the encoding of predictions has room for 1 to '
                f'{INSTANCE_OFFSET - 1}'
            )
        return cls(names, np.array([name in things for name in names]))


@dataclass(frozen=True, eq=False)
class ImageResult:
    """What one image adds to the metrics: small, on the CPU, to be sent between processes.

    Attributes:
        panoptic: For PQ.
        semantic: For mIoU, if asked for.
        instances: For AP, if asked for.
    """

    panoptic: PanopticSums
    semantic: ClassAreas | None
    instances: ImageInstances | None


@METRICS.register_module()
class PanopticQuality(BaseMetric):
    """Panoptic quality as COCO defines it, without panopticapi and without files; mIoU and mask AP of the same
    predictions.

    A sample needs

    - ``pred_panoptic_seg``: ``sem_seg`` (1, H, W), integers in mmdet's encoding, ``label + instance_id * 1000``. Each
      value is a segment, whatever its instance id; the label ``num_classes`` is void.
    - ``gt_panoptic_seg``: ``sem_seg`` (1, H, W), segment ids, 0 is void. The size must be the prediction's.
    - ``gt_segments_info``: a list of ``dict(id, category, is_thing, iscrowd)``, one for each id of the map,
      ``category`` being the class index.
    - ``pred_sem_seg``, for mIoU if there is one: ``sem_seg`` (1, H, W), labels. Without it the panoptic prediction's
      labels are taken.
    - ``pred_instances``, for AP: ``labels`` (N,), ``scores`` (N,), and ``masks`` (N, H, W) or ``panoptic_ids`` (N,),
      values of the panoptic prediction whose pixels are the masks.

    Every value is in percent and not rounded. An average leaves out classes that were neither annotated nor predicted
    and is NaN if none is left.

    Args:
        metric: Some of 'PQ', 'mIoU' and 'AP' (not called ``metrics``, by which mmengine knows the config of a whole
            evaluator).
        classwise: Also return ``PQ/<class>`` and log a table of all classes.
        collect_device: Where results are gathered, 'cpu' or 'gpu'.
        prefix: Put before each name: ``prefix/PQ``.
        collect_dir: A folder that all processes share, for ``collect_device='cpu'``.

    Returns:
        For 'PQ' the keys PQ, SQ, RQ of all classes, ``*_th`` of things and ``*_st`` of stuff; for 'mIoU' mIoU; for 'AP'
        AP and AP50.

    Raises:
        ValueError: If ``metric`` is empty or has unknown names; for a sample or ``dataset_meta`` that breaks the
            contract, naming image and value.
        ImportError: If AP is asked for and pycocotools is missing.

    Example:
        >>> val_evaluator = dict(type='PanopticQuality', metric=['PQ', 'mIoU'])
    """

    def __init__(
        self,
        metric: str | Sequence[str] = ('PQ',),
        classwise: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.wanted = (metric,) if isinstance(metric, str) else tuple(metric)
        unknown = [name for name in self.wanted if name not in KNOWN_METRICS]
        if unknown or not self.wanted:
            raise BadValue(
                f'PanopticQuality: metric={list(self.wanted)}, expected one or more of {list(KNOWN_METRICS)}; '
                f'unknown: {unknown}'
            )
        if 'AP' in self.wanted:
            require_pycocotools()
        self.classwise = classwise

    @torch.no_grad()
    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keeps one :class:`ImageResult` for each sample, in order."""
        classes = PanopticClasses.from_meta(self.dataset_meta)
        for sample in data_samples:
            image = (
                f'image {sample.get("img_path", sample.get("img_id", f"number {len(self.results)} of this process"))}'
            )
            self.results.append(self._process_image(sample, classes, image))

    def _process_image(self, sample: Mapping[str, Any], classes: PanopticClasses, image: str) -> ImageResult:
        num_classes = len(classes.names)
        pred, gt = _read_map(sample, 'pred_panoptic_seg', image), _read_map(sample, 'gt_panoptic_seg', image)
        segments = TrueSegments.from_infos(_required(sample, 'gt_segments_info', image), classes.is_thing, image)
        panoptic = match_segments(pred, gt, segments, num_classes, image)
        semantic = instances = None
        if 'mIoU' in self.wanted:
            labels = (
                _read_map(sample, 'pred_sem_seg', image) if 'pred_sem_seg' in sample else pred.long() % INSTANCE_OFFSET
            )
            semantic = class_areas(labels, gt, segments, num_classes, image)
        if 'AP' in self.wanted:
            instances = image_instances(
                _required(sample, 'pred_instances', image), pred, gt, segments, classes.is_thing, image
            )
        return ImageResult(panoptic, semantic, instances)

    def compute_metrics(self, results: Sequence[ImageResult]) -> dict[str, float]:
        """The metrics of all images.

        Args:
            results: One result for each image, of all processes.
        """
        classes = PanopticClasses.from_meta(self.dataset_meta)
        values: dict[str, float] = {}
        if 'PQ' in self.wanted:
            values |= self._panoptic_metrics(results, classes)
        if 'mIoU' in self.wanted:
            areas = reduce(
                add, (r.semantic for r in results if r.semantic is not None), ClassAreas.zero(len(classes.names))
            )
            values['mIoU'] = float(mean_of(areas.iou()))
        if 'AP' in self.wanted:
            values['AP'], values['AP50'] = average_precision([r.instances for r in results if r.instances is not None])
        return values

    def _panoptic_metrics(self, results: Sequence[ImageResult], classes: PanopticClasses) -> dict[str, float]:
        quality = reduce(add, (r.panoptic for r in results), PanopticSums.zero(len(classes.names))).quality()
        groups = {'': np.ones_like(classes.is_thing), '_th': classes.is_thing, '_st': ~classes.is_thing}
        means = {suffix: mean_of(quality[chosen]) for suffix, chosen in groups.items()}
        values = {
            name + suffix: float(mean)
            for suffix, of_group in means.items()
            for name, mean in zip(_QUALITIES, of_group, strict=True)
        }
        if self.classwise:
            values |= {f'PQ/{name}': float(row[0]) for name, row in zip(classes.names, quality, strict=True)}
            rows = [
                *zip(classes.names, quality, strict=True),
                ('things', means['_th']),
                ('stuff', means['_st']),
                ('all', means['']),
            ]
            print_log('\n' + _table(rows), logger='current')
        return values


def _table(rows: Sequence[tuple[str, Floats]]) -> str:
    table = Table('class', *(f'{name} (%)' for name in _QUALITIES))
    for name, values in rows:
        table.add_row(name, *('-' if np.isnan(value) else f'{value:.2f}' for value in values))
    out = io.StringIO()
    Console(file=out, width=100).print(table)
    return out.getvalue()


def _required(sample: Mapping[str, Any], key: str, image: str) -> Any:
    if key not in sample:
        raise BadValue(
            f'{image}: the sample lacks {key!r}, has {sorted(sample)}; the model must predict it, or the pipeline '
            'load and pack it'
        )
    return sample[key]


def _read_map(sample: Mapping[str, Any], key: str, image: str) -> Tensor:
    """The (H, W) map of an entry ``dict(sem_seg=(1, H, W))``."""
    entry = _required(sample, key, image)
    if 'sem_seg' not in entry:
        raise BadValue(f"{image}: {key} lacks 'sem_seg', has {sorted(entry)}")
    values: Tensor = entry['sem_seg']
    if values.ndim != 3 or values.shape[0] != 1 or not values.numel():
        raise BadValue(f'{image}: {key} is of shape {tuple(values.shape)}, expected (1, height, width)')
    if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
        raise BadValue(f'{image}: {key} is of type {values.dtype}, expected integers')
    return values[0]  # (1, H, W) -> (H, W)
