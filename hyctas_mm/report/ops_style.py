"""How an op looks in every figure: its colour and its short name."""

from __future__ import annotations

import colorsys
import hashlib
from collections.abc import Iterable

_COLORS = {
    'conv': '#f3c178',
    'conv_2x': '#f47c25',
    'lite_conv': '#bfe3f7',
    'lite_conv_2x': '#639aee',
    'attention': '#dc74b3',
    'conv_1x1': '#f6dfae',
    'zoom_conv': '#b5e0cd',
    'zoom_conv_2x': '#84c9ab',
}
_SHORT = {
    'conv': 'conv', 'conv_2x': 'conv 2x', 'lite_conv': 'lite', 'lite_conv_2x': 'lite 2x', 'attention': 'attn', 'conv_1x1': '1x1',
    'zoom_conv': 'zoom', 'zoom_conv_2x': 'zoom 2x',
}  # fmt: skip
_SHORT_LENGTH = 8

INK = '#1c1f24'
"""Text on an op's colour: all of them are light enough for it, so boxes look the same on light and dark pages."""


def op_color(op: str) -> str:
    """Fill of an op, e.g. ``'#f3c178'``; an op that is not ours gets a light colour made from its name, the same in every run."""
    if op in _COLORS:
        return _COLORS[op]
    digest = hashlib.sha1(op.encode()).digest()
    red, green, blue = colorsys.hls_to_rgb(digest[0] / 256, 0.72 + digest[1] / 256 * 0.1, 0.55)
    return f'#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}'


def op_short(op: str) -> str:
    """At most eight characters that fit a cell's box."""
    if op in _SHORT:
        return _SHORT[op]
    return op if len(op) <= _SHORT_LENGTH else op[: _SHORT_LENGTH - 1] + '…'


def sort_ops(ops: Iterable[str]) -> list[str]:
    """Distinct ops: ours in their order of cost, then others by name."""
    order = list(_COLORS)
    return sorted(set(ops), key=lambda op: (order.index(op) if op in order else len(order), op))
