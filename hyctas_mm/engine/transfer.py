"""Trainings that begin with the weights of another job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from hyctas_mm.archs import SearchSpace, load_arch
from hyctas_mm.engine.checkpoint import read_checkpoint
from hyctas_mm.engine.hooks.sample_arch_hook import CHECKPOINT_KEY
from hyctas_mm.errors import BadValue, NoSuchFile
from hyctas_mm.models.subnet import cut_subnet, supernet_model_cfg
from hyctas_mm.registry import HOOKS, MODELS

NAMED = 3


@HOOKS.register_module()
class TransferHook(Hook):
    """Begins a training with the weights of another one, of other classes too.

    What names and shapes agree on is taken, the rest (the classifier of other classes) stays as it was initialised, and
    the log tells it in a line. A fixed network takes its part of a supernet whose space it is in. A resumed training
    has its own weights.

    Args:
        checkpoint: Its file, or the folder of that training, of that network, or of the whole job, whose supernet is
            taken.

    Example:
        >>> custom_hooks = [dict(type='SampleArchHook'), dict(type='TransferHook', checkpoint='work_dirs/camvid')]
    """

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint

    def before_train(self, runner: Runner) -> None:
        if runner.iter == 0:
            model = runner.model.module if is_model_wrapper(runner.model) else runner.model
            print_log(take_what_fits(model, runner.cfg.model, find_checkpoint(self.checkpoint)), 'current')


def begin_with(cfg: Config, place: str | Path) -> None:
    """Makes a training config begin with the weights of another job.

    Args:
        cfg: The config, changed in place.
        place: As of :class:`TransferHook`.

    Raises:
        FileNotFoundError: If there is no checkpoint.
    """
    hook = dict(type='TransferHook', checkpoint=str(find_checkpoint(place).resolve()))
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or ()), hook]


def find_checkpoint(place: str | Path) -> Path:
    """The file that is meant by itself, by the folder of a training or of a retrained network, or by a job's.

    Raises:
        FileNotFoundError: If there is none.
    """
    place = Path(place)
    if place.is_file():
        return place
    for folder in (place / 'supernet', place):
        last = folder / 'last_checkpoint'
        found = folder / (Path(last.read_text().strip()).name if last.is_file() else 'retrained.pth')
        if found.is_file():
            return found
    raise NoSuchFile(
        f'--init {place}: no checkpoint, and no folder of a job, a training or a retrained network; give e.g. '
        'work_dirs/camvid, after its supernet was trained'
    )


def take_what_fits(model: nn.Module, model_cfg: Mapping[str, Any], path: Path) -> str:
    """Loads the weights of a file whose names and shapes are the model's.

    Args:
        model: A supernet or a fixed network, changed in place.
        model_cfg: The config it was built from.
        path: Checkpoint of either; of a supernet a fixed network takes what its architecture uses.

    Returns:
        What was taken and what was not.

    Raises:
        ValueError: If nothing fits, or the network is not in the space of the supernet.
    """
    checkpoint, here = read_checkpoint(path), model.state_dict()
    there: Mapping[str, Tensor] = checkpoint['state_dict']
    space = checkpoint.get(CHECKPOINT_KEY, {}).get('search_space')
    arch = model_cfg['backbone'].get('arch')
    if space is not None and arch is not None:
        there = _cut(there, SearchSpace.from_dict(space), model_cfg, path)
    fits = {name: there[name] for name in here if name in there and there[name].shape == here[name].shape}
    taken = sum(tensor.numel() for tensor in fits.values() if tensor.is_floating_point())
    if not taken:
        raise BadValue(f'{path}: no weight has the name and shape of one of this network; give one of a like network')
    model.load_state_dict(fits, strict=False)
    share = taken / sum(tensor.numel() for tensor in here.values() if tensor.is_floating_point())
    changed = [name for name in here if name in there and name not in fits]
    missing = [name for name in here if name not in there]
    text = f'{path}: {len(fits)} of {len(here)} tensors taken ({share:.1%} of the numbers)'
    text += f'; of another shape there: {_some(changed)}' * bool(changed)
    return text + f'; not there: {_some(missing)}' * bool(missing)


def _some(names: Sequence[str]) -> str:
    return ', '.join(names[:NAMED]) + f' and {len(names) - NAMED} more' * (len(names) > NAMED)


def _cut(
    there: Mapping[str, Tensor], space: SearchSpace, model_cfg: Mapping[str, Any], path: Path
) -> dict[str, Tensor]:
    """Of a supernet's weights those of a fixed network."""
    arch = load_arch(model_cfg['backbone']['arch'])
    if wrong := space.violations(arch):
        raise BadValue(f'{path}: a supernet of another space: {wrong[0]}; give one of a space that has the network')
    shared = any('.trunks.all.' in name for name in there)
    cfg = supernet_model_cfg(model_cfg, space, shared_trunk=shared)
    with torch.random.fork_rng(devices=[]):  # the training is the same from whichever file it begins
        supernet: nn.Module = MODELS.build(cfg)
        state = supernet.state_dict()
        for name, tensor in state.items():  # what does not come from the file is known by this again
            if name in there and there[name].shape == tensor.shape:
                tensor.copy_(there[name])
            elif tensor.is_floating_point():
                tensor.fill_(torch.nan)
        found = cut_subnet(supernet, cfg, arch).state_dict()
    return {name: tensor for name, tensor in found.items() if not tensor.isnan().any()}
