"""The figures made with matplotlib, and the plane's hypervolume."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from hyctas_mm.report.evolution import cost_svgs, front_svgs, hypervolume_svg, other_costs, steps_of
from hyctas_mm.report.html import write_report
from hyctas_mm.report.pareto import pareto_svg, values_of
from hyctas_mm.report.result import load_search
from tests.front_reference import hypervolume, non_dominated


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


def test_front_figure(search_dir: Path) -> None:
    result = load_search(search_dir)
    svg = pareto_svg(result)
    ElementTree.fromstring(svg)
    assert 'Latency (ms), lower is better' in svg and 'mIoU (%), higher is better' in svg
    assert all(f'<title>{c.archid}: mIoU' in svg for c in result.scored)
    assert all(f'>{archid[:6]}</text>' in svg for archid in result.chosen)
    points = [e for e in ElementTree.fromstring(svg).iter() if e.get('data-id')]
    assert sorted((e.get('data-id'), e.get('data-generation')) for e in points) == sorted(
        (c.archid, str(c.generation)) for c in result.scored
    )
    assert all(f'id="pareto-front-{track}"' in svg for track in (1, 2, 3))
    assert 'currentColor' in svg and '#010203' not in svg and '#000000' not in svg
    assert svg == pareto_svg(result), 'differs from run to run'


def test_figures_do_not_share_ids(search_dir: Path) -> None:
    result = load_search(search_dir)
    figures = [pareto_svg(result), hypervolume_svg(result), *front_svgs(result), *cost_svgs(result)]
    assert len(figures) == 2 + 3 + 2  # a front for each track; parameters and MACs beside the latency of the search
    ids = [e.get('id') for svg in figures for e in ElementTree.fromstring(svg).iter() if e.get('id')]
    assert len(ids) == len(set(ids))


def test_fronts_of_some_generations(search_dir: Path) -> None:
    result = load_search(search_dir)
    assert steps_of(result) == [0, 1, 2, 3, 4] == list(range(result.last_generation + 1))
    for track, svg in zip(result.tracks, front_svgs(result), strict=True):
        lines = [e for e in ElementTree.fromstring(svg).iter() if e.get('id', '').startswith(f'fronts-{track}-line2d')]
        opacities = re.findall(r'stroke-opacity: ([\d.]+); stroke-width: 1.6', svg)
        assert len(lines) > len(opacities) >= 4 and opacities == sorted(opacities), 'not from faint to strong'


def test_other_costs_are_those_that_all_have(search_dir: Path) -> None:
    assert [o.name for o in other_costs(load_search(search_dir))] == ['params_m', 'macs_g']
    path = search_dir / 'archive.jsonl'
    records = [json.loads(line) for line in path.read_text().splitlines()]
    del records[3]['costs']['macs_g']
    path.write_text(''.join(json.dumps(r) + '\n' for r in records))
    assert [o.name for o in other_costs(load_search(search_dir))] == ['params_m']


def test_hypervolume_ends_at_that_of_the_front(search_dir: Path) -> None:
    result = load_search(search_dir)
    points = np.array([[o.sign * v for o, v in zip(result.axes, values_of(c, *result.axes))] for c in result.scored])
    best, worst = points.min(axis=0), points.max(axis=0)
    expected = hypervolume((points - best) / (worst - best), (1, 1))
    root = ElementTree.fromstring(hypervolume_svg(result))
    dashed = next(e for e in root.iter() if 'stroke-dasharray' in e.get('style', '') and len(e.get('d', '')) > 60)
    ticks = {
        e.text: float(re.findall(r'[\d.]+', e.get('transform', '') or f'0 {e.get("y")}')[-1])
        for e in root.iter()
        if e.text in ('0.0', '1.0')
    }
    assert ticks['0.0'] > ticks['1.0']
    last = float(re.findall(r'[\d.]+', dashed.get('d', ''))[-1])
    assert (ticks['0.0'] - last) / (ticks['0.0'] - ticks['1.0']) == pytest.approx(expected, abs=0.02)


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
    path.write_text(
        ''.join(json.dumps(json.loads(line) | {'track': None}) + '\n' for line in path.read_text().splitlines())
    )
    result = load_search(edit_front(fronts_by_track=None))
    assert result.tracks == [None]
    assert 'points-None' in pareto_svg(result)
    page = write_report(search_dir).read_text(encoding='utf-8')
    assert 'joint search</li>' in page and 'all together</li>' not in page
    assert [svg.count('joint search') for svg in front_svgs(result)] == [2]  # title and heading
    assert 'stroke-dasharray: ' not in hypervolume_svg(result), 'all together is the same line'


def test_nothing_feasible(search_dir: Path, edit_front: Callable[..., Path]) -> None:
    path = search_dir / 'archive.jsonl'
    lines = [json.loads(line) | {'violations': ['too slow'], 'metrics': {}} for line in path.read_text().splitlines()]
    path.write_text(''.join(json.dumps(r) + '\n' for r in lines))
    result = load_search(edit_front(front=[], chosen=[], fronts_by_track={}))
    assert 'no feasible candidate' in pareto_svg(result)
    ElementTree.fromstring(hypervolume_svg(result))
