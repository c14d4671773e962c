"""Where the networks of the front use which op, as a small SVG: a panel per stride, a bar per layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

from hyctas_mm.archs import STRIDES, Architecture
from hyctas_mm.report.ops_style import INK, op_color, op_short, sort_ops

_BAR, _STEP, _PANEL_H, _EMPTY_H, _PANEL_GAP = 46, 52, 120, 20, 36
_LEFT, _TOP = 64, 22
_NAMED = 11  # height of a part that has room for its op's name


def count_ops(archs: Sequence[Architecture]) -> dict[tuple[int, int], Counter[str]]:
    """Distinct cells by (output stride, layer) and op."""
    counts: dict[tuple[int, int], Counter[str]] = {}
    for arch in archs:
        for cell in arch.layout().cells:
            counts.setdefault((cell.lane, cell.column), Counter())[cell.op] += 1
    return counts


def op_usage_svg(archs: Sequence[Architecture]) -> str:
    """Stacked bars: the height is the number of cells, the colours are their ops. All panels have one scale."""
    counts = count_ops(archs)
    layers = 1 + max((layer for _, layer in counts), default=0)
    most = max((c.total() for c in counts.values()), default=1)
    ops = sort_ops(op for c in counts.values() for op in c)
    right = _LEFT + layers * _STEP
    width = max(right, 330) + 8
    parts = []
    base = _TOP - _PANEL_GAP
    for stride in STRIDES:
        high = max([counts[at].total() for at in counts if at[0] == stride], default=0) * _PANEL_H / most
        base += round(max(high, _EMPTY_H)) + _PANEL_GAP
        parts.append(f'<text class="strong" x="6" y="{base - max(high, _EMPTY_H) / 2 + 4:g}">1/{stride}</text>')
        parts.append(f'<path class="axis" d="M{_LEFT - 4} {base + 0.5}H{right}"/>')
        for layer in range(layers):
            x = _LEFT + layer * _STEP
            parts.append(f'<text class="tick" x="{x + _BAR / 2:g}" y="{base + 14}">{layer}</text>')
            parts += _bar(counts.get((stride, layer), Counter()), ops, x, base, _PANEL_H / most, f'1/{stride}, layer {layer}')
    parts.append(f'<text x="6" y="{base + 14}">layer</text>')
    legend_x, legend_y = 6.0, base + 44
    for op in ops:
        parts.append(f'<rect x="{legend_x:g}" y="{legend_y - 10}" width="12" height="12" rx="3" fill="{op_color(op)}"/>')
        parts.append(f'<text x="{legend_x + 17:g}" y="{legend_y}">{escape(op)}</text>')
        legend_x += 38 + 6.2 * len(op)
    width, height = max(width, round(legend_x)), legend_y + 8
    style = f'width:100%;max-width:{width}px;min-width:{round(0.75 * width)}px'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="usage" role="img" style="{style}" '
        f'viewBox="0 0 {width} {height}"><title>Ops by stride and layer</title>{"".join(parts)}</svg>'
    )


def _bar(counts: Counter[str], ops: Sequence[str], x: int, base: int, scale: float, where: str) -> list[str]:
    parts, y, middle = [], float(base), x + _BAR / 2
    for op in ops:
        if not counts[op]:
            continue
        high = counts[op] * scale
        y -= high
        rect = f'<rect class="part" x="{x}" y="{y:.4g}" width="{_BAR}" height="{high:.4g}" fill="{op_color(op)}"/>'
        name = f'<text class="in" fill="{INK}" x="{middle:g}" y="{y + high / 2 + 3:.4g}">{escape(op_short(op))}</text>' if high >= _NAMED else ''
        parts.append(f'<g><title>{where}: {escape(op)} in {counts[op]} of {counts.total()} cells</title>{rect}{name}</g>')
    if counts:
        parts.append(f'<text class="tick" x="{middle:g}" y="{y - 4:.4g}">{counts.total()}</text>')
    return parts
