"""INT8 in PyTorch: what a file of :func:`~hyctas_mm.costs.onnx_int8.write_int8` computes, without writing one."""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from hyctas_mm.errors import BadValue

KINDS: Mapping[str, str] = {
    'conv2d': 'conv',
    'batch_norm': 'norm',
    **dict.fromkeys(('relu', 'relu_'), 'relu'),
    **dict.fromkeys(('interpolate', 'avg_pool2d'), 'same'),
    **dict.fromkeys(('add', 'add_', '__add__', '__iadd__', '__radd__'), 'add'),
    **dict.fromkeys(('mul', 'mul_', '__mul__', '__imul__', '__rmul__'), 'mul'),
    **dict.fromkeys(('cat', 'concat', 'concatenate'), 'cat'),
    **dict.fromkeys(('sigmoid', 'sigmoid_'), 'sigmoid'),
}
"""Functions of PyTorch that the file has in 8 bits, on maps of four dimensions. ``'same'`` keeps its input's range."""
VIEWS = frozenset(
    (
        *('flatten', 'transpose', 'reshape', 'view', 'permute', 'unsqueeze', 'squeeze', 'contiguous', 'to'),
        *('clone', 'detach', 'type_as', 'float'),
    )
)
"""Functions whose result holds the values of its input."""
OUTPUT = -1
Place = tuple[int, int]
"""The number of a call, and the place of an argument, or :data:`OUTPUT`."""


@dataclass(frozen=True)
class Step:
    """A function that a network called.

    Attributes:
        name: Of the function.
        kind: One of the values of :data:`KINDS`; None for another function.
        inputs: Numbers of the maps among its arguments, by their place; those in a list have the places of the list.
        outputs: Numbers of its results.
        kept: Whether it is in a layer that stays float32.
        weight: Elements of a convolution's weight, its output channels, and what tells it from others; zeros for other
            functions.
    """

    name: str
    kind: str | None
    inputs: Mapping[int, int]
    outputs: tuple[int, ...]
    kept: bool
    weight: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True)
class Int8Plan:
    """What of a network is in 8 bits.

    Attributes:
        steps: All functions that it called, in their order.
        sizes: Elements of each map, by its number.
        kinds: Of the calls that count, those with a kind, in their order.
        convs: Calls whose weights are in 8 bits, and the range of the maps that they read.
        ranges: Which range each place that is quantised has; several may share one.
        shared: Places that have the range of another map, and tell nothing of it.
        maps: Numbers of the maps in 8 bits, with those that exist within a fused operation only.
    """

    steps: tuple[Step, ...]
    sizes: tuple[int, ...]
    kinds: tuple[str, ...]
    convs: Mapping[int, int]
    ranges: Mapping[Place, int]
    shared: frozenset[Place]
    maps: frozenset[int]


def plan_int8(net: nn.Module, shape: Sequence[int], keep: Sequence[str] = ()) -> Int8Plan:
    """Finds what a file would have in 8 bits: convolutions and what lies between them, but not the last convolutions
    and what follows them, nor attention's products.

    Args:
        net: In eval mode; batch norms may be fused or not, which is the same.
        shape: Of its input, (N, 3, H, W).
        keep: Layers that stay float32 with all that is in them.
    """
    net = copy.deepcopy(net).to('meta')
    with ExitStack() as stack:
        trace = _Trace(net, keep, stack)
        with torch.no_grad(), trace:
            net(torch.empty(*shape, device='meta'))
    steps = trace.steps
    readers = Counter(number for step in steps for number in step.inputs.values())
    folded = {}  # a convolution's result, by that of the norm behind it
    made_by = {number: place for place, step in enumerate(steps) for number in step.outputs}
    for step in steps:
        before = step.inputs.get(0, -1)
        if step.kind == 'norm' and readers[before] == 1 and before in made_by and steps[made_by[before]].kind == 'conv':
            folded[before] = step.outputs[0]
    found: dict[int, int] = {}  # range by map
    passing: set[int] = set()  # maps that a runtime makes and rectifies at once
    last = _last(steps)
    calls = [(n, step) for n, step in enumerate(steps) if step.kind]
    for place, step in calls:
        if place in last or step.kept or step.kind == 'norm':
            continue
        out = folded.get(step.outputs[0], step.outputs[0])
        if step.kind == 'same':
            if step.inputs[0] in found:
                found[out] = found[step.inputs[0]]
            continue
        if step.kind == 'relu':
            if step.inputs[0] in found:
                if readers[step.inputs[0]] == 1:
                    del found[step.inputs[0]]
                    passing.add(step.inputs[0])
                found.setdefault(out, out)
            continue
        for number in (*step.inputs.values(), out):
            found.setdefault(number, number)
    ranges, shared, convs = {}, set(), {}
    for call, (place, step) in enumerate(calls):
        if step.kind == 'conv' and place not in last and not step.kept:
            convs[call] = found[step.inputs[0]]
        places = {where: number for where, number in step.inputs.items() if not _is_call(steps, made_by, number)}
        for where, number in (*places.items(), (OUTPUT, step.outputs[0])):
            if number in found:
                ranges[call, where] = found[number]
                if found[number] != number:
                    shared.add((call, where))
    kinds = tuple(str(step.kind) for _, step in calls)
    return Int8Plan(
        tuple(steps), tuple(trace.sizes), kinds, convs, ranges, frozenset(shared), frozenset(found) | passing
    )


