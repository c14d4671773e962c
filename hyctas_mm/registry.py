"""Where things are registered.

Models go to mmengine's root registry, which mmseg's and mmdet's registries both fall back to, so configs of either need
no prefix. Candidate ops have a registry of their own because their names (``conv``, ``attention``) are the ones
architectures use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mmengine.registry import DATASETS, HOOKS, LOOPS, MODELS, OPTIM_WRAPPERS, TRANSFORMS, Registry

from hyctas_mm.archs import declare_op

__all__ = ['DATASETS', 'EVALUATORS', 'HOOKS', 'LOOPS', 'MODELS', 'OPS', 'OPTIM_WRAPPERS', 'TRANSFORMS', 'register_op']

EVALUATORS = Registry('hyctas evaluator', scope='hyctas_mm', locations=['hyctas_mm.evaluators'])
"""What judges candidates; mmengine's own EVALUATOR makes metrics of predictions."""
OPS = Registry('hyctas op', scope='hyctas_mm', locations=['hyctas_mm.models.ops'])

T = TypeVar('T', bound=type)


def register_op(name: str) -> Callable[[T], T]:
    """Registers a candidate op under the name that architectures and search spaces use.

    Example:
        >>> @register_op('my_conv')
        ... class MyConv(Op):
        ...     ...
    """

    def register(cls: T) -> T:
        OPS.register_module(name=name, module=cls)
        declare_op(name)
        return cls

    return register
