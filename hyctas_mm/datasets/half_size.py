"""Copies of training images at half their sides, for trainings that never look at them larger.

Decoding is what a training on a GPU waits for: of a Cityscapes image most of it is PNG, and a copy has a quarter of the
pixels.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
from PIL import Image

from hyctas_mm.errors import BadValue

NOTE = 'half_size.json'
"""In the folder of the copies: the long and the short side of the smallest one."""

Step = Mapping[str, Any]


def is_enough(pipeline: Sequence[Step], sides: tuple[int, int]) -> bool:
    """Whether a pipeline never makes images of these sides larger.

    Args:
        pipeline: Steps of a training; what scales the image is the first of mmcv's ``RandomResize`` and ``Resize``,
            with ``keep_ratio``. Other scaling, and none, want the image as it is.
        sides: The long and the short side in pixels.
    """
    for step in _flat(pipeline):
        if step['type'] in ('RandomResize', 'Resize') and step.get('keep_ratio') and 'scale' in step:
            largest = max(step.get('ratio_range', (1.0,)))
            scale = step['scale']
            wanted = sorted((scale, scale) if isinstance(scale, (int, float)) else scale, reverse=True)
            return min(side * largest / own for side, own in zip(wanted, sides, strict=True)) <= 1
        if step['type'].endswith(('Resize', 'ResizeShortestEdge', 'Crop')):
            return False
    return False


def _flat(steps: Sequence[Any]) -> Iterator[Step]:
    """All steps, also those within others, e.g. in the lists of mmcv's ``RandomChoice``."""
    for step in steps:
        if isinstance(step, Mapping):
            yield step
            yield from _flat(step.get('transforms', ()))
        else:
            yield from _flat(step)


def check_half_size(data_root: str | Path | None, pipeline: Sequence[Step], name: str) -> None:
    """Refuses a training on copies that its pipeline makes larger.

    Args:
        data_root: Folder of the data set, which may hold copies.
        pipeline: Steps of the training.
        name: Where the config has the data set, e.g. ``'train_dataloader'``.

    Raises:
        ValueError: Naming the folder and the size of its images.
    """
    note = Path(data_root or '.') / NOTE
    if data_root and note.is_file():
        sides = json.loads(note.read_text(encoding='utf-8'))['smallest']
        if not is_enough(pipeline, tuple(sides)):
            raise BadValue(
                f'{name}: {data_root} holds images of half size, of {sides[0]}x{sides[1]} pixels or more, and the '
                'pipeline takes larger ones; set data_root (--data-root DIR) to the folder of the whole images'
            )


def write_half_size(
    samples: Sequence[Mapping[str, Any]],
    kept: Iterable[str],
    pipeline: Sequence[Step],
    root: Path,
    out: Path,
    workers: int = 4,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Mirrors a data set's folder with images and labels of half their sides; any other file is a link.

    An image is the mean of its pixels, a label the first of four. Images that the pipeline would make larger again are
    links too. Files that are there are kept, so an interrupted run goes on.

    Args:
        samples: ``img_path`` and ``seg_map_path`` each.
        kept: Paths of images that are left whole, such as those for validation: scores count the pixels of their
            labels.
        pipeline: Steps of the training.
        root: The data set's folder.
        out: Where the copies go.
        workers: Threads.
        watch: Told how many of how many images are done.

    Returns:
        The number of images that have half their sides.

    Raises:
        ValueError: If ``out`` lies in ``root``, or the pipeline takes every image larger than half.
    """
    root, out = root.absolute(), out.absolute()
    if out.resolve() == root.resolve() or root.resolve() in out.resolve().parents:
        raise BadValue(f'{out} is in the folder of the images, {root}; give one outside')
    whole = {Path(path).absolute() for path in kept}
    pairs = ((Path(s['img_path']).absolute(), s.get('seg_map_path')) for s in samples)
    labels = {image: Path(label).absolute() for image, label in pairs if label and image not in whole}
    smaller = {image: _half(image) for image in labels}
    smaller = {image: sides for image, sides in smaller.items() if is_enough(pipeline, _sorted(sides))}
    if not smaller:
        raise BadValue(
            f'of {len(samples)} training images under {root} none may be halved: the pipeline scales them to more than '
            'half their sides (RandomResize, Resize with keep_ratio), or they are validation images too; train on the '
            'whole images'
        )
    copied = {path for image in smaller for path in (image, labels[image])}
    for path in _files(root):
        if path not in copied:
            target = out / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists() and not target.is_symlink():
                raise BadValue(
                    f'{target} is a copy of half size, made for a config that trains on this image; this one does not: '
                    'give another folder'
                )
            if not target.is_symlink():
                target.symlink_to(path)

    def write(image: Path) -> None:
        _write(out / image.relative_to(root), mmcv.imread(image, 'unchanged'), smaller[image], cv2.INTER_AREA)
        label = mmcv.imread(labels[image], 'unchanged', backend='pillow')  # indices, of a palette too
        _write(out / labels[image].relative_to(root), label, smaller[image], cv2.INTER_NEAREST)

    with ThreadPoolExecutor(workers) as pool:  # OpenCV lets other threads run
        for done, _ in enumerate(pool.map(write, smaller), 1):
            watch(done, len(smaller))
    least = min((_sorted(sides) for sides in smaller.values()), key=min)
    (out / NOTE).write_text(json.dumps(dict(smallest=least, images=len(smaller))), encoding='utf-8')
    return len(smaller)


def _files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root, followlinks=True):
        yield from (Path(folder) / name for name in names)


def _half(image: Path) -> tuple[int, int]:
    with Image.open(image) as opened:  # reads the header only
        width, height = opened.size
    return (width + 1) // 2, (height + 1) // 2


def _sorted(sides: tuple[int, int]) -> tuple[int, int]:
    return max(sides), min(sides)


def _write(path: Path, pixels: np.ndarray[Any, Any], sides: tuple[int, int], method: int) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    small = cv2.resize(pixels, sides, interpolation=method)
    partial = path.with_name(f'.{path.name}')
    encoded = cv2.imencode(path.suffix, small, [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    partial.write_bytes(encoded.tobytes())
    os.replace(partial, path)