def _is_call(steps: Sequence[Step], made_by: Mapping[int, int], number: int) -> bool:
    return number in made_by and steps[made_by[number]].kind is not None


def _last(steps: Sequence[Step]) -> set[int]:
    """Places of the steps that no other convolution follows."""
    after: dict[int, bool] = defaultdict(bool)  # whether a convolution reads the map, or what is made of it
    found = set()
    for place in reversed(range(len(steps))):
        followed = any(after[number] for number in steps[place].outputs)
        if not followed:
            found.add(place)
        for number in steps[place].inputs.values():
            after[number] |= followed or steps[place].kind == 'conv'
    return found


class _Trace(TorchFunctionMode):
    """Notes what a network calls, with its maps numbered."""

    def __init__(self, net: nn.Module, keep: Sequence[str], stack: ExitStack) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.sizes: list[int] = []
        self._numbers: dict[int, int] = {}
        self._alive: list[Tensor] = []  # so that no id is used twice
        self._kept = 0
        for name, module in net.named_modules():
            if name in keep:
                stack.callback(module.register_forward_pre_hook(lambda *_: self._count(1)).remove)
                stack.callback(module.register_forward_hook(lambda *_: self._count(-1)).remove)

    def _count(self, step: int) -> None:
        self._kept += step

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        inputs = {place: self._number(x) for place, x in enumerate(_maps(args)) if _is_map(x)}
        out = func(*args, **(kwargs or {}))
        name = getattr(func, '__name__', '')
        made = [args[0]] if name == '__setitem__' else [x for x in tree_leaves(out) if _is_map(x)]
        if name in VIEWS and len(made) == 1 and 0 in inputs:
            self._name(made[0], self._numbers[id(_maps(args)[0])])
        elif made:
            for x in made:
                self._name(x, len(self.sizes))
                self.sizes.append(x.numel())
            numbers = tuple(self._number(x) for x in made)
            kind = KINDS.get(name) if _counts(args) else None
            weight = (args[1].numel(), args[1].shape[0], id(args[1])) if kind == 'conv' else (0, 0, 0)
            self.steps.append(Step(name, kind, inputs, numbers, self._kept > 0, weight))
        return out

    def _number(self, x: Tensor) -> int:
        if id(x) not in self._numbers:
            self._name(x, len(self.sizes))
            self.sizes.append(x.numel())
        return self._numbers[id(x)]

    def _name(self, x: Tensor, number: int) -> None:
        self._alive.append(x)
        self._numbers[id(x)] = number


def _is_map(x: Any) -> bool:
    return isinstance(x, Tensor) and not isinstance(x, nn.Parameter) and x.is_floating_point() and x.dim() > 2


def _maps(args: Sequence[Any]) -> list[Any]:
    """The arguments, in place of a list that comes first what is in it."""
    return [*args[0], *args[1:]] if args and isinstance(args[0], (list, tuple)) else list(args)


def _counts(args: Sequence[Any]) -> bool:
    return any(isinstance(x, Tensor) and x.dim() == 4 and x.is_floating_point() for x in _maps(args)[:2])


