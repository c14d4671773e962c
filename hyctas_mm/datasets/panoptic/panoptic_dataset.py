"""COCO-panoptic data with everything that targets and panoptic quality need."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import mmengine
from mmdet.datasets import CocoPanopticDataset

from hyctas_mm.datasets.panoptic.categories import complete_metainfo, labels_by_category
from hyctas_mm.datasets.panoptic.segment_ids import MAX_ID, VOID_ID
from hyctas_mm.errors import BadValue, NoSuchFile
from hyctas_mm.registry import DATASETS


def missing_files(paths: Iterable[str]) -> list[str]:
    """Those of the paths that are no files; every folder is listed once, as asking for each file takes minutes on
    network disks.
    """
    listings: dict[str, frozenset[str]] = {}
    missing = []
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in listings:
            listings[folder] = frozenset(os.listdir(folder) if os.path.isdir(folder) else ())
        if name not in listings[folder]:
            missing.append(path)
    return missing


@DATASETS.register_module()
class PanopticDataset(CocoPanopticDataset):
    """COCO-panoptic data set: a JSON of segments and a folder of PNGs whose colours are segment ids.

    Differs from mmdet's ``CocoPanopticDataset``: keeps ``iscrowd`` (without which crowd regions become false
    negatives), keeps every segment however small, takes labels by category name and not by the order in the file, takes
    each PNG's name from its annotation, and checks the files on loading.

    Labels are contiguous with things first. Without ``metainfo`` (or with one that has no ``classes``) the classes are
    the JSON's categories, in its order within things and within stuff; with ``lazy_init`` they are known after
    ``full_init()``.

    Every sample has ``img_path``, ``img_id``, ``height``, ``width``, ``seg_map_path`` (None without
    ``data_prefix['seg']``), ``instances`` as in mmdet, and ``segments_info``, a list of
    ``dict(id, category, is_thing, iscrowd)``: ``category`` is the label, ``is_thing`` is that of the category, crowd or
    not. ``class_counts`` are the numbers of thing and stuff classes, which the detector compares with its own.

    Args:
        **kwargs: See mmdet's ``CocoPanopticDataset``.

    Raises:
        ValueError: If the file is no COCO-panoptic JSON, or its categories and metainfo do not fit; the categories are
            named.
        FileNotFoundError: If images or PNGs are missing (local files only), with an example and how many.

    Example:
        >>> dataset = PanopticDataset(
        ...     data_root='data/nuclei', ann_file='panoptic_val.json', data_prefix=dict(img='images',
        ...     seg='panoptic_val'), pipeline=[])
        >>> dataset.metainfo['thing_classes']
        ('nucleus',)
    """

    METAINFO: dict[str, Any] = {}
    _metainfo: dict[str, Any]

    def load_data_list(self) -> list[dict[str, Any]]:
        content = mmengine.load(self.ann_file, backend_args=self.backend_args)
        self._check_content(content)
        self._metainfo = complete_metainfo(self._metainfo, content['categories'], self.ann_file)
        self.cat2label = labels_by_category(self._metainfo['classes'], content['categories'])
        self.cat_ids = list(self.cat2label)
        annotation_of = {annotation['image_id']: annotation for annotation in content.get('annotations', ())}
        self._check_segments(annotation_of.values())
        samples = [
            self.parse_data_info(dict(raw_img_info=image, raw_ann_info=annotation_of.get(image['id'], {})))
            for image in content['images']
        ]
        self._check_files('image', 'img', [sample['img_path'] for sample in samples])
        self._check_files('PNG', 'seg', [sample['seg_map_path'] for sample in samples if sample['seg_map_path']])
        return samples

    def image_path(self, image: dict[str, Any]) -> str:
        """Path of the image file of an entry of the JSON's ``images``."""
        return os.path.join(self.data_prefix['img'] or '', image['file_name'])

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> dict[str, Any]:
        """Makes a sample from an image's entry and its annotation (empty for an image without one)."""
        image, annotation = raw_data_info['raw_img_info'], raw_data_info['raw_ann_info']
        segments = [self._segment(raw) for raw in annotation.get('segments_info', ())]
        return dict(
            img_path=self.image_path(image),
            img_id=image['id'],
            height=image['height'],
            width=image['width'],
            seg_map_path=self._png_path(annotation),
            segments_info=segments,
            class_counts=(len(self._metainfo['thing_classes']), len(self._metainfo['stuff_classes'])),
            instances=self._instances(annotation.get('segments_info', ()), segments),
        )

    def _segment(self, raw: dict[str, Any]) -> dict[str, Any]:
        label = self.cat2label[raw['category_id']]
        is_thing = label < len(self._metainfo['thing_classes'])
        return dict(id=raw['id'], category=label, is_thing=is_thing, iscrowd=bool(raw.get('iscrowd', 0)))

    def _png_path(self, annotation: dict[str, Any]) -> str | None:
        if not annotation or not self.data_prefix.get('seg'):
            return None
        # mmdet's converter for ADE20K writes the image's name into the annotation
        return os.path.join(self.data_prefix['seg'], os.path.splitext(annotation['file_name'])[0] + '.png')

    @staticmethod
    def _instances(raws: Sequence[dict[str, Any]], segments: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Boxes (x1, y1, x2, y2) of the things in mmdet's form, for its detectors and samplers; crowd is left out as
        mmdet does.
        """
        instances = []
        for raw, segment in zip(raws, segments, strict=True):
            x, y, width, height = raw.get('bbox', (0, 0, 0, 0))
            if segment['is_thing'] and not segment['iscrowd'] and width >= 1 and height >= 1:
                instances.append(
                    dict(bbox=[x, y, x + width, y + height], bbox_label=segment['category'], ignore_flag=0)
                )
        return instances

    def _check_content(self, content: Any) -> None:
        keys = {'images', 'categories'} | ({'annotations'} if self.data_prefix.get('seg') else set())
        lacking = keys - set(content if isinstance(content, dict) else ())
        if lacking:
            raise BadValue(f'{self.ann_file} has no {sorted(lacking)}; expected a COCO-panoptic JSON')
        if not self.data_prefix.get('seg'):
            return
        images, annotated = (
            {entry[key] for entry in content[part]} for part, key in (('images', 'id'), ('annotations', 'image_id'))
        )
        for extra, what in (
            (images - annotated, 'images without an annotation'),
            (annotated - images, 'annotations without an image'),
        ):
            if extra:
                raise BadValue(
                    f'{self.ann_file}: {len(extra)} {what}, e.g. {sorted(map(str, extra))[0]}, among {len(images)} '
                    'images; '
                    "every image needs one annotation (without ground truth, leave data_prefix['seg'] out)"
                )

    def _check_segments(self, annotations: Iterable[dict[str, Any]]) -> None:
        unknown = {}
        for annotation in annotations:
            ids = [raw['id'] for raw in annotation['segments_info']]
            if len(set(ids)) < len(ids) or (ids and not VOID_ID < min(ids) <= max(ids) <= MAX_ID):
                raise BadValue(
                    f'{self.ann_file}: image {annotation["image_id"]} has segment ids {sorted(ids)[:8]}; '
                    f'expected distinct ids in 1..{MAX_ID}, 0 is void'
                )
            for raw in annotation['segments_info']:
                if raw['category_id'] not in self.cat2label:
                    unknown[raw['category_id']] = annotation['image_id']
        if unknown:
            raise BadValue(
                f'{self.ann_file}: segments have category ids {sorted(unknown)[:8]}, e.g. in image '
                f'{next(iter(unknown.values()))}; '
                f"expected ids of the file's {len(self.cat2label)} categories"
            )

    def _check_files(self, what: str, prefix: str, paths: Sequence[str]) -> None:
        if (self.backend_args or {}).get('backend', 'local') != 'local' or any('://' in path for path in paths[:1]):
            return
        missing = missing_files(paths)
        if missing:
            raise NoSuchFile(
                f'{len(missing)} of {len(paths)} {what} files of {self.ann_file} are missing, e.g. {missing[0]}; '
                f"check data_prefix['{prefix}'], and that ann_file is of the same split"
            )
