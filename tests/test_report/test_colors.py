"""Colours that can be read and told apart, by eyes that see colours differently too."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from hyctas_mm.report.ops import INK, op_color
from hyctas_mm.report.pareto import track_style
from hyctas_mm.report.render import asset
from tests.test_report.conftest import COLORS

OPS = ('conv', 'conv_2x', 'lite_conv', 'lite_conv_2x', 'attention')
# linear RGB as seen without one kind of cone (Machado, Oliveira and Fernandes 2009, severity 1)
EYES = {
    'all cones': np.eye(3),
    'no red cones': np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    'no green cones': np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    'no blue cones': np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
Vector = npt.NDArray[np.float64]


def linear(color: str) -> Vector:
    value = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(rgb: Vector) -> Vector:
    """CIELAB of linear RGB."""
    ratio = XYZ @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(first: str, second: str) -> float:
    """WCAG's contrast ratio."""
    low, high = sorted(float(XYZ[1] @ linear(color)) for color in (first, second))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize('eyes', EYES)
@pytest.mark.parametrize(
    ('colors', 'least'), [([op_color(op) for op in OPS], 20), ([track_style(t).color for t in (1, 2, 3)], 14)]
)
def test_told_apart(eyes: str, colors: list[str], least: float) -> None:
    seen = [lab(EYES[eyes] @ linear(color)) for color in colors]
    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2)) > least


@pytest.mark.parametrize('scheme', COLORS)
def test_text_is_readable(scheme: str) -> None:
    colors = COLORS[scheme]
    for ink, ground in itertools.product(('fg', 'soft', 'link'), ('bg', 'card')):
        assert contrast(colors[ink], colors[ground]) >= 4.5, (ink, ground)
    assert all(contrast(track_style(t).color, colors['bg']) >= 2.8 for t in (1, 2, 3, None))
    assert contrast(colors['hit'], colors['bg']) >= 3


@pytest.mark.parametrize('op', [*OPS, 'conv_1x1', 'zoom_conv', 'zoom_conv_2x', 'op_of_somebody'])
def test_names_on_ops_are_readable(op: str) -> None:
    assert contrast(INK, op_color(op)) >= 4.5


def test_the_page_writes_on_ops_with_that_ink() -> None:
    assert f'.usage .in, .sketch .in {{ fill: {INK};' in asset('report.css')
