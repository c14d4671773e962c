"""Where the networks of the front use which op, as a small SVG: a panel per stride, a bar per layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

from hyctas_mm.archs import Architecture
from hyctas_mm.report.draw_arch import STRIDES
from hyctas_mm.report.ops_style import op_color, sort_ops

_BAR, _STEP, _PANEL_H, _PANEL_GAP = 26, 32, 84, 26
_LEFT, _TOP = 52, 8


def count_ops(archs: Sequence[Architecture]) -> dict[tuple[int, int], Counter[str]]:
    """Distinct cells by (output stride, layer) and op."""
    counts: dict[tuple[int, int], Counter[str]] = {}
    for arch in archs:
        for cell in arch.cells:
            counts.setdefault((cell.stride_out, cell.layer), Counter())[cell.cell.op] += 1
    return counts


def op_usage_svg(archs: Sequence[Architecture]) -> str:
    """Stacked bars: the height is the number of cells, the colours are their ops. All panels have one scale."""
    counts = count_ops(archs)
    layers = 1 + max((layer for _, layer in counts), default=0)
    most = max((c.total() for c in counts.values()), default=1)
    ops = sort_ops(op for c in counts.values() for op in c)
    width = _LEFT + max(layers * _STEP, 330) + 8
    height = _TOP + len(STRIDES) * (_PANEL_H + _PANEL_GAP) + 26
    parts = []
    for index, stride in enumerate(STRIDES):
        base = _TOP + index * (_PANEL_H + _PANEL_GAP) + _PANEL_H
        parts.append(f'<text class="label" x="6" y="{base - _PANEL_H / 2:g}">1/{stride}</text>')
        parts.append(f'<path class="axis" d="M{_LEFT - 4} {base + 0.5}H{_LEFT + layers * _STEP}"/>')
        for layer in range(layers):
            x = _LEFT + layer * _STEP
            parts.append(f'<text class="tick" x="{x + _BAR / 2:g}" y="{base + 14}">{layer}</text>')
            parts += _bar(counts.get((stride, layer), Counter()), ops, x, base, _PANEL_H / most, f'1/{stride}, layer {layer}')
    legend_x, legend_y = 6.0, height - 8
    for op in ops:
        parts.append(f'<rect x="{legend_x:g}" y="{legend_y - 10}" width="12" height="12" rx="3" fill="{op_color(op)}"/>')
        parts.append(f'<text class="label" x="{legend_x + 17:g}" y="{legend_y}">{escape(op)}</text>')
        legend_x += 38 + 6.2 * len(op)
    width = max(width, round(legend_x))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="usage" role="img" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}"><title>Ops by stride and layer</title>{"".join(parts)}</svg>'
    )


def _bar(counts: Counter[str], ops: Sequence[str], x: int, base: int, scale: float, where: str) -> list[str]:
    parts, y = [], float(base)
    for op in ops:
        if counts[op]:
            y -= counts[op] * scale
            rect = f'<rect x="{x}" y="{y:.4g}" width="{_BAR}" height="{counts[op] * scale:.4g}" fill="{op_color(op)}">'
            parts.append(f'{rect}<title>{where}: {escape(op)} in {counts[op]} of {counts.total()} cells</title></rect>')
    return parts
