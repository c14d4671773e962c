from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmdet.datasets import ADE20KPanopticDataset, CocoPanopticDataset
from mmengine.registry import DATASETS

from hyctas_mm.datasets.panoptic import ADE20KPanoptic, CityscapesPanoptic, PanopticDataset, toy_streets_panoptic
from hyctas_mm.datasets.panoptic.toy_layouts import add_panoptic
from hyctas_mm.datasets.panoptic.toy_streets_panoptic import CATEGORIES as TOY_CATEGORIES
from hyctas_mm.datasets.panoptic.toy_streets_panoptic import describe_segments
from tests.test_datasets.panoptic_fixtures import (
    CATEGORIES,
    CLASSES,
    random_scene,
    segment,
    write_coco,
)

Content = dict[str, Any]


@pytest.fixture
def content(tmp_path: Path) -> Content:
    scenes = [random_scene(np.random.default_rng(seed), (24, 32), 6) for seed in range(3)]
    return write_coco(tmp_path, *zip(*scenes))


def load(root: Path, content: Content | None = None, cls: type = PanopticDataset, **options: Any) -> PanopticDataset:
    if content is not None:
        (root / 'panoptic_val.json').write_text(json.dumps(content))
    options = (
        dict(ann_file='panoptic_val.json', data_prefix=dict(img='images', seg='panoptic_val'), pipeline=[]) | options
    )
    return cls(data_root=str(root), **options)


def test_classes_come_from_the_file_things_first(tmp_path: Path, content: Content) -> None:
    meta = load(tmp_path).metainfo
    assert (
        meta['classes'] == CLASSES
        and meta['thing_classes'] == ('cat', 'dog')
        and meta['stuff_classes'] == ('sky', 'grass')
    )
    assert [list(colour) for colour in meta['palette']] == [[4, 5, 6], [10, 11, 12], [1, 2, 3], [7, 8, 9]]


def test_samples(tmp_path: Path) -> None:
    infos = [segment(9, 0), segment(MAX, 1, iscrowd=True), segment(1, 3, is_thing=False)]
    ids = np.array([[9, MAX, 1, 0]], np.int32)
    write_coco(tmp_path, [ids], [infos])
    sample = load(tmp_path)[0]
    assert sample['segments_info'] == infos
    assert Path(sample['img_path']).name == '0000.jpg' and Path(sample['seg_map_path']).name == 'map_0.png'
    assert (sample['img_id'], sample['height'], sample['width']) == (0, 1, 4)
    assert sample['instances'] == [dict(bbox=[0, 0, 2, 2], bbox_label=0, ignore_flag=0)]


MAX = 2**24 - 1


def test_labels_go_by_name_not_by_order(tmp_path: Path, content: Content) -> None:
    expected = [sample['segments_info'] for sample in load(tmp_path)]
    turned = dict(content, categories=CATEGORIES[::-1])
    given = load(tmp_path, turned, metainfo=dict(classes=CLASSES))
    assert given.metainfo['thing_classes'] == ('cat', 'dog')
    assert [sample['segments_info'] for sample in given] == expected
    assert load(tmp_path, turned).metainfo['classes'] == ('dog', 'cat', 'grass', 'sky')


def test_registered_in_the_root() -> None:
    for cls in (PanopticDataset, CityscapesPanoptic, ADE20KPanoptic):
        assert DATASETS.get(cls.__name__) is cls


def test_lazy_loading_and_indices(tmp_path: Path, content: Content) -> None:
    lazy = load(tmp_path, lazy_init=True, indices=[2])
    assert 'classes' not in lazy.metainfo
    lazy.full_init()
    assert len(lazy) == 1 and lazy.metainfo['classes'] == CLASSES and lazy[0]['img_id'] == 2


def drop_image(content: Content) -> None:
    content['images'].pop()


def drop_annotation(content: Content) -> None:
    content['annotations'].pop(0)


def unknown_category(content: Content) -> None:
    content['annotations'][1]['segments_info'][0]['category_id'] = 77


def repeated_id(content: Content) -> None:
    content['annotations'][1]['segments_info'][0]['id'] = content['annotations'][1]['segments_info'][1]['id']


