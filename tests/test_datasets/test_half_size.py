"""Copies of training images at half their sides, and what is refused on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from hyctas_mm.datasets.checks import check_images
from hyctas_mm.datasets.half_size import is_enough
from tests.conftest import run_script

READ = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
SCALE = dict(type='RandomResize', scale=(48, 24), ratio_range=(0.5, 1.0), keep_ratio=True)
CROP = dict(type='RandomCrop', crop_size=(8, 8))


@pytest.mark.parametrize(
    ('steps', 'expected'),
    [
        ([SCALE, CROP], True),
        ([dict(SCALE, ratio_range=(0.5, 2.0)), CROP], False),
        ([dict(SCALE, scale=(999, 24)), CROP], True),
        ([dict(SCALE, keep_ratio=False), CROP], False),
        ([CROP, SCALE], False),
        ([dict(type='ResizeShortestEdge', scale=8, max_size=9), CROP], False),
        ([dict(type='Cached', transforms=[dict(type='Resize', scale=(24, 48), keep_ratio=True)])], True),
        ([], False),
    ],
)
def test_whether_half_is_enough(steps: list[dict[str, Any]], expected: bool) -> None:
    assert is_enough([*READ, *steps], (48, 24)) is expected


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A training on two images of 48x96, with another one for validation in the same folder, and a small one."""
    rng = np.random.default_rng(0)
    for name, sides in (('a', (48, 96)), ('b', (48, 96)), ('small', (20, 30)), ('val', (48, 96))):
        for folder, pixels in (('images', rng.integers(0, 256, (*sides, 3))), ('labels', rng.integers(0, 3, sides))):
            (tmp_path / 'whole' / folder).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / 'whole' / folder / f'{name}.png'), pixels.astype(np.uint8))
    (tmp_path / 'whole' / 'train.txt').write_text('a\nb\nsmall\n')
    (tmp_path / 'whole' / 'val.txt').write_text('val\n')
    dataset = dict(
        type='BaseSegDataset',
        data_root=str(tmp_path / 'whole'),
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        img_suffix='.png',
        metainfo=dict(classes=('a', 'b', 'c')),
        pipeline=[*READ, SCALE, CROP],
    )
    val = dict(dataset=dict(dataset, ann_file='val.txt', pipeline=READ))
    train = dict(dataset=dict(dataset, ann_file='train.txt'))
    cfg = Config(dict(train_dataloader=train, val_dataloader=val, test_dataloader=val))
    cfg.dump(str(tmp_path / 'config.py'))
    return tmp_path / 'config.py'


def test_copies_of_a_training(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, whole = tmp_path / 'half', tmp_path / 'whole'
    for _ in range(2):  # again: nothing is written anew
        assert run_script(monkeypatch, 'tools/prepare_data.py', config, out, '--workers', 2) == 0
        assert f'2 of 3 training images at half their sides: --data-root {out}' in capsys.readouterr().out
    image, label = (cv2.imread(str(out / folder / 'a.png'), cv2.IMREAD_UNCHANGED) for folder in ('images', 'labels'))
    full = cv2.imread(str(whole / 'images' / 'a.png'))
    assert np.abs(image - full.reshape(24, 2, 48, 2, 3).mean((1, 3))).max() <= 0.5
    assert np.array_equal(label, cv2.imread(str(whole / 'labels' / 'a.png'), cv2.IMREAD_UNCHANGED)[::2, ::2])
    for kept in ('images/val.png', 'labels/val.png', 'images/small.png', 'train.txt'):
        assert (out / kept).is_symlink() and (out / kept).read_bytes() == (whole / kept).read_bytes()
    assert not list(out.rglob('.*.png'))
    settings = Config.fromfile(config).train_dataloader.dataset
    check_images({**settings, 'data_root': str(out)}, 'train_dataloader')
    larger = [*READ, dict(SCALE, scale=(96, 48)), CROP]
    with pytest.raises(ValueError, match='train_dataloader: .*half holds images of half size, of 48x24 pixels or more'):
        check_images({**settings, 'data_root': str(out), 'pipeline': larger}, 'train_dataloader')
    check_images({**settings, 'data_root': str(out), 'pipeline': larger}, 'val_dataloader')


@pytest.mark.parametrize(
    ('out', 'options', 'message'),
    [
        ('half', ['train_dataloader.dataset.pipeline.2.ratio_range=(0.5,2.0)'], 'none may be halved: the pipeline'),
        ('half', ['val_dataloader.dataset.ann_file=train.txt'], 'or they are validation images too'),
        ('whole/half', [], 'whole/half is in the folder of the images'),
    ],
)
def test_what_is_refused(
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    out: str,
    options: list[str],
    message: str,
) -> None:
    more = ('--cfg-options', *options) if options else ()
    assert run_script(monkeypatch, 'tools/prepare_data.py', config, tmp_path / out, *more) == 2
    told = capsys.readouterr().err
    assert told.startswith('error: ') and message in told and told.count('\n') == 1
