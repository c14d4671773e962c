"""Tests of the synthetic street scenes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from numpy.typing import NDArray

from hyctas_mm.datasets.checks import check_images
from hyctas_mm.datasets.toy.canvas import EGO_VEHICLE, ROAD, SKY
from hyctas_mm.datasets.toy.scene import DRAWN_LABEL_IDS, THING_LABEL_IDS, Scene, render_scene
from hyctas_mm.datasets.toy.streets import IGNORE_TRAIN_ID, LABEL_ID_TO_TRAIN_ID, MANIFEST_NAME, generate_toy_streets

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {'num_train': 4, 'num_val': 2, 'height': 48, 'width': 96}
SUFFIXES = ('leftImg8bit', 'gtFine_labelIds', 'gtFine_labelTrainIds', 'gtFine_instanceIds')


@pytest.fixture(scope='module')
def scenes() -> list[Scene]:
    """24 scenes of the default size."""
    return [render_scene(np.random.default_rng([5, i])) for i in range(24)]


def read(path: Path) -> NDArray[Any]:
    """Read a PNG as it is stored, colour channels in BGR order."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None, path
    return np.asarray(image)


def digests(root: Path) -> dict[str, str]:
    """Hash of every file below ``root``, by relative path."""
    files = sorted(path for path in root.rglob('*') if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def mean_iou(predicted: NDArray[Any], target: NDArray[Any], num_classes: int) -> float:
    """Mean intersection over union of two label arrays (N,) with classes 0..num_classes-1."""
    table = np.bincount(target * num_classes + predicted, minlength=num_classes**2).reshape(num_classes, num_classes)
    hits = np.diag(table)
    return float((hits / np.maximum(table.sum(0) + table.sum(1) - hits, 1)).mean())


def test_scene_types_and_values(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.image.shape == (128, 256, 3) and scene.image.dtype == np.uint8
        assert scene.label_ids.shape == (128, 256) and scene.label_ids.dtype == np.uint8
        assert scene.instance_ids.shape == (128, 256) and scene.instance_ids.dtype == np.uint16
        assert set(np.unique(scene.label_ids)) <= {*DRAWN_LABEL_IDS, EGO_VEHICLE}
        assert scene.image.std() > 8


def test_instance_ids_agree_with_label_ids(scenes: list[Scene]) -> None:
    for scene in scenes:
        things = np.isin(scene.label_ids, THING_LABEL_IDS)
        assert np.array_equal(scene.instance_ids[things] // 1000, scene.label_ids[things])
        assert np.array_equal(scene.instance_ids[~things], scene.label_ids[~things])
    assert max(int((scene.instance_ids % 1000)[scene.instance_ids >= 1000].max()) for scene in scenes) > 3


def test_every_class_occurs_with_a_sensible_share(scenes: list[Scene]) -> None:
    labels = np.stack([scene.label_ids for scene in scenes])
    shares = {label: float((labels == label).mean()) for label in DRAWN_LABEL_IDS}
    assert min(shares.values()) > 0.001, shares
    assert max(shares.values()) < 0.45, shares
    for label in THING_LABEL_IDS:
        assert (labels == label).any(axis=(1, 2)).mean() > 0.4, label


def test_layout_follows_perspective(scenes: list[Scene]) -> None:
    rows = np.arange(128)[:, None]
    for scene in scenes:
        sky, road = scene.label_ids == SKY, scene.label_ids == ROAD
        assert not sky[-20:].any()
        assert road.any() and (road * rows).sum() / road.sum() > 64
        widths = road.sum(axis=1)
        assert widths[-30:].mean() > widths[: 128 // 2 + 10].mean()


def test_render_is_deterministic_and_varied() -> None:
    first, again, other = (render_scene(np.random.default_rng(seed), 64, 128) for seed in (3, 3, 4))
    for name in ('image', 'label_ids', 'instance_ids'):
        assert np.array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))


@pytest.mark.parametrize('size', [(32, 32), (33, 97), (96, 40)])
def test_unusual_sizes(size: tuple[int, int]) -> None:
    scene = render_scene(np.random.default_rng(0), *size)
    assert scene.image.shape == (*size, 3) and scene.label_ids.shape == scene.instance_ids.shape == size


def test_written_files(tmp_path: Path) -> None:
    root = generate_toy_streets(str(tmp_path / 'set'), **SMALL)
    names = {path for path in digests(root) if path.endswith('.png')}
    assert len(names) == 4 * (4 + 2)
    assert 'leftImg8bit/train/toyville/toyville_000000_000019_leftImg8bit.png' in names
    assert 'gtFine/val/toyhaven/toyhaven_000001_000019_gtFine_instanceIds.png' in names
    assert len(list((root / 'leftImg8bit' / 'train').iterdir())) >= 2
    for image_path in root.glob('leftImg8bit/*/*/*.png'):
        stem = image_path.name.removesuffix('leftImg8bit.png')
        folder = root / 'gtFine' / image_path.parent.relative_to(root / 'leftImg8bit')
        labels, train_ids, instances = (read(folder / f'{stem}{suffix}.png') for suffix in SUFFIXES[1:])
        assert read(image_path).shape == (48, 96, 3)
        assert labels.dtype == train_ids.dtype == np.uint8 and instances.dtype == np.uint16
        assert np.array_equal(np.where(instances >= 1000, instances // 1000, instances), labels)
        for label in np.unique(labels):
            expected = LABEL_ID_TO_TRAIN_ID.get(int(label), IGNORE_TRAIN_ID)
            assert set(np.unique(train_ids[labels == label])) == {expected}


def test_image_files_hold_the_rendered_scene(tmp_path: Path) -> None:
    root = generate_toy_streets(tmp_path, num_train=0, num_val=1, height=64, width=64, seed=9)
    scene = render_scene(np.random.default_rng([9, 1, 0]), 64, 64)
    path = root / 'leftImg8bit/val/toyhaven/toyhaven_000000_000019_leftImg8bit.png'
    assert np.array_equal(read(path)[..., ::-1], scene.image)


def test_images_do_not_depend_on_how_many_are_made(tmp_path: Path) -> None:
    few = digests(generate_toy_streets(tmp_path / 'few', **SMALL))
    many = digests(generate_toy_streets(tmp_path / 'many', **{**SMALL, 'num_train': 7, 'num_val': 3}))
    other = digests(generate_toy_streets(tmp_path / 'other', **SMALL, seed=1))
    few.pop(MANIFEST_NAME)
    assert few.items() <= many.items()
    assert all(few[name] != other[name] for name in few)


def test_second_call_returns_at_once(tmp_path: Path) -> None:
    root = generate_toy_streets(tmp_path, **SMALL)
    stamps = {path: path.stat().st_mtime_ns for path in root.rglob('*')}
    assert generate_toy_streets(tmp_path, **SMALL) == root
    assert stamps == {path: path.stat().st_mtime_ns for path in root.rglob('*')}


def test_other_arguments_are_refused_unless_overwriting(tmp_path: Path) -> None:
    generate_toy_streets(tmp_path / 'set', **SMALL)
    fewer = {**SMALL, 'num_train': 2}
    with pytest.raises(FileExistsError, match=r'"num_train": 4.*"num_train": 2.*overwrite=True'):
        generate_toy_streets(tmp_path / 'set', **fewer)
    generate_toy_streets(tmp_path / 'set', **fewer, overwrite=True)
    generate_toy_streets(tmp_path / 'fresh', **fewer)
    assert digests(tmp_path / 'set') == digests(tmp_path / 'fresh')


def test_interrupted_generation_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = digests(generate_toy_streets(tmp_path / 'whole', **SMALL))
    calls = 0

    def failing(*args: Any) -> Scene:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise KeyboardInterrupt
        return render_scene(*args)

    monkeypatch.setattr('hyctas_mm.datasets.toy.streets.render_scene', failing)
    with pytest.raises(KeyboardInterrupt):
        generate_toy_streets(tmp_path / 'broken', **SMALL)
    monkeypatch.undo()
    assert not (tmp_path / 'broken' / MANIFEST_NAME).exists()
    damaged = next((tmp_path / 'broken').glob('leftImg8bit/train/*/*.png'))
    damaged.write_bytes(b'half a file')
    assert digests(generate_toy_streets(tmp_path / 'broken', **SMALL)) == whole


def test_manifest_names_the_arguments(tmp_path: Path) -> None:
    root = generate_toy_streets(tmp_path, **SMALL, seed=3)
    assert {**SMALL, 'seed': 3}.items() <= json.loads((root / MANIFEST_NAME).read_text()).items()


@pytest.mark.parametrize(
    ('arguments', 'error', 'message'),
    [
        ({'height': 31}, ValueError, 'height must be at least 32, got 31'),
        ({'width': 8}, ValueError, 'width must be at least 32, got 8'),
        ({'width': 64.0}, TypeError, r'width must be an int, got 64.0 \(float\)'),
        ({'num_train': -1}, ValueError, 'num_train must be at least 0, got -1'),
        ({'num_val': True}, TypeError, 'num_val must be an int, got True'),
        ({'seed': -2}, ValueError, 'seed must be at least 0, got -2'),
    ],
)
def test_bad_arguments(tmp_path: Path, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        generate_toy_streets(tmp_path / 'set', **arguments)
    assert not (tmp_path / 'set').exists()


def test_render_refuses_small_scenes() -> None:
    with pytest.raises(ValueError, match='height must be at least 32, got 16'):
        render_scene(np.random.default_rng(0), 16, 64)


def test_mmseg_reads_the_set(tmp_path: Path) -> None:
    datasets = pytest.importorskip('mmseg.datasets')
    root = generate_toy_streets(tmp_path, **SMALL)
    # The class, not its name: mmcv has another LoadAnnotations, found first while no default scope is set.
    loading = [{'type': 'LoadImageFromFile'}, {'type': datasets.LoadAnnotations}]
    for split, count in (('train', 4), ('val', 2)):
        data = datasets.CityscapesDataset(
            data_root=str(root),
            data_prefix={'img_path': f'leftImg8bit/{split}', 'seg_map_path': f'gtFine/{split}'},
            pipeline=loading,
        )
        assert len(data) == count and len(data.metainfo['classes']) == 19
        for sample in data:
            assert sample['img'].shape == (48, 96, 3)
            drawn = {LABEL_ID_TO_TRAIN_ID[label] for label in DRAWN_LABEL_IDS}
            assert set(np.unique(sample['gt_seg_map'])) <= drawn | {IGNORE_TRAIN_ID}


@pytest.mark.slow
def test_the_converter_draws_what_the_quickstarts_configs_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the folder that the commands are given in."""
    monkeypatch.chdir(tmp_path)
    script = ROOT / 'tools' / 'dataset_converters' / 'toy_streets.py'
    command = [sys.executable, script, 'data/toy_streets', '--shape', '32', '64']
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    assert '96 training and 32 validation images: data/toy_streets' in made.stdout
    for kind in ('supernet', 'search', 'subnet'):
        cfg = Config.fromfile(ROOT / 'configs' / 'quickstart' / f'toy_streets_{kind}.py')
        for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            check_images(cfg[loader].dataset, loader)


def test_a_linear_model_fails() -> None:
    def pixels(indices: range) -> tuple[NDArray[Any], NDArray[Any]]:
        features, targets = [], []
        row, column = np.mgrid[-1:1:64j, -1:1:128j]
        for i in indices:
            scene = render_scene(np.random.default_rng([1, i]), 64, 128)
            colour = scene.image.reshape(-1, 3) / 255.0
            place = np.stack([row, column, row**2, column**2, row * column, np.ones_like(row)], axis=-1).reshape(-1, 6)
            known = np.isin(scene.label_ids, DRAWN_LABEL_IDS).ravel()
            features.append(np.concatenate([colour, place], axis=1)[known])
            targets.append(np.searchsorted(DRAWN_LABEL_IDS, scene.label_ids.ravel()[known]))
        return np.concatenate(features), np.concatenate(targets)

    (train_x, train_y), (val_x, val_y) = pixels(range(40)), pixels(range(40, 56))
    one_hot = np.eye(len(DRAWN_LABEL_IDS))[train_y]
    weights = np.linalg.solve(train_x.T @ train_x + 1e-3 * np.eye(train_x.shape[1]), train_x.T @ one_hot)
    score = mean_iou((val_x @ weights).argmax(axis=1), val_y, len(DRAWN_LABEL_IDS))
    assert 0.05 < score < 0.4, score
