"""Random sub-network training of the supernet."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from hyctas_mm.archs import SearchSpace
from hyctas_mm.datasets.checks import check_not_empty
from hyctas_mm.errors import BadValue
from hyctas_mm.models.subnet import searchable_parts, set_arch
from hyctas_mm.registry import HOOKS

CHECKPOINT_KEY = 'hyctas_supernet'


@HOOKS.register_module()
class SampleArchHook(Hook):
    """Chooses a new architecture before every training step, from the paper's prior (section 3.4, equation 2).

    The draw depends on the seed and the step alone: all ranks compute the same sub-network, and a resumed run continues
    with the architectures that an uninterrupted one would have had. Checkpoints carry the seed and the search space;
    loading one into another search space is refused.

    Args:
        seed: Seed of the architectures, independent of the run's other seeds.

    Example:
        >>> custom_hooks = [dict(type='SampleArchHook', seed=0)]
        >>> model_wrapper_cfg = dict(type='SupernetDataParallel')  # a step uses one sub-network's parameters
    """

    priority = 'NORMAL'

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def before_train(self, runner: Runner) -> None:
        check_not_empty(runner.train_dataloader.dataset, 'train_dataloader')

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        model = _unwrapped(runner)
        space = supernet_space(model)
        set_arch(model, space.sample(np.random.default_rng([self.seed, runner.iter])))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        checkpoint[CHECKPOINT_KEY] = dict(seed=self.seed, search_space=supernet_space(_unwrapped(runner)).to_dict())

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        check_supernet_checkpoint(checkpoint, supernet_space(_unwrapped(runner)))


def supernet_space(model: Any) -> SearchSpace:
    """The search space of a supernet.

    Raises:
        ValueError: If its parts were built from different spaces.
    """
    parts = searchable_parts(model)
    spaces: list[SearchSpace] = [module.search_space for module in parts.values()]
    if any(space != spaces[0] for space in spaces):
        raise BadValue(
            f'the parts {", ".join(parts)} of the model have different search spaces; give search_space the same '
            'value in all of them'
        )
    return spaces[0]


def check_supernet_checkpoint(checkpoint: dict[str, Any], space: SearchSpace, source: str = 'the checkpoint') -> None:
    """Refuses the weights of another search space.

    Raises:
        ValueError: Naming each argument that differs.
    """
    saved = checkpoint.get(CHECKPOINT_KEY, {}).get('search_space')
    if saved is None:
        return
    ours = space.to_dict()
    differing = [
        f'{k}: {saved.get(k)!r} there, {ours.get(k)!r} here'
        for k in sorted({*saved, *ours})
        if saved.get(k) != ours.get(k)
    ]
    if differing:
        raise BadValue(
            f'{source} is of another search space ({"; ".join(differing)}); use the space it was trained with'
        )


def _unwrapped(runner: Runner) -> Any:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
