"""How ops look in every figure, and where the networks of the front use which."""

from __future__ import annotations

import colorsys
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from hyctas_mm.archs import STRIDES, Architecture

_LOOKS = {
    'conv': ('#f3c178', 'conv'),
    'conv_2x': ('#f47c25', 'conv 2x'),
    'lite_conv': ('#bfe3f7', 'lite'),
    'lite_conv_2x': ('#639aee', 'lite 2x'),
    'attention': ('#dc74b3', 'attn'),
    'conv_1x1': ('#f6dfae', '1x1'),
    'zoom_conv': ('#b5e0cd', 'zoom'),
    'zoom_conv_2x': ('#84c9ab', 'zoom 2x'),
    'inverted_residual': ('#e3e3ea', 'inv'),
    'inverted_residual_6x': ('#a9a7c4', 'inv 6x'),
    'mixcfn': ('#d8a58f', 'mixcfn'),
    'hrvit_attn': ('#e8b4d8', 'hrvit'),
}
"""Colour and short name of our ops, in their order of cost."""

_SHORT_LENGTH = 8

INK = '#1c1f24'
"""Text on an op's colour: all of them are light enough for it, so boxes look the same on light and dark pages."""

_LEFT, _TOP, _STEP = 64, 22, 52
_PANEL_H, _EMPTY_H, _PANEL_GAP = 120, 20, 36


def op_color(op: str) -> str:
    """Fill of an op, e.g. ``'#f3c178'``; an op that is not ours gets a light colour made from its name."""
    if op in _LOOKS:
        return _LOOKS[op][0]
    digest = hashlib.sha1(op.encode()).digest()
    red, green, blue = colorsys.hls_to_rgb(digest[0] / 256, 0.72 + digest[1] / 256 * 0.1, 0.55)
    return f'#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}'


def op_short(op: str) -> str:
    """At most eight characters that fit a cell's box."""
    if op in _LOOKS:
        return _LOOKS[op][1]
    return op if len(op) <= _SHORT_LENGTH else op[: _SHORT_LENGTH - 1] + '…'


def sort_ops(ops: Iterable[str]) -> list[str]:
    """Distinct ops: ours in their order of cost, then others by name."""
    order = list(_LOOKS)
    return sorted(set(ops), key=lambda op: (order.index(op) if op in order else len(order), op))


def count_ops(archs: Sequence[Architecture]) -> dict[tuple[int, int], Counter[str]]:
    """Distinct cells by (output stride, layer) and op; those in the middle of the stem have layers of their own."""
    counts: dict[tuple[int, int], Counter[str]] = {}
    for layout in (arch.layout() for arch in archs):
        for cell in layout.cells:
            layer = cell.column + (layout.columns_before if cell.column < 0 else 0)
            counts.setdefault((cell.lane, layer), Counter())[cell.op] += 1
    return counts


def op_usage(archs: Sequence[Architecture]) -> dict[str, Any]:
    """What ``op_usage.svg.j2`` draws: a panel for each stride, in it a bar for each layer.

    The height of a bar is the number of cells, its colours are their ops. All panels have one scale.
    """
    counts = count_ops(archs)
    layers = 1 + max(layer for _, layer in counts)
    scale = _PANEL_H / max(c.total() for c in counts.values())
    ops = sort_ops(op for c in counts.values() for op in c)
    panels, base = [], _TOP - _PANEL_GAP
    for stride in sorted({*STRIDES, *(stride for stride, _ in counts)}):
        bars = [counts.get((stride, layer), Counter()) for layer in range(layers)]
        high = max(_EMPTY_H, *(c.total() * scale for c in bars))
        base += round(high) + _PANEL_GAP
        panels.append(
            dict(stride=stride, base=base, middle=base - high / 2, bars=[_stack(c, ops, base, scale) for c in bars])
        )
    legend, x = {}, 6.0
    for op in ops:
        legend[op] = x
        x += 38 + 6.2 * len(op)
    right = _LEFT + layers * _STEP
    return dict(
        panels=panels,
        legend=legend,
        left=_LEFT,
        step=_STEP,
        right=right,
        bottom=base,
        width=max(right, 330, round(x) - 8) + 8,
    )


def _stack(counts: Counter[str], ops: Sequence[str], base: float, scale: float) -> dict[str, Any]:
    parts, y = [], base
    for op in ops:
        if counts[op]:
            y -= counts[op] * scale
            parts.append(dict(op=op, count=counts[op], y=y, height=counts[op] * scale))
    return dict(parts=parts, total=counts.total(), top=y)
