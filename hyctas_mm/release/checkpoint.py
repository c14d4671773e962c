"""From a checkpoint of the published HyCTAS release to a config and weights of ours."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from torch import Tensor

from hyctas_mm.engine.checkpoint import load_tensors
from hyctas_mm.registry import MODELS
from hyctas_mm.release.network import ReleaseCheckpointError, ReleaseNetwork
from hyctas_mm.release.weights import aliases, from_release, release_name
from hyctas_mm.version import __version__

THINGS = {19: range(11, 19), 133: range(80)}
"""Which classes of Cityscapes and COCO panoptic have instances, in the release's order. Ours has them first."""


def read_release_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Reads the tensors of a release's ``.pth``, bare or under ``state_dict`` or ``model``, with or without
    ``module.`` before each name.

    Raises:
        FileNotFoundError: If there is no such file.
        ReleaseCheckpointError: If it cannot be read, or holds no state dict.
    """
    try:
        data = load_tensors(path)
    except ValueError as error:
        raise ReleaseCheckpointError(str(error)) from None
    for key in ('state_dict', 'model'):
        if isinstance(data, Mapping) and isinstance(data.get(key), Mapping):
            data = data[key]
    if (
        not isinstance(data, Mapping)
        or not data
        or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in data.items())
    ):
        raise ReleaseCheckpointError(
            f'{path}: expected tensors by name, or a dictionary with them under "state_dict" or "model"; give the '
            '.pth of the release'
        )
    return {key.removeprefix('module.'): tensor for key, tensor in data.items()}


def model_cfg(network: ReleaseNetwork, num_things: int | None = None, align_corners: bool = False) -> ConfigDict:
    """The model config of the same network: an mmseg segmentor, or for centre and offset heads the mmdet panoptic
    detector.

    Args:
        network: As inferred from a checkpoint.
        num_things: Number of classes with instances; see :func:`things_of`.
        align_corners: The release's flag of that name, which reaches the head only; a checkpoint does not tell.
    """
    shared = dict(arch=network.genotype.arch.to_dict(), base_channels=network.base_channels, norm_cfg=dict(type='BN'))
    pixels = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)
    backbone = dict(type='HyCTASBackbone', outputs='branches', **shared)
    head = dict(aux_weight=0.2 if network.auxiliary else 0, align_corners=align_corners, **shared)
    loss = dict(type='HardestPixelsCELoss', fraction=0.2)
    if network.panoptic:
        things = len(things_of(network.num_classes, num_things))
        classes = dict(num_things_classes=things, num_stuff_classes=network.num_classes - things)
        return ConfigDict(
            type='PanopticDeepLab',
            data_preprocessor=dict(type='mmdet.DetDataPreprocessor', pad_size_divisor=32, **pixels),
            backbone=backbone,
            panoptic_head=dict(
                type='HyCTASPanopticHead', loss_semantic=loss, offset_scale='release', **classes, **head
            ),
        )
    return ConfigDict(
        type='EncoderDecoder',
        data_preprocessor=dict(type='LeanSegDataPreProcessor', pad_val=0, seg_pad_val=255, **pixels),
        backbone=backbone,
        decode_head=dict(type='HyCTASHead', num_classes=network.num_classes, loss_decode=loss, **head),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    )


def things_of(num_classes: int, num_things: int | None = None) -> range:
    """The classes with instances in the release's order; nothing in a checkpoint tells.

    Args:
        num_classes: Channels of the logits.
        num_things: If given, the first so many classes; else as in Cityscapes (19 classes) and COCO (133).

    Raises:
        ReleaseCheckpointError: If it is not given and the data set is not one of these.
    """
    if num_things is not None:
        if not 0 <= num_things <= num_classes:
            raise ReleaseCheckpointError(f'num_things={num_things}; expected 0..{num_classes}, the number of classes')
        return range(num_things)
    if num_classes not in THINGS:
        known = ', '.join(map(str, THINGS))
        raise ReleaseCheckpointError(
            f'{num_classes} panoptic classes: of which data set? Known are {known}; say how many have instances '
            '(--num-things)'
        )
    return THINGS[num_classes]


def convert_state(
    state: Mapping[str, Tensor],
    network: ReleaseNetwork,
    cfg: ConfigDict,
    source: str = 'checkpoint',
    num_things: int | None = None,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Brings the tensors into our network's names and order.

    Returns:
        Our state dict, and for every tensor of the release that is not in it the reason.

    Raises:
        ReleaseCheckpointError: If tensors are missing, differ in shape, or belong to nothing.
    """
    with torch.device('meta'):
        wanted = {
            key: tensor.shape
            for key, tensor in MODELS.build(cfg).state_dict().items()
            if not key.startswith('data_preprocessor')
        }
    try:
        ours = from_release(state, network.genotype, wanted)
    except KeyError as error:
        raise ReleaseCheckpointError(
            f'{source}: {error.args[0]}; is the file complete, and is this its genotype?'
        ) from None
    wrong = [
        f'{key}: {tuple(ours[key].shape)} there, {tuple(shape)} here'
        for key, shape in wanted.items()
        if ours[key].shape != shape
    ]
    if wrong:
        raise ReleaseCheckpointError(
            f'{source}: {len(wrong)} tensors differ in shape from what the genotype says: {"; ".join(wrong[:3])}. '
            'Give --genotype the JSON it was trained with'
        )
    used = {release_name(key, network.genotype) for key in wanted}
    copies = [
        alias + name[len(original) :]
        for alias, original in aliases(network.genotype).items()
        for name in used
        if name.startswith(original)
    ]
    absent = sorted(name for name in copies if name not in state)
    if absent:
        raise ReleaseCheckpointError(
            f'{source}: {absent[0]} is missing, one of {len(absent)} tensors of shared cells; is the file complete?'
        )
    unused = {name: _reason(name, state, network, source) for name in state if name not in used}
    return _things_first(ours, network, num_things), unused