class FakeInt8(TorchFunctionMode):
    """While it is entered, a network computes as its INT8 file would: weights in 8 bits for each channel, maps in 8
    bits of their range on the calibration images, rounded and clipped, in floats. Gradients pass what is not clipped.

    Args:
        net: In eval mode; the functions that it calls do not depend on the size of its images.
        plan: By :func:`plan_int8`.

    Attributes:
        ranges: Least and largest value by the number of the range, empty before :meth:`calibrate`.

    Example:
        >>> int8 = FakeInt8(net, plan_int8(net, x.shape))
        >>> int8.calibrate(lambda: [net(image) for image in images])
        >>> with int8:
        ...     net(x)
    """

    def __init__(self, net: nn.Module, plan: Int8Plan) -> None:
        super().__init__()
        self.net, self.plan = net, plan
        self.ranges: dict[int, tuple[float, float]] = {}
        self._seen: dict[int, Tensor] | None = None
        self._hooks: list[Any] = []
        self._idle()

    def calibrate(self, run: Callable[[], object]) -> None:
        """Finds the ranges.

        Args:
            run: Computes the float network on the calibration images.

        Raises:
            ValueError: If there were none.
        """
        self._seen = {}
        try:
            with torch.no_grad(), self:
                run()
            ends = {number: x.tolist() for number, x in self._seen.items()}
        finally:
            self._seen = None
        if not ends:
            raise BadValue('no calibration images for int8; give training images, 32 to 256 of them')
        self.ranges = {number: (min(0.0, low), max(0.0, high)) for number, (low, high) in ends.items()}

    def __enter__(self) -> FakeInt8:
        self._hooks = [self.net.register_forward_pre_hook(lambda *_: self._restart())]
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()
        self._idle()
        super().__exit__(kind, error, trace)

    def _idle(self) -> None:
        self._call = len(self.plan.kinds)

    def _restart(self) -> None:
        self._call = 0

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        kind = KINDS.get(getattr(func, '__name__', ''))
        call = self._call
        if kind is None or call >= len(self.plan.kinds) or not _counts(args):
            return func(*args, **(kwargs or {}))
        if kind != self.plan.kinds[call]:
            raise BadValue(
                f'int8: the network calls {kind} where it called {self.plan.kinds[call]} for an image of another size; '
                'give images of one size'
            )
        self._call += 1
        given = _maps(args)
        places = [place for place in range(len(given)) if (call, place) in self.plan.ranges]
        for place in places:
            given[place] = self._as_int8(given[place], (call, place))
        if call in self.plan.convs and self._seen is None:
            given[1:3] = self._weights(call, *given[1:3])
        if isinstance(args[0], (list, tuple)):
            count = len(args[0])
            given = [given[:count], *given[count:]]
        out = func(*given, **(kwargs or {}))
        return self._as_int8(out, (call, OUTPUT)) if (call, OUTPUT) in self.plan.ranges else out

    def _weights(self, call: int, weight: Tensor, bias: Tensor | None = None) -> list[Tensor | None]:
        """A convolution's weight and bias; the file has biases as multiples of what a product's last bit is worth."""
        scale = weight.detach().abs().amax((1, 2, 3)).clamp(min=1e-30) / 127
        zero = torch.zeros_like(scale, dtype=torch.int32)
        weight = torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -127, 127)
        if bias is not None:
            step = scale * step_of(*self.ranges[self.plan.convs[call]])
            bias = bias + ((bias / step).round() * step - bias).detach()
        return [weight, bias]

    def _as_int8(self, x: Tensor, place: Place) -> Tensor:
        number = self.plan.ranges[place]
        if self._seen is None:
            return map_as_int8(x, *self.ranges[number])
        if place not in self.plan.shared:
            ends = torch.stack(x.detach().aminmax())
            if number in self._seen:
                before = self._seen[number]
                ends = torch.stack((torch.minimum(ends[0], before[0]), torch.maximum(ends[1], before[1])))
            self._seen[number] = ends
        return x


def map_as_int8(x: Tensor, low: float, high: float) -> Tensor:
    """Values rounded to 256 steps from ``low`` to ``high``, one of them 0, as ONNX Runtime's uint8 has them."""
    step = step_of(low, high)
    zero = round(-low / step)
    clipped = x.clamp(-zero * step, (255 - zero) * step)
    if not torch.is_grad_enabled():
        return clipped.div_(step).round_().mul_(step)
    return clipped + ((clipped / step).round() * step - clipped).detach()


def step_of(low: float, high: float) -> float:
    """What the last of 8 bits is worth."""
    return max((high - low) / 255, 1e-30)
