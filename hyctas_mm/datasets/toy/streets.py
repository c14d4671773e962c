"""Toy streets as a data set in the layout of Cityscapes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np

from hyctas_mm.datasets.toy.scene import MIN_SIDE, Scene, check_int, render_scene
from hyctas_mm.errors import FileInTheWay

IGNORE_TRAIN_ID = 255
# The official Cityscapes table (cityscapesScripts, helpers/labels.py); every other labelId is ignored in training.
LABEL_ID_TO_TRAIN_ID: dict[int, int] = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9,
    23: 10, 24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18,
}  # fmt: skip
TRAIN_CITIES, VAL_CITIES = ('toyville', 'toydorf', 'toyburg'), ('toyhaven',)
MANIFEST_NAME = 'toy_streets.json'
# Raise this whenever a change in this folder alters the pixels, so that a set made by older code is not taken for a new
# one.
GENERATOR_VERSION = 1


def _write(path: Path, data: bytes) -> None:
    """Write through a temporary file, so that a broken run leaves no half file under the final name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_name(f'{path.name}.{os.getpid()}.tmp')
    partial_path.write_bytes(data)
    os.replace(partial_path, path)


def _manifest_text(arguments: dict[str, int]) -> str:
    return json.dumps(arguments, indent=2) + '\n'


def _write_scene(root: Path, split: str, city: str, index: int, scene: Scene) -> list[Path]:
    train_ids = np.full(256, IGNORE_TRAIN_ID, dtype=np.uint8)
    train_ids[list(LABEL_ID_TO_TRAIN_ID)] = list(LABEL_ID_TO_TRAIN_ID.values())
    stem = f'{city}_{index:06d}_000019'
    paths = []
    for folder, suffix, array in (
        ('leftImg8bit', 'leftImg8bit', cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR)),
        ('gtFine', 'gtFine_labelIds', scene.label_ids),
        ('gtFine', 'gtFine_labelTrainIds', train_ids[scene.label_ids]),
        ('gtFine', 'gtFine_instanceIds', scene.instance_ids),
    ):
        paths.append(root / folder / split / city / f'{stem}_{suffix}.png')
        _write(paths[-1], cv2.imencode('.png', array)[1].tobytes())
    return paths


def generate_toy_streets(
    root: str | Path,
    num_train: int = 96,
    num_val: int = 32,
    height: int = 128,
    width: int = 256,
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Write a toy data set in the Cityscapes layout, unless the same one is there already.

    Image ``i`` of a split depends on ``seed``, the split, ``i`` and the size only, not on how many images are made.
    The manifest ``toy_streets.json`` is written last, so a run that was broken off is made anew by the next call.

    Args:
        root: Folder that gets ``leftImg8bit`` and ``gtFine``; made if it is not there.
        num_train: Number of training images, at least 0, dealt out to the training cities in turn.
        num_val: Number of validation images, at least 0.
        height: Image height in pixels, at least 32.
        width: Image width in pixels, at least 32.
        seed: Seed of the whole set, at least 0.
        overwrite: Replace a toy set made with other arguments instead of raising.

    Returns:
        ``root`` as a path.

    Raises:
        TypeError: If a count, a side or the seed is not an int.
        ValueError: If a count or the seed is negative or a side is below 32.
        FileExistsError: If ``root`` holds a set made with other arguments and ``overwrite`` is False.
    """
    root = Path(root)
    wanted = {'num_train': num_train, 'num_val': num_val, 'height': height, 'width': width, 'seed': seed}
    for name, value in wanted.items():
        check_int(name, value, MIN_SIDE if name in ('height', 'width') else 0)
    wanted['version'] = GENERATOR_VERSION
    manifest = root / MANIFEST_NAME
    if manifest.exists():
        held = manifest.read_text(encoding='utf-8')
        if held == _manifest_text(wanted):
            return root
        if not overwrite:
            raise FileInTheWay(
                f'{root} holds toy streets made with {" ".join(held.split())}, but {json.dumps(wanted)} was asked for; '
                'choose another root, or pass overwrite=True to replace them'
            )
        manifest.unlink()
    kept: set[Path] = set()
    splits = (('train', TRAIN_CITIES, num_train), ('val', VAL_CITIES, num_val))
    for split_index, (split, cities, count) in enumerate(splits):
        for i in range(count):
            scene = render_scene(np.random.default_rng([seed, split_index, i]), height, width)
            kept.update(_write_scene(root, split, cities[i % len(cities)], i, scene))
        for city in cities:  # left over from a larger set
            for folder in ('leftImg8bit', 'gtFine'):
                for path in set((root / folder / split / city).glob(f'{city}_*.png')) - kept:
                    path.unlink()
    _write(manifest, _manifest_text(wanted).encode())
    return root