def _reason(name: str, state: Mapping[str, Tensor], network: ReleaseNetwork, source: str) -> str:
    for prefix, original in aliases(network.genotype).items():
        if name.startswith(prefix):
            other = original + name[len(prefix) :]
            if other in state and torch.equal(state[other], state[name]):
                return 'a copy: branches share the cell'
            raise ReleaseCheckpointError(
                f'{source}: {name} differs from {other}, but the genotype shares the cell; give --genotype the JSON '
                'it was trained with'
            )
    if name.startswith(('backbone.ffm16.', 'backbone.ffm32.')) and not network.auxiliary:
        return 'feeds auxiliary heads only, and the checkpoint has none'
    raise ReleaseCheckpointError(f'{source}: {name} belongs to nothing in this network; is this its genotype?')


def _things_first(ours: dict[str, Tensor], network: ReleaseNetwork, num_things: int | None) -> dict[str, Tensor]:
    """mmdet's order of classes: those with instances first."""
    if not network.panoptic:
        return ours
    things = things_of(network.num_classes, num_things)
    order = [*things, *(c for c in range(network.num_classes) if c not in things)]
    predictors = ('towers.semantic.predict.weight', 'towers.semantic.predict.bias')
    return {key: tensor[order] if key.endswith(predictors) else tensor for key, tensor in ours.items()}


def write_converted(
    state: Mapping[str, Tensor],
    network: ReleaseNetwork,
    base: Config,
    destination: str | Path,
    source: str = 'checkpoint',
    num_things: int | None = None,
    align_corners: bool = False,
) -> dict[str, str]:
    """Converts a checkpoint and writes ``destination`` and, beside it, its config.

    Args:
        state: The release's tensors.
        network: As inferred from them.
        base: The config whose ``model`` is replaced: data, schedule and runtime come from it.
        destination: The ``.pth`` to write; the config has the same name with ``.py``.
        source: The checkpoint, named in errors and in the file's meta data.
        num_things: See :func:`things_of`.
        align_corners: See :func:`model_cfg`.

    Returns:
        For every tensor that was not converted the reason.

    Raises:
        ReleaseCheckpointError: If the checkpoint is not of this network. Nothing is written then.
    """
    destination = Path(destination)
    if destination.suffix != '.pth':
        raise ReleaseCheckpointError(
            f'{destination}: expected a name that ends in .pth, the config gets the same with .py'
        )
    if destination.resolve() == Path(source).resolve():
        raise ReleaseCheckpointError(f'{destination} is the checkpoint itself; give another name to write to')
    cfg = model_cfg(network, num_things, align_corners)
    ours, unused = convert_state(state, network, cfg, source, num_things)
    out = base.copy()
    size = out.get('model', {}).get('data_preprocessor', {}).get('size')
    if size and not network.panoptic:
        cfg.data_preprocessor.size = size  # mmseg trains at one size only
    out.model = cfg
    meta = dict(
        hyctas_mm_version=__version__,
        source=Path(source).name,
        archid=network.genotype.arch.archid,
        not_converted=unused,
    )
    destination.parent.mkdir(parents=True, exist_ok=True)
    weights, text = (
        destination.with_name(f'{destination.stem}.part.pth'),
        destination.with_name(f'{destination.stem}.part.py'),
    )
    try:
        torch.save(dict(meta=meta, state_dict={key: tensor.clone() for key, tensor in ours.items()}), weights)
        out.dump(text)
        os.replace(text, destination.with_suffix('.py'))
        os.replace(weights, destination)
    finally:
        weights.unlink(missing_ok=True)
        text.unlink(missing_ok=True)
    return unused
