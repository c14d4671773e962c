"""A person's folder is understood, or refused with a sentence that helps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from hyctas_mm.wizard.data import DataError, Sizes
from hyctas_mm.wizard.find_semantic import find_semantic
from hyctas_mm.wizard.hold_out import hold_out, make_split
from hyctas_mm.wizard.panoptic import look_at_panoptic
from hyctas_mm.wizard.semantic import look_at_semantic, read_classes

CLASSES = ('road', 'sky', 'car')


def pair(root: Path, image: str, label: str, values: Any = (0, 1, 2), hw: tuple[int, int] = (32, 48)) -> None:
    """Writes an image and a label that holds the values."""
    for path in (root / image, root / label):
        path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(root / image), np.full((*hw, 3), 100, np.uint8))
    Image.fromarray(np.resize(np.asarray(values, np.uint8), hw)).save(root / label)


def folder(root: Path, count: int = 20, values: Any = (0, 1, 2)) -> Path:
    """``images/{train,val}`` and ``labels/{train,val}``."""
    for index in range(count):
        pair(root, f'images/train/i{index}.jpg', f'labels/train/i{index}.png', values)
    for index in range(4):
        pair(root, f'images/val/v{index}.jpg', f'labels/val/v{index}.png', values)
    return root


def refused(root: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        look_at_semantic(root, options.pop('classes', CLASSES), **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ('image', 'label', 'suffixes'),
    [
        ('images/{}/{}.jpg', 'labels/{}/{}.png', ('.jpg', '.png')),
        ('images/{}ing/{}.jpg', 'annotations/{}ing/{}.png', ('.jpg', '.png')),
        (
            'leftImg8bit/{}/city/{}_leftImg8bit.png',
            'gtFine/{}/city/{}_gtFine_labelTrainIds.png',
            ('_leftImg8bit.png', '_gtFine_labelTrainIds.png'),
        ),
        ('img_dir/{}/{}.png', 'ann_dir/{}/{}.png', ('.png', '.png')),
        ('{}/images/{}.JPG', '{}/masks/{}_mask.png', ('.JPG', '_mask.png')),
    ],
)
def test_usual_layouts(tmp_path: Path, image: str, label: str, suffixes: tuple[str, str]) -> None:
    for index in range(3):
        pair(tmp_path, image.format('train', f'a{index}'), label.format('train', f'a{index}'))
    if 'gtFine' in label:
        pair(tmp_path, image.format('train', 'a0'), label.format('train', 'a0').replace('labelTrainIds', 'labelIds'))
    if 'ing/' not in image:
        pair(tmp_path, image.format('val', 'b'), label.format('val', 'b'))
    found = find_semantic(tmp_path)
    assert (found.img_suffix, found.label_suffix) == suffixes
    assert [stem.split('/')[-1] for stem in found.train] == ['a0', 'a1', 'a2']
    assert len(found.val) == ('ing/' not in image)


def test_flat_folders_and_folders_that_are_named(tmp_path: Path) -> None:
    pair(tmp_path, 'images/x.jpg', 'labels/x.png')
    assert find_semantic(tmp_path).train_folders == ('images', 'labels')
    pair(tmp_path, 'mine/photos/y.png', 'mine/truth/y-truth.png')
    found = find_semantic(tmp_path, train=('mine/photos', 'mine/truth'), label_suffix='-truth.png')
    assert found.train == ('y',) and found.val_folders is None
    with pytest.raises(DataError, match='--img-suffix'):
        find_semantic(tmp_path, train=('mine/photos', 'labels'))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DataError, match=r'holds nothing; expected images and labels as images/train'):
        find_semantic(tmp_path / 'empty')
    with pytest.raises(DataError, match='no folder'):
        find_semantic(tmp_path / 'nowhere')


def test_images_without_labels(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / 'labels' / 'train' / 'i3.png').unlink()
    assert (
        '1 of 20 images have no label' in refused(tmp_path)
        and 'i3.jpg' in refused(tmp_path)
        and '--skip-unpaired' in refused(tmp_path)
    )
    data = look_at_semantic(tmp_path, CLASSES, skip_unpaired=True)
    assert 'i3' not in data.split.train and any('left out' in note for note in data.notes)


def test_a_good_folder(tmp_path: Path) -> None:
    before = sorted(folder(tmp_path).rglob('*'))
    data = look_at_semantic(tmp_path, CLASSES)
    assert data.sizes == Sizes((32, 48), True) and not data.notes and not data.split.val_held_out
    assert len(data.split.train) == 20 and len(data.split.val) == 4 and len(data.split.select) == 4
    assert not set(data.split.fit) & set(data.split.select)
    assert sorted(tmp_path.rglob('*')) == before, 'nothing is written into the folder'
    assert len({tuple(colour) for colour in data.palette}) == 3


def test_values_that_are_no_class(tmp_path: Path) -> None:
    """The file, the value and the option that helps."""
    folder(tmp_path, values=(0, 1, 2, 3))
    said = refused(tmp_path)
    assert 'i0.png holds 3; expected 0..2 or 255' in said and '24 of 24' in said
    assert '--reduce-zero-label' in said and '--ignore-index 3' in said
    assert look_at_semantic(tmp_path, CLASSES, reduce_zero_label=True).reduce_zero_label
    assert look_at_semantic(tmp_path, CLASSES, ignore_index=3).ignore_index == 3
    assert '0..2 are classes' in refused(tmp_path, ignore_index=1)
    assert 'with --reduce-zero-label void is 0' in refused(tmp_path, ignore_index=3, reduce_zero_label=True)
    pair(tmp_path, 'images/train/i1.jpg', 'labels/train/i1.png', values=(0, 7))
    assert 'name all 8 with --classes' in refused(tmp_path)


def test_a_class_that_never_occurs_is_a_note(tmp_path: Path) -> None:
    data = look_at_semantic(folder(tmp_path), (*CLASSES, 'tram'))
    assert any("'tram' (3)" in note for note in data.notes)


def test_broken_files(tmp_path: Path) -> None:
    folder(tmp_path)
    train = tmp_path / 'labels' / 'train'
    cv2.imwrite(str(train / 'i0.png'), np.arange(32 * 48 * 3, dtype=np.uint8).reshape(32, 48, 3))
    cv2.imwrite(str(train / 'i1.png'), np.full((32, 48, 3), 2, np.uint8))
    cv2.imwrite(str(train / 'i2.png'), np.zeros((16, 48), np.uint8))
    (train / 'i3.png').write_bytes(b'no image')
    Image.fromarray(np.full((32, 48), 700, np.uint16)).save(train / 'i4.png')
    said = refused(tmp_path)
    assert 'i0.png is a colour image' in said and 'class indices 0..n-1' in said
    assert 'i1.png has 3 equal channels' in said
    assert 'i2.jpg is 48x32 but its label' in said and '48x16' in said
    assert 'i3.png cannot be read' in said
    assert 'i4.png holds 700' in said and '8 bits' in said


def test_palette_images_are_read_as_indices_and_turned_photographs_as_opencv_reads_them(tmp_path: Path) -> None:
    folder(tmp_path)
    picture = Image.fromarray(np.resize(np.array([0, 1, 2], np.uint8), (32, 48)), 'P')
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    picture.save(tmp_path / 'labels' / 'train' / 'i0.png')
    turned = Image.new('RGB', (32, 48))
    exif = turned.getexif()
    exif[274] = 6
    turned.save(tmp_path / 'images' / 'train' / 'i0.jpg', exif=exif)
    assert look_at_semantic(tmp_path, CLASSES).sizes.one_size


def test_sizes_of_all_images_count(tmp_path: Path) -> None:
    folder(tmp_path)
    pair(tmp_path, 'images/train/i7.jpg', 'labels/train/i7.png', hw=(64, 64))
    data = look_at_semantic(tmp_path, CLASSES, check=2)
    assert not data.sizes.one_size and any('2 of 24 labels' in note for note in data.notes)


def test_class_names(tmp_path: Path) -> None:
    (tmp_path / 'names.txt').write_text('road\nsky\n\n')
    assert read_classes([str(tmp_path / 'names.txt')], tmp_path) == ('road', 'sky')
    assert read_classes(['a', 'b'], tmp_path) == ('a', 'b')
    (tmp_path / 'classes.txt').write_text('x\ny\nz\n')
    assert read_classes(None, tmp_path) == ('x', 'y', 'z')
    for wrong, said in ((['a', 'a'], 'a twice'), (['lone.txt'], 'expected two names')):
        with pytest.raises(DataError, match=said):
            read_classes(wrong, tmp_path)
    with pytest.raises(DataError, match='no class names'):
        read_classes(None, tmp_path / 'nowhere')


def test_recordings_are_held_out_whole() -> None:
    names = [f'{clip}_{frame:04}' for clip in 'abcdefghij' for frame in range(10)]
    chosen, how = hold_out(names, 10)
    assert len(chosen) == 10 and len({name[0] for name in chosen}) == 1 and how.startswith('1 of 10 recordings')
    assert hold_out(list(reversed(names)), 10)[0] == chosen
    cities, how = hold_out([f'{city}/{n}' for city in 'abcde' for n in range(4)], 4)
    assert len({name[0] for name in cities}) == 1 and 'sub-folders' in how
    plain, how = hold_out([f'{n:012}' for n in range(50)], 5)
    assert len(plain) == 5 and how == 'by a hash of the names'
    assert set(plain) <= set(hold_out([f'{n:012}' for n in range(50)], 6)[0])


def test_images_are_dealt_out_once() -> None:
    names = [f'{n:04}' for n in range(100)]
    split = make_split(names, None)
    assert split.val_held_out and len(split.val) == 20 and len(split.select) == 8
    assert sorted((*split.fit, *split.select, *split.val)) == names
    assert make_split(names, ['v'], most_select=5).select and len(make_split(names, ['v'], most_select=5).select) == 5
    with pytest.raises(DataError, match='3 training images; expected 16'):
        make_split(['a', 'b', 'c'], None)


def coco_panoptic(root: Path, count: int = 20, hw: tuple[int, int] = (64, 96)) -> Path:
    """Images of one red thing of 8x8 on background, as COCO lays them out."""
    height, width = hw
    for split, number in (('train', count), ('val', 4)):
        images, annotations = [], []
        for index in range(number):
            stem = f'{split}{index:03}'
            path = root / 'images' / split / f'{stem}.jpg'
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.zeros((*hw, 3), np.uint8))
            ids = np.full((*hw, 3), (2, 0, 0), np.uint8)
            ids[:8, :8] = (3, 0, 0)
            (root / f'panoptic_{split}').mkdir(exist_ok=True)
            Image.fromarray(ids).save(root / f'panoptic_{split}' / f'{stem}.png')
            images.append(dict(id=index, file_name=f'{stem}.jpg', height=height, width=width))
            ground = dict(id=2, category_id=7, area=height * width - 64, bbox=[0, 0, width, height])
            segments = [ground, dict(id=3, category_id=5, area=64, bbox=[0, 0, 8, 8])]
            annotations.append(
                dict(image_id=index, file_name=f'{stem}.png', segments_info=[dict(s, iscrowd=0) for s in segments])
            )
        categories = [dict(id=7, name='ground', isthing=0), dict(id=5, name='blob', isthing=1)]
        (root / f'panoptic_{split}.json').write_text(
            json.dumps(dict(images=images, annotations=annotations, categories=categories))
        )
    return root


def test_a_panoptic_folder(tmp_path: Path) -> None:
    data = look_at_panoptic(coco_panoptic(tmp_path))
    assert data.things == ('blob',) and data.stuff == ('ground',) and data.thing_side == 8 and not data.notes
    assert data.train_file.images == 'images/train' and data.val_file.seg == 'panoptic_val'
    assert len(data.split.train) == 20 and len(data.split.val) == 4
    assert [data.order[i] for i in data.indices(data.split.select)] == list(data.split.select)


def test_panoptic_files_that_are_wrong(tmp_path: Path) -> None:
    coco_panoptic(tmp_path)
    Image.fromarray(np.full((64, 96, 3), 9, np.uint8)).save(tmp_path / 'panoptic_train' / 'train001.png')
    Image.fromarray(np.zeros((64, 96), np.uint8)).save(tmp_path / 'panoptic_train' / 'train002.png')
    (tmp_path / 'panoptic_val' / 'val000.png').unlink()
    with pytest.raises(DataError) as caught:
        look_at_panoptic(tmp_path)
    said = str(caught.value)
    assert f'train001.png holds the segment id {9 + 256 * 9 + 65536 * 9}' in said
    assert 'train002.png has the channels L' in said and 'val000.png cannot be read' in said
    with pytest.raises(DataError, match='takes IMAGES JSON'):
        look_at_panoptic(tmp_path, train=('images/train', 'none.json'))
    with pytest.raises(DataError, match='no panoptic JSON'):
        look_at_panoptic(tmp_path / 'images')
