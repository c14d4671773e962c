"""From a checkpoint of the published HyCTAS release to a config and weights of ours."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from torch import Tensor

from hyctas_mm.archs import num_channels
from hyctas_mm.engine.checkpoint import load_tensors
from hyctas_mm.errors import BadValue
from hyctas_mm.registry import MODELS
from hyctas_mm.release.genotypes import ReleaseGenotype, read_release
from hyctas_mm.release.weights import aliases, from_release, release_name
from hyctas_mm.version import __version__

MAX_BASE_CHANNELS = 64
THINGS = {19: range(11, 19), 133: range(80)}
"""Which classes of Cityscapes and COCO panoptic have instances, in the release's order. Ours has them first."""


@dataclass(frozen=True)
class ReleaseNetwork:
    """What a checkpoint's tensors say of its network.

    Attributes:
        genotype: Its architecture, with the widths of stem and head and the head's variant.
        base_channels: The release's ``Fch``.
        num_classes: Channels of the logits.
        panoptic: Whether there are centre and offset heads.
        auxiliary: Whether there are auxiliary heads.
    """

    genotype: ReleaseGenotype
    base_channels: int
    num_classes: int
    panoptic: bool
    auxiliary: bool


class ReleaseCheckpointError(BadValue):
    """A checkpoint that cannot be converted; the message says why."""


def read_genotype(path: str | Path) -> dict[str, Any]:
    """Reads the release's JSON of an architecture.

    Raises:
        ReleaseCheckpointError: If there is no such file, or it is none.
    """
    try:
        genotype: dict[str, Any] = json.loads(Path(path).read_text(encoding='utf-8'))
        return genotype
    except OSError as error:
        raise ReleaseCheckpointError(f'{path}: {error.strerror}; give --genotype the JSON file of the release') from None
    except ValueError as error:
        raise ReleaseCheckpointError(f'{path}: not a JSON file ({error}); give --genotype the JSON file of the release') from None


def read_release_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Reads the tensors of a release's ``.pth``, bare or under ``state_dict`` or ``model``, with or without ``module.`` before each name.

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
    if not isinstance(data, Mapping) or not data or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in data.items()):
        raise ReleaseCheckpointError(
            f'{path}: expected tensors by name, or a dictionary with them under "state_dict" or "model"; give the .pth of the release'
        )
    return {key.removeprefix('module.'): tensor for key, tensor in data.items()}


# What the tensors say ---------------------------------------------------------------------------------------------------------


def infer_network(state: Mapping[str, Tensor], data: Mapping[str, Any], source: str = 'checkpoint') -> ReleaseNetwork:
    """Reads off the tensors' shapes what the genotype leaves open.

    A genotype that differs only in what leaves no trace in the shapes is not noticed: which of two ops with equal tensors stands where the
    branch goes down (``conv`` or ``lite_conv``), or the release's flag ``align_corners``.

    Args:
        state: The release's state dict.
        data: The genotype, as in the release's JSON.
        source: The checkpoint, named in errors.

    Raises:
        ArchitectureError: If the genotype is wrong in itself.
        ReleaseCheckpointError: If it is not of this checkpoint, naming tensors that differ.
    """
    needed = ('backbone.stem1.0.weight', 'backbone.stem2.conv1.weight', 'backbone.ffm.conv_1x1.weight', 'sem_head.predictor.weight')
    for key in needed:
        if key not in state or state[key].ndim != 4:
            raise ReleaseCheckpointError(f'{source}: has no convolution {key}; it is no checkpoint of the HyCTAS release, or an incomplete one')
    low_level = 's4s8' if 'sem_head.decoder.conv1.weight' in state else 's4' if 'sem_head.feature_projection_s4.weight' in state else 'none'
    read_release(data)  # its own mistakes first
    best: tuple[int, list[str]] | None = None
    for base, stem, head in _widths(state):
        genotype = read_release(data, stem_width=stem, head_width=head, low_level=low_level)
        differing = list(_differing_cells(state, genotype, base))
        if not differing:
            panoptic, auxiliary = (any(key.startswith(prefix) for key in state) for prefix in ('ins_head.', 'sem_head_aux'))
            return ReleaseNetwork(genotype, base, state['sem_head.predictor.weight'].shape[0], panoptic, auxiliary)
        if best is None or len(differing) < best[0]:
            best = (len(differing), differing)
    if best is None:
        raise ReleaseCheckpointError(
            f'{source}: no number of base channels up to {MAX_BASE_CHANNELS} gives its stem and fusion; is it a checkpoint of the HyCTAS release?'
        )
    raise ReleaseCheckpointError(
        f'{source}: is not of this genotype, {best[0]} cells differ: {"; ".join(best[1][:3])}. Give --genotype the JSON it was trained with'
    )


def _widths(state: Mapping[str, Tensor]) -> Iterator[tuple[int, int, int]]:
    """Base channels and widths of stem and head that fit the checkpoint's stem and aggregation, full widths first."""
    stem2, stem8 = state['backbone.stem1.0.weight'].shape[0], state['backbone.stem2.conv1.weight'].shape[0]
    fused = state['backbone.ffm.conv_1x1.weight'].shape[0]
    twelfths = range(12, 0, -1)
    for head, stem, base in itertools.product(twelfths, twelfths, range(1, MAX_BASE_CHANNELS + 1)):
        channels = num_channels(8, head, base)
        fits_stem = 2 * num_channels(2, stem, base) == stem2 and num_channels(8, stem, base) == stem8
        if fits_stem and fused in (channels, 2 * channels, 3 * channels):
            yield base, stem, head


