"""A backward pass in Python: PyTorch's own engine asks for the streams of a GPU, and ends where there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

Grads = list[Tensor | None]


@torch.no_grad()
def run_backward(
    tensors: Sequence[Tensor], grads: Sequence[Tensor | None], *_: Any, accumulate_grad: bool = True, **__: Any
) -> tuple[()]:
    """In place of the engine's ``run_backward``, for gradients that go into ``.grad``."""
    assert accumulate_grad, 'torch.autograd.grad is not emulated'
    roots = [(tensor.grad_fn, grad) for tensor, grad in zip(tensors, grads, strict=True)]
    waiting = _uses([node for node, _ in roots])
    arrived: dict[Any, Grads] = {}
    for node, grad in roots:
        _add(arrived, node, 0, grad)
    ready = [node for node, _ in roots if not waiting[node]]
    while ready:
        node = ready.pop()
        given = arrived.pop(node, [])
        if hasattr(node, 'variable'):
            _accumulate(node.variable, given)
            continue
        sizes = len(node._input_metadata)
        given = given + [None] * (sizes - len(given))
        results: Any = [None] * len(node.next_functions)
        if any(grad is not None for grad in given):
            results = _applied(node, given)
        for (following, slot), grad in zip(node.next_functions, results, strict=True):
            if following is None:
                continue
            _add(arrived, following, slot, grad)
            waiting[following] -= 1
            if not waiting[following]:
                ready.append(following)
    return ()


def _applied(node: Any, given: Grads) -> Sequence[Tensor | None]:
    """Gradients for each of a node's ``next_functions``."""
    if not isinstance(node, torch.autograd.function.BackwardCFunction):
        results = node(*given)
        return results if isinstance(results, tuple) else (results,)
    results = node.apply(*given)  # one for each argument, numbers among them, which have no function
    results = results if isinstance(results, tuple) else (results,)
    needed = iter([grad for grad, is_needed in zip(results, node.needs_input_grad, strict=True) if is_needed])
    return [None if following is None else next(needed) for following, _ in node.next_functions]


def _uses(roots: Sequence[Any]) -> Counter[Any]:
    """How often each node of the graph follows another."""
    found: Counter[Any] = Counter()
    seen, left = set(roots), list(roots)
    while left:
        for following, _ in left.pop().next_functions:
            if following is not None:
                found[following] += 1
                if following not in seen:
                    seen.add(following)
                    left.append(following)
    return found


def _add(arrived: dict[Any, Grads], node: Any, slot: int, grad: Tensor | None) -> None:
    if grad is None:
        return
    wanted = node._input_metadata[slot]
    if grad.shape != tuple(wanted.shape):
        grad = grad.sum_to_size(tuple(wanted.shape))  # of what was broadcast
    assert grad.device == wanted.device, f'{node}: gradient on {grad.device}, expected {wanted.device}'
    slots = arrived.setdefault(node, [])
    slots.extend([None] * (slot + 1 - len(slots)))
    grad = grad.to(wanted.dtype)
    before = slots[slot]
    slots[slot] = grad if before is None else before + grad


def _accumulate(variable: Tensor, given: Grads) -> None:
    if given and given[0] is not None:
        variable.grad = given[0].detach() if variable.grad is None else variable.grad + given[0]
