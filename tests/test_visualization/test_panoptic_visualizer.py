from __future__ import annotations

from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import MODELS, VISUALIZERS, DefaultScope
from mmengine.structures import InstanceData, PixelData

from hyctas_mm.datasets.panoptic import toy_streets_panoptic
from hyctas_mm.visualization import PanopticVisualizer, panoptic_overlay
from tests.conftest import ROOT, run_script
from tests.test_datasets.panoptic_fixtures import segment

CONFIG = next((ROOT / 'configs' / 'panoptic' / 'toy').glob('hyctas_subnet_*.py'))
META = dict(classes=('cat', 'sky'), thing_classes=('cat',), stuff_classes=('sky',), palette=[(250, 0, 0), (0, 0, 250)])


@pytest.fixture
def visualizer() -> PanopticVisualizer:
    out = PanopticVisualizer()
    out.dataset_meta = META
    return out


def sample(truth: bool = True, prediction: bool = True) -> DetDataSample:
    """As the detector returns it: instances without boxes and masks."""
    out = DetDataSample()
    if truth:
        ids = torch.full((1, 40, 60), 70000)
        ids[:, :5], ids[:, 10:30, 10:30] = 0, 300
        out.gt_panoptic_seg = PixelData(sem_seg=ids)
        out.set_metainfo(dict(gt_segments_info=[segment(70000, 1, is_thing=False), segment(300, 0)]))
    if prediction:
        panoptic = torch.ones(1, 40, 60, dtype=torch.int64)
        panoptic[:, 10:30, 20:50] = 1000
        out.pred_panoptic_seg = PixelData(sem_seg=panoptic)
        out.pred_sem_seg = PixelData(sem_seg=panoptic % 1000)
        out.pred_instances = InstanceData(
            labels=torch.tensor([0]), scores=torch.tensor([0.1]), panoptic_ids=torch.tensor([1000])
        )
    return out


def picture(
    visualizer: PanopticVisualizer, data_sample: Any, path: Path, image: np.ndarray | None = None, **options: Any
) -> np.ndarray:
    """What is drawn (RGB), read back from the file."""
    image = np.full((40, 60, 3), (90, 60, 30), np.uint8) if image is None else image
    visualizer.add_datasample('name', image, data_sample, out_file=str(path / 'picture.png'), **options)
    return mmcv.imread(str(path / 'picture.png'), channel_order='rgb')


def test_truth_beside_prediction(visualizer: PanopticVisualizer, tmp_path: Path) -> None:
    both = picture(visualizer, sample(), tmp_path)
    assert both.shape == (40, 120, 3) and np.array_equal(visualizer.get_image(), both)
    truth, prediction = both[:, :60], both[:, 60:]
    assert np.array_equal(truth, picture(visualizer, sample(), tmp_path, draw_pred=False))
    assert np.array_equal(prediction, picture(visualizer, sample(truth=False), tmp_path))
    image = np.full((40, 60, 3), (30, 60, 90), np.uint8)  # BGR
    panoptic = sample().pred_panoptic_seg.sem_seg[0].numpy()
    assert np.array_equal(prediction, panoptic_overlay(image, panoptic, META['palette'], META['classes'])[..., ::-1])
    red, blue = prediction[25, 45].astype(int), prediction[35, 5].astype(int)
    assert red[0] > 2 * red[2] and blue[2] > 2 * blue[0], 'colours are RGB'
    assert (truth[2, 2] <= (32, 21, 11)).all(), 'void stays dark'


def test_images_take_the_size_of_the_map(visualizer: PanopticVisualizer, tmp_path: Path) -> None:
    assert picture(visualizer, sample(truth=False), tmp_path, np.zeros((80, 120, 3), np.uint8)).shape == (40, 60, 3)


def test_without_a_prediction_the_image_is_shown(visualizer: PanopticVisualizer, tmp_path: Path) -> None:
    for data_sample in (None, DetDataSample()):
        assert (picture(visualizer, data_sample, tmp_path) == (90, 60, 30)).all()


def test_backends_get_the_picture(tmp_path: Path) -> None:
    cfg = dict(
        type='PanopticVisualizer',
        name=str(tmp_path),
        vis_backends=[dict(type='LocalVisBackend')],
        save_dir=str(tmp_path),
    )
    visualizer = VISUALIZERS.build(cfg)
    visualizer.dataset_meta = dict(META, palette=None)
    visualizer.add_datasample('street', np.zeros((40, 60, 3), np.uint8), sample(), step=7)
    assert len(list(tmp_path.rglob('street_7.png'))) == 1


def test_classes_are_needed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no 'classes'; set visualizer.dataset_meta"):
        picture(PanopticVisualizer(), sample(), tmp_path)


def test_the_test_command_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``tools/test.py --show-dir`` with a panoptic config: one picture of truth and prediction for each image."""
    root = toy_streets_panoptic(tmp_path / 'toy', num_train=3, num_val=2, height=64, width=128)
    cfg = Config.fromfile(CONFIG)
    with DefaultScope.overwrite_default_scope('mmdet'):
        torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), tmp_path / 'weights.pth')
    options = [
        'test_dataloader.num_workers=0',
        'test_dataloader.persistent_workers=False',
        'test_dataloader.batch_size=2',
    ]
    folders = (
        '--data-root',
        root,
        '--work-dir',
        tmp_path / 'work',
        '--show-dir',
        tmp_path / 'pictures',
        '--out',
        tmp_path / 'metrics.json',
    )
    assert (
        run_script(monkeypatch, 'tools/test.py', CONFIG, tmp_path / 'weights.pth', *folders, '--cfg-options', *options)
        == 0
    )
    pictures = sorted((tmp_path / 'pictures').iterdir())
    assert [p.name for p in pictures] == [p.name for p in sorted((root / 'leftImg8bit' / 'val').rglob('*.png'))]
    assert all(mmcv.imread(str(p)).shape == (64, 256, 3) for p in pictures)
    assert '"PQ"' in (tmp_path / 'metrics.json').read_text()