def zero_id(content: Content) -> None:
    content['annotations'][2]['segments_info'][0]['id'] = 0


def same_names(content: Content) -> None:
    content['categories'] = [dict(category, name='cat') for category in CATEGORIES]


def other_images(content: Content) -> None:
    for image in content['images'][:2]:
        image['file_name'] = f'train_{image["file_name"]}'


def other_pngs(content: Content) -> None:
    content['annotations'][2]['file_name'] = 'elsewhere.png'


def no_segments(content: Content) -> None:
    del content['annotations']


@pytest.mark.parametrize(
    ('change', 'error', 'message'),
    [
        (drop_image, ValueError, '1 annotations without an image, e.g. 2, among 2 images'),
        (drop_annotation, ValueError, '1 images without an annotation, e.g. 0, among 3 images'),
        (
            unknown_category,
            ValueError,
            r"category ids \[77\], e.g. in image 1; expected ids of the file's 4 categories",
        ),
        (repeated_id, ValueError, 'image 1 has segment ids .* expected distinct'),
        (zero_id, ValueError, r'image 2 has segment ids \[0, .*0 is void'),
        (same_names, ValueError, r"categories share the name \['cat'\]"),
        (
            other_images,
            FileNotFoundError,
            r"2 of 3 image files of .* are missing, e.g. .*train_0000.jpg; check data_prefix\['img'\].*same split",
        ),
        (
            other_pngs,
            FileNotFoundError,
            r"1 of 3 PNG files of .* are missing, e.g. .*elsewhere.png; check data_prefix\['seg'\]",
        ),
        (no_segments, ValueError, r"has no \['annotations'\]; expected a COCO-panoptic JSON"),
    ],
)
def test_broken_files_are_refused(
    tmp_path: Path, content: Content, change: Callable[[Content], None], error: type[Exception], message: str
) -> None:
    change(content)
    with pytest.raises(error, match=message):
        load(tmp_path, content)


@pytest.mark.parametrize(
    ('metainfo', 'message'),
    [
        (
            dict(classes=('cat', 'dog', 'sky')),
            r"category ids 12 \('grass'\) are absent from metainfo\['classes'\] \(3 names\)",
        ),
        (
            dict(classes=('sky', 'cat', 'dog', 'grass')),
            r"begins with \('sky', .*expected all things first: \('cat', 'dog'\)",
        ),
        (dict(classes=CLASSES, thing_classes=('cat',)), r"'isthing' of \['dog'\] contradicts"),
    ],
)
def test_metainfo_must_fit(tmp_path: Path, content: Content, metainfo: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(tmp_path, metainfo=metainfo)


def test_without_ground_truth(tmp_path: Path, content: Content) -> None:
    del content['annotations']
    dataset = load(tmp_path, content, data_prefix=dict(img='images'))
    assert len(dataset) == 3 and dataset[0]['seg_map_path'] is None and dataset[0]['segments_info'] == []


def test_whole_sets_missing_are_counted(tmp_path: Path, content: Content) -> None:
    with pytest.raises(FileNotFoundError, match='3 of 3 image files'):
        load(tmp_path, data_prefix=dict(img='nowhere', seg='panoptic_val'))


def test_a_json_of_detection_is_refused(tmp_path: Path, content: Content) -> None:
    (tmp_path / 'panoptic_val.json').write_text('[]')
    with pytest.raises(ValueError, match='expected a COCO-panoptic JSON'):
        load(tmp_path)


def described(dataset: PanopticDataset) -> list[list[tuple[int, str, bool]]]:
    names = dataset.metainfo['classes']
    return [[(s['id'], names[s['category']], s['is_thing']) for s in sample['segments_info']] for sample in dataset]


def test_cityscapes_layout(tmp_path: Path) -> None:
    root = toy_streets_panoptic(tmp_path, num_train=0, num_val=2, height=48, width=96)
    add_panoptic(root)
    name = 'gtFine/cityscapes_panoptic_val_trainId'
    dataset = load(
        root, cls=CityscapesPanoptic, ann_file=f'{name}.json', data_prefix=dict(img='leftImg8bit/val', seg=name)
    )
    sample = dataset[1]
    assert sample['img_path'].endswith('leftImg8bit/val/toyhaven/toyhaven_000001_000019_leftImg8bit.png')
    assert sample['img_id'] == 'toyhaven_000001_000019'
    toy = load(root, data_prefix=dict(img='leftImg8bit/val', seg='panoptic_val'))
    assert described(dataset) == described(toy) and described(dataset)[0]
    assert (
        len(dataset.metainfo['classes']) == len(dataset.metainfo['palette']) == 19
        and len(dataset.metainfo['thing_classes']) == 8
    )
    content = json.loads((root / f'{name}.json').read_text())
    content['images'][0]['file_name'] = 'toyhaven_000000_000019.png'
    (root / 'other.json').write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match=r"file_name 'toyhaven_000000_000019.png' does not end in '_gtFine_leftImg8bit.png'"
    ):
        load(root, cls=CityscapesPanoptic, ann_file='other.json', data_prefix=dict(img='leftImg8bit/val', seg=name))


