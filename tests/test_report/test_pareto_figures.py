"""Hypervolume and the figures made with matplotlib."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from hyctas_mm.report.pareto import pareto_svg, progress_svg
from hyctas_mm.report.result import load_search
from hyctas_mm.search.front import hypervolume, hypervolume_curve, non_dominated


@pytest.mark.parametrize(
    ('points', 'area'),
    [
        ([[0, 0]], 16),
        ([[1, 1]], 9),
        ([[1, 3], [3, 1]], 3 + 3 - 1),
        ([[1, 3], [2, 2], [3, 1]], 6),
        ([[1, 3], [3, 1], [3, 3], [1, 3]], 5),  # a dominated and a repeated point add nothing
        ([[1, 3], [1, 2]], 6),
        ([[4, 0], [0, 4]], 0),  # on the border
        ([[5, -1]], 0),  # beyond the reference
        ([[-1, 3]], 5),
    ],
)
def test_hypervolume_by_hand(points: list[list[float]], area: float) -> None:
    assert hypervolume(np.array(points, dtype=float), (4, 4)) == area


def test_hypervolume_of_nothing() -> None:
    assert hypervolume(np.empty((0, 2)), (1, 1)) == 0


def test_non_dominated() -> None:
    points = np.array([[2.0, 2], [1, 3], [3, 1], [2, 3], [2, 2], [3, 3]])
    assert non_dominated(points).tolist() == [[1, 3], [2, 2], [3, 1]]


def test_curve_is_the_hypervolume_of_each_start() -> None:
    points = np.random.default_rng(3).random((80, 2))
    curve = hypervolume_curve(points, (1, 1))
    assert curve == pytest.approx([hypervolume(points[: n + 1], (1, 1)) for n in range(80)])
    assert (np.diff(curve) >= 0).all()


def test_front_figure(search_dir: Path) -> None:
    result = load_search(search_dir)
    svg = pareto_svg(result)
    ElementTree.fromstring(svg)
    assert 'Latency (ms), lower is better' in svg and 'mIoU (%), higher is better' in svg
    assert all(f'<title>{c.archid}: mIoU' in svg for c in result.scored)
    assert all(f'>{archid[:6]}</text>' in svg for archid in result.chosen)
    assert all(text in svg for text in ('1 branch<', '2 branches<', '3 branches<'))
    assert 'currentColor' in svg and '#010203' not in svg and '#000000' not in svg
    assert svg == pareto_svg(result), 'differs from run to run'


def test_figures_do_not_share_ids(search_dir: Path) -> None:
    result = load_search(search_dir)
    ids = [{e.get('id') for e in ElementTree.fromstring(svg).iter() if e.get('id')} for svg in (pareto_svg(result), progress_svg(result))]
    assert not ids[0] & ids[1]


def test_axes_follow_the_directions(edit_front: Callable[..., Path]) -> None:
    swapped = [{'name': 'macs_g', 'direction': 'min'}, {'name': 'mIoU', 'direction': 'max', 'unit': '%'}]
    result = load_search(edit_front(objectives=swapped))
    assert [o.name for o in result.axes] == ['macs_g', 'mIoU']
    both_up = [{'name': 'mIoU', 'direction': 'max'}, {'name': 'aAcc', 'direction': 'max'}]
    result = load_search(edit_front(objectives=both_up))
    assert [o.name for o in result.axes] == ['aAcc', 'mIoU']
    ElementTree.fromstring(pareto_svg(result))


def test_joint_search(search_dir: Path, edit_front: Callable[..., Path]) -> None:
    path = search_dir / 'archive.jsonl'
    path.write_text(''.join(json.dumps(json.loads(line) | {'track': None}) + '\n' for line in path.read_text().splitlines()))
    result = load_search(edit_front(fronts_by_track=None))
    assert result.tracks == [None]
    assert 'joint search' in pareto_svg(result)
    assert 'joint search' in progress_svg(result)


def test_nothing_feasible(search_dir: Path, edit_front: Callable[..., Path]) -> None:
    path = search_dir / 'archive.jsonl'
    lines = [json.loads(line) | {'violations': ['too slow'], 'metrics': {}} for line in path.read_text().splitlines()]
    path.write_text(''.join(json.dumps(r) + '\n' for r in lines))
    result = load_search(edit_front(front=[], chosen=[], fronts_by_track={}))
    assert 'no feasible candidate' in pareto_svg(result)
    ElementTree.fromstring(progress_svg(result))
