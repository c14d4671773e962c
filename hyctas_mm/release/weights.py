"""Weights of the published HyCTAS release for our networks: which tensor is which."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from hyctas_mm.archs import PlacedCell
from hyctas_mm.errors import UnknownName
from hyctas_mm.release.genotypes import ReleaseGenotype

# Ours on the left, the release's on the right; a convolution's own tensors are `.conv.` and `.bn.` here, the bare name
# and `.norm.` there.
_UNIT = ((r'\.conv\.(weight|bias)$', r'.\1'), (r'\.bn\.', '.norm.'))
_STEM = {
    'conv2': 'stem1.0',
    'conv4.0': 'stem1.1.conv1',
    'conv4.1': 'stem1.1.conv2',
    'conv8.0': 'stem2.conv1',
    'conv8.1': 'stem2.conv2',
}
_NODES = {'32_16': ('arms32.0', 'refines32.0'), '32_8': ('arms32.1', 'refines32.1'), '16_8': ('arms16', 'refines16')}
_FUSIONS = {'fuse8': 'ffm', 'fuse16': 'ffm16', 'fuse32': 'ffm32'}
_FUSION_PARTS = {'mix': 'conv_1x1', 'gate.0': 'channel_attention.1', 'gate.1': 'channel_attention.2'}
_ATTENTION = {
    'reduce': 'net1',
    'attend.query': 'net2.0.query_conv',
    'attend.key': 'net2.0.key_conv',
    'attend.value': 'net2.0.value_conv',
    'attend.gamma': 'net2.0.gamma',
    'norm': 'net2.2',
    'expand': 'net3',
    'bypass': 'shortcut',
}
_LITE_2X = {'zoomed.0': 'conv1', 'zoomed.1': 'conv2', 'bypass': 'downsample'}
_OPS = {
    'conv_1x1': {'conv1': 'conv1'},
    'conv': {'conv1': 'conv'},
    'conv_2x': {'conv1': 'conv1', 'conv2': 'conv2'},
    'lite_conv': {'zoomed.0': 'conv', 'bypass': 'downsample'},
    'lite_conv_2x': _LITE_2X,
    'attention': _ATTENTION,
}
_TASKS = {'semantic': 'sem_head', 'instance': 'ins_head'}
_TOWERS = {
    'semantic': ('seg_head', 'seg_conv', 'predictor'),
    'center': ('center_head', 'center_conv', 'center_predictor'),
    'offset': ('offset_head', 'offset_conv', 'offset_predictor'),
}


def convert_op_name(op: str, name: str) -> str:
    """The release's name of a tensor inside an op, e.g. ``zoomed.0.bn.bias`` of ``lite_conv`` is ``conv.norm.bias``."""
    return _swap(_unit(name), _OPS[op])


def convert_fusion_name(name: str) -> str:
    """The same inside a channel fusion."""
    return _swap(_unit(name), _FUSION_PARTS)


def convert_trunk_name(name: str) -> str:
    """The same inside a trunk, e.g. ``fusion.project4.bn.bias`` is ``feature_projection_s4.norm.bias``."""
    name = _unit(name)
    if name.startswith('fusion.attention.'):
        return 'att_sa.' + _swap(name[len('fusion.attention.') :], _ATTENTION)
    if name.startswith('fusion.decode8.'):
        return 'decoder.' + _swap(name[len('fusion.decode8.') :], _LITE_2X)
    if name.startswith('fusion.project'):
        return name.replace('fusion.project', 'feature_projection_s')
    _, tower, part, rest = name.split('.', 3)
    decode, refine, predict = _TOWERS[tower]
    return (
        f'{decode}.{_swap(rest, _LITE_2X)}'
        if part == 'decode'
        else f'{dict(refine=refine, predict=predict)[part]}.{rest}'
    )


