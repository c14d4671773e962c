"""A folder in COCO-panoptic form, looked at and checked. Reads JSON and PNGs itself: mmdet is not needed to look."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hyctas_mm.wizard.data import DataError, PanopticData, PanopticFile, Sizes, evenly
from hyctas_mm.wizard.hold_out import make_split
from hyctas_mm.wizard.labels import image_hw

Content = Mapping[str, Any]
_SHOWN = 8
_OWN_FOLDERS = ('images/{0}', '{0}2017', 'images/{0}2017', '{0}', 'leftImg8bit/{0}', 'images')


def look_at_panoptic(
    root: Path,
    train: tuple[str, str] | None = None,
    val: tuple[str, str] | None = None,
    check: int = 500,
    most_select: int = 256,
) -> PanopticData:
    """Finds the JSONs with their images and PNGs, checks them, and deals the images out.

    Args:
        root: The folder of the data.
        train: Folder of the training images and the JSON, relative to ``root``, where the usual names do not do.
        val: Those of the validation images.
        check: Number of PNGs to look at, spread over all; 0 for all.
        most_select: The most images to score candidates on.

    Raises:
        DataError: With everything that is wrong; files and values are named.
    """
    if not root.is_dir():
        raise DataError([f'no folder {root}; give --data-root the folder that holds images and panoptic JSONs'])
    train_file = _find(root, 'train', train)
    if train_file is None:
        raise DataError(
            [f'no panoptic JSON for training in {root} (expected panoptic_train.json or '
             'annotations/panoptic_train2017.json); '
             'name it with --train IMAGES JSON, relative to the folder']
        )  # fmt: skip
    content = _load(root / train_file.ann_file)
    val_file = _find(root, 'val', val)
    val_content = _load(root / val_file.ann_file) if val_file else None
    problems, sizes = _check(root, train_file, content, check)
    if val_file and val_content:
        more, others = _check(root, val_file, val_content, check)
        problems += more
        sizes += others
        if _categories(content) != _categories(val_content):
            problems.append(
                f'{train_file.ann_file} and {val_file.ann_file} have different categories; both must have the same '
                'ids, names and isthing'
            )
    if problems:
        raise DataError(problems[:_SHOWN] + ([f'and {len(problems) - _SHOWN} more'] if len(problems) > _SHOWN else []))
    order = tuple(str(image['file_name']) for image in content['images'])
    split = make_split(
        order, [str(image['file_name']) for image in val_content['images']] if val_content else None, most_select
    )
    names: dict[bool, list[str]] = {True: [], False: []}
    for category in content['categories']:
        names[bool(category['isthing'])].append(str(category['name']))
    sides = [area**0.5 for area in _thing_areas(content)]
    notes = _notes(content)
    if not names[True]:
        raise DataError(
            [f'{train_file.ann_file} has no thing category; for semantic segmentation leave --like coco-panoptic out']
        )
    return PanopticData(
        root,
        train_file,
        val_file or train_file,
        tuple(names[True]),
        tuple(names[False]),
        split,
        order,
        Sizes.of(sizes),
        statistics.median(sides) if sides else 0.0,
        tuple(notes),
    )


def _find(root: Path, split: str, given: tuple[str, str] | None) -> PanopticFile | None:
    """The JSON of a split with its folders; of several the one with the shortest name."""
    if given:
        images, json_name = given
        path = root / json_name
        if not path.is_file() or not (root / images).is_dir():
            raise DataError(
                [f'no {path if not path.is_file() else root / images}; --{split} takes IMAGES JSON, relative to {root}']
            )
    else:
        places = [
            p
            for folder in (root, root / 'annotations')
            if folder.is_dir()
            for p in folder.glob('*panoptic*.json')
            if split in p.stem
        ]
        if not places:
            return None
        path = min(places, key=lambda p: (len(p.name), str(p)))
        content = _load(path)
        first = str(content['images'][0]['file_name'])
        folders = [pattern.format(split) for pattern in _OWN_FOLDERS]
        images = next((folder for folder in folders if (root / folder / first).is_file()), '')
        if not images:
            raise DataError(
                [
                    f'image {first} of {path} is in none of {", ".join(folders)} of {root}; name the folder with '
                    f'--{split} IMAGES JSON'
                ]
            )
    seg = path.with_suffix('')
    if not seg.is_dir():
        raise DataError([f'no folder {seg} with the PNGs of {path}; it must lie beside the JSON and have its name'])
    return PanopticFile(path.relative_to(root).as_posix(), seg.relative_to(root).as_posix(), images)


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError([f'{path} is no JSON file ({error}); expected a COCO-panoptic JSON']) from None
    lacking = sorted({'images', 'annotations', 'categories'} - set(content if isinstance(content, dict) else ()))
    if lacking or not content['images']:
        raise DataError([f'{path} has no {", ".join(lacking) or "image"}; expected a COCO-panoptic JSON'])
    return dict(content)


def _check(root: Path, file: PanopticFile, content: Content, check: int) -> tuple[list[str], Counter[tuple[int, int]]]:
    """What is wrong, and the sizes of the images looked at."""
    problems: list[str] = []
    sizes: Counter[tuple[int, int]] = Counter()
    annotations = {str(a['image_id']): a for a in content['annotations']}
    images = {str(image['id']): image for image in content['images']}
    alone = sorted(set(images) - set(annotations))
    if alone:
        return [
            f'{file.ann_file}: {len(alone)} of {len(images)} images have no annotation, e.g. image {alone[0]}; remove '
            'them from the JSON'
        ], sizes
    looked_at = set(evenly(list(images), check))
    for ident, image in images.items():
        try:
            hw = image_hw(root / file.images / image['file_name'])
            sizes[hw] += 1
            if ident in looked_at:
                problems += _check_png(
                    root / file.seg / Path(annotations[ident]['file_name']).with_suffix('.png'), hw, annotations[ident]
                )
        except DataError as error:
            problems += error.problems
    return problems, sizes


def _check_png(path: Path, hw: tuple[int, int], annotation: Content) -> Iterator[str]:
    try:
        with Image.open(path) as image:
            bands, colours = image.getbands(), np.asarray(image)
    except OSError as error:
        yield f'PNG {path} cannot be read ({error}); replace it'
        return
    if bands != ('R', 'G', 'B'):
        yield f'PNG {path} has the channels {"".join(bands)}; expected RGB with segment ids R + 256 G + 65536 B'
        return
    if colours.shape[:2] != hw:
        yield (
            f'PNG {path} is {colours.shape[1]}x{colours.shape[0]} but its image is {hw[1]}x{hw[0]}; both must have '
            'one size'
        )
    wide = colours.astype(np.int64)
    ids = set(np.unique(wide[..., 0] + 256 * wide[..., 1] + 65536 * wide[..., 2]).tolist()) - {0}
    told = {int(segment['id']) for segment in annotation['segments_info']}
    if ids - told:
        yield (
            f'PNG {path} holds the segment id {min(ids - told)}, which segments_info of the JSON does not name; '
            'write both with one tool'
        )


def _categories(content: Content) -> list[tuple[Any, ...]]:
    return sorted((c['id'], c['name'], bool(c['isthing'])) for c in content['categories'])


def _thing_areas(content: Content) -> Iterator[float]:
    things = {category['id'] for category in content['categories'] if category['isthing']}
    for annotation in content['annotations']:
        for segment in annotation['segments_info']:
            if segment['category_id'] in things and segment.get('area', 0) > 0:
                yield float(segment['area'])


def _notes(content: Content) -> Sequence[str]:
    used = {segment['category_id'] for annotation in content['annotations'] for segment in annotation['segments_info']}
    absent = [repr(c['name']) for c in content['categories'] if c['id'] not in used]
    if not absent:
        return []
    return [
        f'{len(absent)} of {len(content["categories"])} categories occur in no training image: '
        f'{", ".join(absent[:_SHOWN])}; no network learns them'
    ]
