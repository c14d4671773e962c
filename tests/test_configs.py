"""Every config is read and built, and what its parts must agree on agrees."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(p for p in (ROOT / 'configs').rglob('*.py') if '_base_' not in p.parts and p.name != 'default_runtime.py')


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_config(path: Path) -> None:
    cfg = Config.fromfile(path)
    cfg.model.backbone.norm_cfg.type = cfg.model.decode_head.norm_cfg.type = 'BN'
    with torch.device('meta'):
        net = MODELS.build(cfg.model)
    classes = net.decode_head.num_classes
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        checks = [t for t in cfg[name].dataset.pipeline if t.type == 'CheckLabels']
        assert [t.num_classes for t in checks] == [classes]
    if cfg.train_cfg.type == 'NSGA2SearchLoop':
        supernet = Config.fromfile(next(iter(path.parent.glob(f'{path.stem.split("_search")[0]}_supernet*.py'))))
        epochs = supernet.train_cfg.get('max_iters') or supernet.train_cfg.max_epochs
        assert cfg.train_cfg.supernet.endswith(f'_{epochs}.pth')
        subnet = Config.fromfile(path.parent / cfg.train_cfg.subnet_config)
        assert subnet.model.decode_head.num_classes == classes
        return
    crops = [tuple(t.crop_size) for t in cfg.train_dataloader.dataset.pipeline if t.type == 'RandomCrop']
    assert crops == [tuple(cfg.model.data_preprocessor.size)]
    lengths = [s.end for s in cfg.param_scheduler if s.type == 'PolyLR']
    assert lengths in ([], [cfg.train_cfg.get('max_iters')])


@pytest.mark.parametrize('folder', sorted({p.parent for p in CONFIGS}), ids=lambda p: p.name)
def test_readme_names_every_config(folder: Path) -> None:
    text = (folder / 'README.md').read_text()
    if folder.name != 'quickstart':
        assert all(p.name in text for p in folder.glob('*.py'))