def test_ade20k_as_mmdet_converts_it(tmp_path: Path) -> None:
    meta = ADE20KPanopticDataset.METAINFO
    ids = np.array([[5, 6]], np.int32)
    content = write_coco(tmp_path, [ids], [[segment(5, 0), segment(6, 3, False)]])
    content['categories'] = [
        dict(id=i, name=name, isthing=int(i < 100), color=[i, 0, 0]) for i, name in enumerate(meta['classes'])
    ]
    for raw, category in zip(content['annotations'][0]['segments_info'], (12, 149)):
        raw['category_id'] = category
    content['annotations'][0]['file_name'] = 'map_0.jpg'  # older converters give the image's name
    for options in (dict(cls=ADE20KPanoptic), dict(metainfo=meta)):
        dataset = load(tmp_path, content, **options)
        assert [s['category'] for s in dataset[0]['segments_info']] == [12, 149]
        assert dataset.metainfo['classes'] == meta['classes'] and dataset[0]['seg_map_path'].endswith('map_0.png')
    content['categories'][0]['isthing'] = 0
    with pytest.raises(ValueError, match=r"'isthing' of \['bed'\] contradicts"):
        load(tmp_path, content, cls=ADE20KPanoptic)


def test_official_coco_names_serve() -> None:
    meta = CocoPanopticDataset.METAINFO
    assert meta['classes'] == (*meta['thing_classes'], *meta['stuff_classes'])


def test_toy_streets(tmp_path: Path) -> None:
    root = toy_streets_panoptic(tmp_path, num_train=3, num_val=1, height=48, width=96)
    for split, count in (('train', 3), ('val', 1)):
        options = dict(
            ann_file=f'panoptic_{split}.json', data_prefix=dict(img=f'leftImg8bit/{split}', seg=f'panoptic_{split}')
        )
        dataset = load(root, **options)
        assert len(dataset) == count and dataset.metainfo['thing_classes'] == ('person', 'rider', 'car', 'bicycle')
        assert len(dataset.metainfo['classes']) == len(dataset.metainfo['palette']) == len(TOY_CATEGORIES) == 11
    stamps = {path: path.stat().st_mtime_ns for path in root.rglob('*')}
    assert toy_streets_panoptic(tmp_path, num_train=3, num_val=1, height=48, width=96) == root
    assert stamps == {path: path.stat().st_mtime_ns for path in root.rglob('*')}
    toy_streets_panoptic(tmp_path, num_train=2, num_val=1, height=48, width=96, overwrite=True)
    content = json.loads((root / 'panoptic_train.json').read_text())
    assert len(content['images']) == len(list((root / 'panoptic_train').iterdir())) == 2
    raw = content['annotations'][0]['segments_info']
    assert all(entry['area'] > 0 and entry['bbox'][2] > 0 for entry in raw)
    assert {entry['category_id'] for entry in raw} <= {category['id'] for category in TOY_CATEGORIES}


def test_segments_are_described() -> None:
    assert describe_segments(np.array([[0, 7, 26001], [0, 26001, 26001]], np.int32)) == [
        dict(id=7, category_id=7, area=1, bbox=[1, 0, 1, 1], iscrowd=0),
        dict(id=26001, category_id=26, area=3, bbox=[1, 0, 2, 2], iscrowd=0),
    ]
