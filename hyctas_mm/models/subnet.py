"""Supernet to subnet: choosing an architecture, cutting out its weights, and the config of the cut-out network."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from mmengine.config import ConfigDict
from torch import nn

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.errors import BadValue
from hyctas_mm.models.synced_norm import SyncedBatchNorm2d
from hyctas_mm.registry import MODELS


def searchable_parts(model: nn.Module) -> dict[str, nn.Module]:
    """The modules of a model that are built from a search space, by name.

    Raises:
        ValueError: If there is none: the model is not a supernet.
    """
    parts = {
        name: module for name, module in model.named_modules() if getattr(module, 'search_space', None) is not None
    }
    if not parts:
        raise BadValue(
            f'{type(model).__name__} is not a supernet: none of its parts was built with search_space=...; give the '
            'config of a supernet'
        )
    return parts


def set_arch(model: nn.Module, arch: Architecture) -> None:
    """Chooses the architecture that a supernet computes, in its backbone and in each of its heads."""
    for module in searchable_parts(model).values():
        module.set_arch(arch)


def subnet_model_cfg(model_cfg: Mapping[str, Any], arch: Architecture, base_channels: int | None = None) -> ConfigDict:
    """The config of the fixed network: ``arch`` wherever a model config has a ``search_space`` or another ``arch``.

    Args:
        model_cfg: A supernet's model config, or a fixed network's.
        arch: The architecture to build.
        base_channels: The filter multiplier; by default that of the search space, or as the fixed network's config
            says.
    """

    def fixed(value: Any) -> Any:
        if isinstance(value, Mapping):
            out = {k: fixed(v) for k, v in value.items() if k != 'search_space'}
            space = value.get('search_space')
            if space is not None or 'arch' in value:
                base = base_channels or (SearchSpace.from_dict(space).base_channels if space is not None else None)
                out |= dict(arch=arch.to_dict()) | (dict(base_channels=base) if base else {})
            if space is not None and 'Backbone' in str(value.get('type')):
                out.setdefault('outputs', 'branches')  # the supernet's default
            return out
        return [fixed(v) for v in value] if isinstance(value, (list, tuple)) else deepcopy(value)

    return ConfigDict(fixed(model_cfg))


def supernet_model_cfg(model_cfg: Mapping[str, Any], space: SearchSpace, shared_trunk: bool = False) -> ConfigDict:
    """The config of a supernet that has what a fixed network has beside its architecture.

    Args:
        model_cfg: A fixed network's model config.
        space: The supernet's search space.
        shared_trunk: Whether its heads share their trunks.
    """

    def searchable(value: Any) -> Any:
        if isinstance(value, Mapping):
            out = {
                k: searchable(v) for k, v in value.items() if 'arch' not in value or k not in ('arch', 'base_channels')
            }
            if 'arch' in value:
                out['search_space'] = space.to_dict()
                out |= dict(shared_trunk=True) if shared_trunk and 'Head' in str(value.get('type')) else {}
            return out
        return [searchable(v) for v in value] if isinstance(value, (list, tuple)) else deepcopy(value)

    return ConfigDict(searchable(model_cfg))


def drop_training_parts(model: nn.Module) -> nn.Module:
    """Removes from a fixed network what only training uses, its auxiliary heads; returns it."""
    for module in list(model.modules()):
        if hasattr(module, 'drop_auxiliary'):
            module.drop_auxiliary()
    if hasattr(model, 'auxiliary_head'):
        del model.auxiliary_head
    return model


@torch.no_grad()
def copy_subnet_weights(supernet: nn.Module, subnet: nn.Module) -> None:
    """Gives a fixed network copies of the weights of the supernet's present architecture, its own, on the supernet's
    device.

    Everything outside the searchable parts is copied by name.

    Raises:
        ValueError: If the networks do not fit each other, naming the tensor.
    """
    parts = searchable_parts(supernet)
    for name, module in parts.items():
        target = subnet.get_submodule(name)
        for part, source in module.active_parts():
            _copy_part(source, target.get_submodule(part), f'{name}.{part}')
    inside = tuple(f'{name}.' for name in parts)
    rest = supernet.state_dict()
    for path in subnet.state_dict():
        if not path.startswith(inside):
            owner, _, key = path.rpartition('.')
            _copy_tensor(rest.get(path), subnet.get_submodule(owner), key, path)


def _copy_part(source: nn.Module, target: nn.Module, where: str) -> None:
    for name, module in target.named_modules():
        own = [key for part in (module._parameters, module._buffers) for key in part if part[key] is not None]
        if own:
            active = source.get_submodule(name)
            state = active.active_state() if hasattr(active, 'active_state') else active.state_dict()
            for key in own:
                _copy_tensor(state.get(key), module, key, f'{where}.{name}.{key}')


def _copy_tensor(source: torch.Tensor | None, module: nn.Module, key: str, where: str) -> None:
    """Puts a copy of ``source`` in the place of a module's tensor: copied into it, it would go through the CPU."""
    target = getattr(module, key)
    if source is None or source.shape != target.shape:
        got = 'no such tensor' if source is None else f'shape {tuple(source.shape)}'
        raise BadValue(
            f'{where}: the subnet expects shape {tuple(target.shape)}, the supernet has {got}; are both of one '
            'search space?'
        )
    copied = source.detach().clone(memory_format=torch.contiguous_format).to(target.dtype)
    if key in module._parameters:
        module._parameters[key] = nn.Parameter(copied, requires_grad=target.requires_grad)
    else:
        module._buffers[key] = copied


def build_subnet(model_cfg: Mapping[str, Any], arch: Architecture, base_channels: int | None = None) -> nn.Module:
    """Builds the fixed network of :func:`subnet_model_cfg` for this process alone: its batch norm is not synchronised,
    whatever the config says, as the other processes have other networks.
    """
    subnet: nn.Module = MODELS.build(subnet_model_cfg(model_cfg, arch, base_channels))
    for norm in subnet.modules():
        if isinstance(norm, SyncedBatchNorm2d):
            norm.synced = False
    return subnet


def cut_subnet(supernet: nn.Module, model_cfg: Mapping[str, Any], arch: Architecture) -> nn.Module:
    """Builds the fixed network of ``arch`` with the supernet's weights, on the supernet's device and in its mode.

    Args:
        supernet: A model with searchable parts; its architecture is set to ``arch``.
        model_cfg: The config it was built from.
        arch: A member of its search space.

    Returns:
        The network that ships: it computes what the supernet computes for ``arch``.
    """
    set_arch(supernet, arch)
    subnet = build_subnet(model_cfg, arch)
    copy_subnet_weights(supernet, subnet)
    return subnet.to(next(supernet.parameters()).device).train(supernet.training)


def pad_divisor(model: nn.Module) -> int:
    """To multiples of what the model's preprocessor pads when it predicts."""
    preprocessor: Any = model.data_preprocessor
    if hasattr(preprocessor, 'test_cfg'):  # mmseg's, which pads as this says and not as in training
        return int((preprocessor.test_cfg or {}).get('size_divisor') or 1)
    return int(getattr(preprocessor, 'pad_size_divisor', 1))
