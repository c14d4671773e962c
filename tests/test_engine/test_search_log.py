"""What a search tells mmengine's visualizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.visualization import Visualizer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hyctas_mm.archs import SearchSpace
from hyctas_mm.engine.search_log import SearchLog
from hyctas_mm.search import Candidate, read_objectives

OBJECTIVES = read_objectives(['mIoU', 'latency_ms'])


def candidates(track: int | None, *generations: list[tuple[float, float]]) -> list[Candidate]:
    """Candidates of given scores and latencies, a list for each generation."""
    rng = np.random.default_rng(0 if track is None else track)
    space = SearchSpace()
    return [
        Candidate(
            0,
            number,
            track,
            space.sample(rng, track),
            {'mIoU': score},
            {'latency_ms': latency},
            ('too slow',) if latency > 90 else (),
        )
        for number, generation in enumerate(generations)
        for score, latency in generation
    ]


def visualizer_of(folder: Path) -> Visualizer:
    return Visualizer(vis_backends=[{'type': 'LocalVisBackend'}], save_dir=str(folder))


def logged(folder: Path) -> list[dict[str, Any]]:
    (path,) = folder.rglob('scalars.json')
    return [json.loads(line) for line in path.read_text().splitlines()]


# Worst corner of the first generation: (20 %, 8 ms); best: (40 %, 4 ms), so the box is 20 by 4.
ONE = candidates(1, [(20, 4), (40, 8)], [(30, 6), (10, 99)], [(40, 4), (50, 4)])
TWO = candidates(2, [(60, 9), (30, 12)], [(20, 99), (45, 99)])


def test_numbers_by_hand(tmp_path: Path) -> None:
    log = SearchLog(visualizer_of(tmp_path), OBJECTIVES, [1, 2], generations=3)
    for generation in range(3):
        log.add(ONE, 1, generation)
    log.add(ONE + TWO, 2, 0)
    log.add(ONE + TWO, 2, 1)
    first, second, third, fourth, fifth = logged(tmp_path)
    assert [line['step'] for line in (first, second, third, fourth, fifth)] == [1, 2, 3, 4, 5]
    assert first['search/front_size'] == first['search/1_branch/front_size'] == first['search/1_branch/feasible'] == 2
    assert first['search/1_branch/hypervolume'] == 0  # both lie on the corner's edges
    assert (
        first['search/1_branch/best_mIoU'],
        first['search/1_branch/median_mIoU'],
        first['search/1_branch/best_latency_ms'],
    ) == (40, 30, 4)
    assert (second['search/1_branch/feasible'], second['search/1_branch/front_size']) == (1, 3)
    assert second['search/1_branch/hypervolume'] == pytest.approx(10 * 2 / 80)
    assert second['search/1_branch/best_mIoU'] == 30
    # better than the best of the first generation: more than 1
    assert third['search/1_branch/hypervolume'] == pytest.approx(30 * 4 / 80)
    assert third['search/1_branch/front_size'] == third['search/front_size'] == 1
    assert (fourth['search/2_branches/front_size'], fourth['search/front_size']) == (1, 2)
    assert fifth['search/2_branches/feasible'] == 0 and 'search/2_branches/best_mIoU' not in fifth
    assert fifth['search/front_size'] == 2


def test_a_resumed_search_logs_the_same(tmp_path: Path) -> None:
    for name, known in (('uninterrupted', ONE[:2]), ('resumed', ONE + TWO)):
        SearchLog(visualizer_of(tmp_path / name), OBJECTIVES, [1, 2], generations=3).add(known, 1, 0)
    assert logged(tmp_path / 'uninterrupted') == logged(tmp_path / 'resumed')


def test_joint_search_and_nothing_feasible(tmp_path: Path) -> None:
    log = SearchLog(visualizer_of(tmp_path), OBJECTIVES, [None], generations=2)
    log.add(candidates(None, [(20, 99)]), None, 0)
    (line,) = logged(tmp_path)
    assert line == {
        'search/front_size': 0,
        'search/joint/feasible': 0,
        'search/joint/front_size': 0,
        'search/joint/hypervolume': 0.0,
        'step': 1,
    }


def test_unknown_track(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'track 3; expected one of \[1, 2\]'):
        SearchLog(visualizer_of(tmp_path), OBJECTIVES, [1, 2], generations=3).add([], 3, 0)


def test_tensorboard_shows_every_generation(tmp_path: Path) -> None:
    visualizer = Visualizer(vis_backends=[{'type': 'TensorboardVisBackend'}], save_dir=str(tmp_path))
    log = SearchLog(visualizer, OBJECTIVES, [1], generations=3)
    for generation in range(3):
        log.add(ONE, 1, generation)
    visualizer.close()
    events = EventAccumulator(str(next(tmp_path.rglob('events.out.*')).parent)).Reload()
    assert [(event.step, event.value) for event in events.Scalars('search/1_branch/best_mIoU')] == [
        (1, 40),
        (2, 30),
        (3, 50),
    ]
    assert {'search/front_size', 'search/1_branch/hypervolume', 'search/1_branch/median_latency_ms'} <= set(
        events.Tags()['scalars']
    )
