"""What the networks of one family cost, from their blocks, without building them.

A block is a module that is made by one call: a cell's op, the stem, a node, a trunk. What it costs follows from the
arguments of that call and the shapes of its inputs, so each is made once, on the meta device, and looked up ever after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from hyctas_mm.costs.macs import Macs, count_macs
from hyctas_mm.costs.params import count_params
from hyctas_mm.costs.parts import Part, Shape, collect_parts

Ship = Callable[[nn.Module], nn.Module]
"""Gives a module the form in which it is timed, e.g. with batch norm fused; may change the module."""
Learn = Callable[[Part], None]
"""Is shown each part, as it ships."""


@dataclass(frozen=True)
class Counts:
    """What is counted of a network or a block.

    Attributes:
        params: Parameters.
        macs: Multiply-accumulates.
        parts: Keys of its parts in the order of the forward pass, as a latency table has them.
    """

    params: int
    macs: Macs
    parts: tuple[str, ...]

    def summary(self) -> str:
        """In words."""
        return f'{self.params} parameters, {self.macs.convs + self.macs.attention} MACs and {len(self.parts)} parts'


def count(model: nn.Module, shapes: Sequence[Shape], ship: Ship | None, learn: Learn | None = None) -> Counts:
    """Counts a network or block.

    Args:
        model: On the meta device, in eval mode; ``ship`` may change it.
        shapes: Of each input.
        ship: See :data:`Ship`; None to leave the parts out.
        learn: See :data:`Learn`.
    """
    params, macs = count_params(model), count_macs(model, *shapes)
    parts = collect_parts(ship(model), *shapes) if ship else []
    for part in parts if learn else ():
        learn(part)  # type: ignore[misc]
    return Counts(params, macs, tuple(part.key for part in parts))


class Blocks:
    """Counts networks of one family from their blocks.

    The children of a network that define ``compose`` are passed through one after another. ``compose(arch, x, block)``
    says what the forward pass does in the network of ``arch``, with shapes in place of tensors: where the network has
    ``y = make(*args)(x)``, it has ``y = block(make, *args)(x)``. A block is called once in a network, with tensors
    only; nothing beside blocks has parameters or multiplies. ``compose`` must stand in the child's own class: that of
    a parent may not know what a subclass computes.

    Args:
        network: A network of the family, on the meta device, in eval mode; ``ship`` may change it.
        arch: Its architecture, handed on to ``compose``.
        input_shape: (N, 3, H, W).
        ship: See :data:`Ship`; None to leave the parts out.
        learn: See :data:`Learn`; shown the parts of each block once.

    Attributes:
        first: Counts of ``network`` as it is.
        problem: Why networks of this family have to be built to be counted. Empty if they need not be: every child with
            parameters composes, and the first network's counts from its blocks are the same.

    Example:
        >>> class Net(nn.Module):
        ...     def __init__(self, widths):
        ...         super().__init__()
        ...         self.convs = nn.Sequential(*(nn.Conv2d(n, m, 1) for n, m in itertools.pairwise((3, *widths))))
        ...     def forward(self, x):
        ...         return self.convs(x)
        ...     def compose(self, arch, x, block):
        ...         for width in arch:
        ...             x = block(nn.Conv2d, x[1], width, 1)(x)
        ...         return x
        >>> blocks = Blocks(nn.Sequential(Net((4, 5))), (4, 5), (1, 3, 8, 8), ship=None)
        >>> blocks.problem, blocks.count((6, 7, 8)).params
        ('', 137)
    """

    def __init__(
        self,
        network: nn.Module,
        arch: Any,
        input_shape: Sequence[int],
        ship: Ship | None,
        learn: Learn | None = None,
    ) -> None:
        self._input_shape, self._ship, self._learn = tuple(input_shape), ship, learn
        self._known: dict[Any, tuple[Counts, Any]] = {}
        self._arguments: list[Any] = []  # kept alive, as the text of some objects is their address
        self._composing = [child for child in network.children() if 'compose' in vars(type(child))]
        others = [child for child in network.children() if child not in self._composing and count_params(child)]
        self.first = count(network, [self._input_shape], ship, learn)
        self.problem = ''
        if others or not self._composing:
            names = ', '.join(type(child).__name__ for child in others or [network])
            self.problem = f'{names} does not say by compose what its blocks are'
        elif (found := self.count(arch)) != self.first:
            names = ', '.join(type(child).__name__ for child in self._composing)
            self.problem = f'compose of {names} gives {found.summary()}, the network itself has {self.first.summary()}'

    def count(self, arch: Any) -> Counts:
        """Counts the network of an architecture, to the last digit as :func:`count` counts the network itself."""
        found: list[Counts] = []

        def block(make: Callable[..., nn.Module], *args: Any, **kwargs: Any) -> Callable[..., Any]:
            made = (make, repr(args), repr(kwargs) if kwargs else '')

            def call(*shapes: Shape) -> Any:
                key = (made, shapes)
                if key not in self._known:
                    self._known[key] = self._make(make, args, kwargs, shapes)
                counts, outputs = self._known[key]
                found.append(counts)
                return outputs

            return call

        x: Any = self._input_shape
        for module in self._composing:
            x = module.compose(arch, x, block)
        macs = Macs(sum(c.macs.convs for c in found), sum(c.macs.attention for c in found))
        return Counts(sum(c.params for c in found), macs, tuple(chain.from_iterable(c.parts for c in found)))

    @property
    def num_known(self) -> int:
        """Number of blocks made so far, each at its shapes."""
        return len(self._known)

    def _make(
        self, make: Callable[..., nn.Module], args: Any, kwargs: Any, shapes: tuple[Shape, ...]
    ) -> tuple[Counts, Any]:
        """The counts of a new block and the shapes of its outputs, in the structure of its outputs."""
        self._arguments.append((args, kwargs))
        with torch.device('meta'):
            module = make(*args, **kwargs).eval()
        outputs: list[Any] = []
        module.register_forward_hook(lambda _, __, output: outputs.append(output))
        return count(module, shapes, self._ship, self._learn), tree_map(
            lambda y: tuple(y.shape) if isinstance(y, Tensor) else y, outputs[0]
        )