def _differing_cells(state: Mapping[str, Tensor], genotype: ReleaseGenotype, base: int) -> Iterator[str]:
    first = {'attention': 'reduce', 'lite_conv': 'zoomed.0', 'lite_conv_2x': 'zoomed.0'}
    fused, channels = state['backbone.ffm.conv_1x1.weight'].shape[0], num_channels(8, genotype.arch.head_width, base)
    if fused != channels * len(genotype.arch.branches):
        yield f'ffm has {fused} channels, {len(genotype.arch.branches)} branches of {channels} expected'
    for placed in genotype.arch.cells:
        unit = first.get(placed.cell.op, 'conv1')
        name = release_name(f'backbone.cells.{placed.name}.{unit}.conv.weight', genotype)
        stride, width = placed.stride_out, placed.cell.width
        wanted = (num_channels(stride, width, base), num_channels(placed.stride_in, placed.width_in, base))
        if name not in state:
            yield f'{name} is missing'
        elif tuple(state[name].shape[:2]) != wanted:
            yield f'{name} has shape {tuple(state[name].shape)}, expected {wanted} channels'


# Ours -------------------------------------------------------------------------------------------------------------------------


def model_cfg(network: ReleaseNetwork, num_things: int | None = None, align_corners: bool = False) -> ConfigDict:
    """The model config of the same network: an mmseg segmentor, or for centre and offset heads the mmdet panoptic detector.

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
            panoptic_head=dict(type='HyCTASPanopticHead', loss_semantic=loss, offset_scale='release', **classes, **head),
        )
    return ConfigDict(
        type='EncoderDecoder',
        data_preprocessor=dict(type='SegDataPreProcessor', pad_val=0, seg_pad_val=255, **pixels),
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
            f'{num_classes} panoptic classes: of which data set? Known are {known}; say how many have instances (--num-things)'
        )
    return THINGS[num_classes]


def convert_state(
    state: Mapping[str, Tensor], network: ReleaseNetwork, cfg: ConfigDict, source: str = 'checkpoint', num_things: int | None = None
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Brings the tensors into our network's names and order.

    Returns:
        Our state dict, and for every tensor of the release that is not in it the reason.

    Raises:
        ReleaseCheckpointError: If tensors are missing, differ in shape, or belong to nothing.
    """
    with torch.device('meta'):
        wanted = {key: tensor.shape for key, tensor in MODELS.build(cfg).state_dict().items() if not key.startswith('data_preprocessor')}
    try:
        ours = from_release(state, network.genotype, wanted)
    except KeyError as error:
        raise ReleaseCheckpointError(f'{source}: {error.args[0]}; is the file complete, and is this its genotype?') from None
    wrong = [f'{key}: {tuple(ours[key].shape)} there, {tuple(shape)} here' for key, shape in wanted.items() if ours[key].shape != shape]
    if wrong:
        raise ReleaseCheckpointError(
            f'{source}: {len(wrong)} tensors differ in shape from what the genotype says: {"; ".join(wrong[:3])}. '
            'Give --genotype the JSON it was trained with'
        )
    used = {release_name(key, network.genotype) for key in wanted}
    copies = [alias + name[len(original) :] for alias, original in aliases(network.genotype).items() for name in used if name.startswith(original)]
    absent = sorted(name for name in copies if name not in state)
    if absent:
        raise ReleaseCheckpointError(f'{source}: {absent[0]} is missing, one of {len(absent)} tensors of shared cells; is the file complete?')
    unused = {name: _reason(name, state, network, source) for name in state if name not in used}
    return _things_first(ours, network, num_things), unused


def _reason(name: str, state: Mapping[str, Tensor], network: ReleaseNetwork, source: str) -> str:
    for prefix, original in aliases(network.genotype).items():
        if name.startswith(prefix):
            other = original + name[len(prefix) :]
            if other in state and torch.equal(state[other], state[name]):
                return 'a copy: branches share the cell'
            raise ReleaseCheckpointError(
                f'{source}: {name} differs from {other}, but the genotype shares the cell; give --genotype the JSON it was trained with'
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
        raise ReleaseCheckpointError(f'{destination}: expected a name that ends in .pth, the config gets the same with .py')
    if destination.resolve() == Path(source).resolve():
        raise ReleaseCheckpointError(f'{destination} is the checkpoint itself; give another name to write to')
    cfg = model_cfg(network, num_things, align_corners)
    ours, unused = convert_state(state, network, cfg, source, num_things)
    out = base.copy()
    size = out.get('model', {}).get('data_preprocessor', {}).get('size')
    if size and not network.panoptic:
        cfg.data_preprocessor.size = size  # mmseg trains at one size only
    out.model = cfg
    meta = dict(hyctas_mm_version=__version__, source=Path(source).name, archid=network.genotype.arch.archid, not_converted=unused)
    destination.parent.mkdir(parents=True, exist_ok=True)
    weights, text = destination.with_name(f'{destination.stem}.part.pth'), destination.with_name(f'{destination.stem}.part.py')
    try:
        torch.save(dict(meta=meta, state_dict={key: tensor.clone() for key, tensor in ours.items()}), weights)
        out.dump(text)
        os.replace(text, destination.with_suffix('.py'))
        os.replace(weights, destination)
    finally:
        weights.unlink(missing_ok=True)
        text.unlink(missing_ok=True)
    return unused
