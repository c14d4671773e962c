"""Small segmentation networks of mmseg that ours are measured beside."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from hyctas_mm.errors import BadValue, NoSuchFile

PEERS = {
    'fast-scnn': 'fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024.py',
    'bisenetv2': 'bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py',
    'stdc1': 'stdc/stdc1_4xb12-80k_cityscapes-512x1024.py',
    'stdc2': 'stdc/stdc2_4xb12-80k_cityscapes-512x1024.py',
    'ddrnet-23-slim': 'ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024.py',
    'pidnet-s': 'pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes.py',
    'segformer-b0': 'segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py',
    'mobilenetv3-lraspp': 'mobilenet_v3/mobilenet-v3-d8-scratch_lraspp_4xb4-320k_cityscapes-512x1024.py',
    'hrnet-w18s': 'hrnet/fcn_hr18s_4xb2-160k_cityscapes-512x1024.py',
    'icnet-r50': 'icnet/icnet_r50-d8_4xb2-80k_cityscapes-832x832.py',
    'segnext-t': 'segnext/segnext_mscan-t_1xb16-adamw-160k_ade20k-512x512.py',
    'seaformer-s': 'seaformer/seaformer-s_light_8xb1-160k_cityscapes-1024x1024.py',
}
"""Name and config, in mmseg's own folder of configs; SeaFormer's in ours.

MobileNetV3-LRASPP takes no image of fewer than 392 rows and columns. SegNeXt's head starts from random matrices at
every image, so its outputs differ a little from call to call.
"""
SIZE_DIVISORS = {'ddrnet-23-slim': 8, 'pidnet-s': 8}
"""Peers that take no other sizes than multiples: their images are padded."""


def peer_model(name: str, num_classes: int) -> ConfigDict:
    """The model of a peer, trained from scratch in one process: no pretrained weights, plain batch norm of PyTorch's
    momentum, the given number of
    classes.

    Args:
        name: One of :data:`PEERS`.
        num_classes: Classes of every head.

    Raises:
        ValueError: For an unknown name.
        FileNotFoundError: If the installed mmseg has no such config.
    """
    return ConfigDict(_from_scratch(_own_config(name).model.to_dict(), num_classes))


def padded_size(name: str, input_hw: tuple[int, int]) -> tuple[int, int]:
    """Height and width that an image is padded to at the right and bottom before a network sees it.

    Args:
        name: One of :data:`PEERS`, or a network that takes every size.
        input_hw: Of the image.
    """
    divisor = SIZE_DIVISORS.get(name, 1)
    height, width = (-(-size // divisor) * divisor for size in input_hw)
    return height, width


def use_own_adamw(cfg: Config, name: str, lr: float | None = None) -> None:
    """Gives a training AdamW in place of its optimizer if the peer's own config has it; the schedule stays.

    The rate of all parts is the one that the peer's config has for those that begin untrained, its head's: there only
    the backbone is pretrained.

    Args:
        cfg: Training config, changed in place.
        name: One of :data:`PEERS`.
        lr: Another learning rate.

    Raises:
        ValueError: For an unknown name.
        FileNotFoundError: If the installed mmseg has no such config.
    """
    own = _own_config(name).optim_wrapper
    if own.optimizer.type != 'AdamW':
        return
    parts = own.paramwise_cfg.custom_keys
    rate = lr or own.optimizer.lr * parts['head'].lr_mult
    schedulers = cfg.get('param_scheduler') or []
    for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
        if 'eta_min' in scheduler:
            scheduler.eta_min *= rate / cfg.optim_wrapper.optimizer.lr
    cfg.optim_wrapper.optimizer = own.optimizer | dict(lr=rate)
    cfg.optim_wrapper.paramwise_cfg = dict(custom_keys={key: parts[key] for key in parts if key != 'head'})


def _own_config(name: str) -> Config:
    if name not in PEERS:
        raise BadValue(f'peer {name!r}; expected one of {", ".join(PEERS)}')
    spec = find_spec('mmseg')
    package = Path(__file__).parents[1]
    # ours are in .mim where the package is installed, and beside it in a checkout
    folders = (Path(str(spec and spec.origin)).parent / '.mim', package / '.mim', package.parent)
    paths = [folder / 'configs' / PEERS[name] for folder in folders]
    found = next((path for path in paths if path.is_file()), None)
    if found is None:
        raise NoSuchFile(
            f'{paths[0]}: this mmseg has no config of {name}; expected onedl-mmsegmentation 1.4 or mmsegmentation 1.2'
        )
    return Config.fromfile(found)


def _from_scratch(value: Any, num_classes: int) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_from_scratch(v, num_classes) for v in value)
    if not isinstance(value, dict):
        return value
    out = {k: _from_scratch(v, num_classes) for k, v in value.items() if k not in ('pretrained', 'class_weight')}
    if str(value.get('type')) in ('BN', 'SyncBN'):
        out['type'] = 'BN'
        # Fast-SCNN's 0.01 is made for 160,000 steps; after 300 its statistics are still those of the first ones
        out.pop('momentum', None)
    if isinstance(checkpoint := value.get('init_cfg'), dict) and checkpoint.get('type') == 'Pretrained':
        out['init_cfg'] = None
    if 'num_classes' in value:
        out['num_classes'] = num_classes
    return out