def release_name(key: str, genotype: ReleaseGenotype) -> str:
    """The release's name of a tensor of our network.

    Args:
        key: A name in the state dict of a segmentor or panoptic detector.
        genotype: The network.

    Raises:
        KeyError: If the release has nothing of the kind.
    """
    part, rest = key.split('.', 1)
    if part == 'backbone' and rest.startswith('stem.'):
        return 'backbone.' + _swap(_unit(rest[len('stem.') :]), _STEM)
    if part == 'backbone':
        _, name, inside = rest.split('.', 2)
        placed = _placed(name, genotype)
        where = f'backbone.cells.{placed.layer}-{_members(placed, genotype)[0]}'
        return f'{where}.{_wrapped(placed)}{convert_op_name(placed.cell.op, inside)}'
    if rest.startswith('aggregation.nodes.'):
        _, _, node, side, inside = rest.split('.', 4)
        return f'backbone.{_NODES[node][side == "fuse"]}.' + _unit('.' + inside)[1:]
    if rest.startswith('aggregation.'):
        _, fusion, inside = rest.split('.', 2)
        return f'backbone.{_FUSIONS[fusion]}.{convert_fusion_name(inside)}'
    if rest.startswith('trunk.'):
        _, task, inside = rest.split('.', 2)
        return f'{_TASKS[task]}.{convert_trunk_name(inside)}'
    _, stride, task, inside = rest.split('.', 3)
    return f'{_TASKS[task]}_aux{stride[1:]}.{convert_trunk_name(inside)}'


def aliases(genotype: ReleaseGenotype) -> dict[str, str]:
    """Prefixes of shared cells that the release stores once more for each further branch, and the prefix that we
    read.
    """
    out = {}
    for placed in genotype.arch.cells:
        first, *others = _members(placed, genotype)
        out.update({f'backbone.cells.{placed.layer}-{b}.': f'backbone.cells.{placed.layer}-{first}.' for b in others})
    return out


def from_release(state: Mapping[str, Tensor], genotype: ReleaseGenotype, keys: Iterable[str]) -> dict[str, Tensor]:
    """Tensors of the release under our names.

    Args:
        state: The release's state dict.
        genotype: The network that it is of.
        keys: Names of our network's tensors.

    Raises:
        KeyError: Naming the first tensor that the release's state dict lacks.
    """
    out = {}
    for key in keys:
        name = release_name(key, genotype)
        if name not in state:
            raise UnknownName(f'{name} (our {key}) is missing')
        out[key] = _reorder(key, state[name], genotype)
    return out


# Names ----------------------------------------------------------------------------------------------------------------


def _unit(name: str) -> str:
    for pattern, replacement in _UNIT:
        name = re.sub(pattern, replacement, name)
    return name


def _swap(name: str, table: Mapping[str, str]) -> str:
    for ours, theirs in table.items():
        if name == ours or name.startswith(ours + '.'):
            return theirs + name[len(ours) :]
    raise UnknownName(f'the release has no {name!r}')


def _placed(name: str, genotype: ReleaseGenotype) -> PlacedCell:
    return next(placed for placed in genotype.arch.cells if placed.name == name)


def _members(placed: PlacedCell, genotype: ReleaseGenotype) -> list[int]:
    """The release's numbers of the branches that share a cell."""
    return [theirs for theirs, ours in enumerate(genotype.order) if ours in placed.branches]


def _wrapped(placed: PlacedCell) -> str:
    # NOTE(release): only skips are not wrapped for drop path
    return '_op._op.' if placed.cell.op == 'conv_1x1' else '_op._op.0.'


# Order of the branches ------------------------------------------------------------------------------------------------


def _reorder(key: str, tensor: Tensor, genotype: ReleaseGenotype) -> Tensor:
    """Puts a fusion's input channels, which follow the branches, into our order."""
    if not key.endswith(('aggregation.fuse8.mix.conv.weight', 'aggregation.fuse16.mix.conv.weight')):
        return tensor
    strides = genotype.arch.output_strides
    ours = [b for b in range(len(strides)) if 'fuse8' in key or strides[b] >= 16]
    theirs = [b for b in genotype.order if b in ours]
    sizes = dict.fromkeys(ours, tensor.shape[1] // len(ours))
    if 'fuse16' in key and len(ours) == 2:
        # the branch that ends at stride 16 gives the full width (as many channels as the result has), the other one the
        # rest
        sizes = {b: tensor.shape[0] if strides[b] == 16 else tensor.shape[1] - tensor.shape[0] for b in ours}
    pieces = dict(zip(theirs, tensor.split([sizes[b] for b in theirs], dim=1), strict=True))
    return torch.cat([pieces[b] for b in ours], dim=1)
