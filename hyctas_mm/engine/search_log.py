"""What a search found, generation by generation, for mmengine's visualizer: TensorBoard, Weights & Biases,
``scalars.json``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from mmengine.visualization import Visualizer

from hyctas_mm.errors import BadValue
from hyctas_mm.search import Candidate, Objective
from hyctas_mm.search.front import front_indices
from hyctas_mm.search.hypervolume import Frame


class SearchLog:
    """Logs once per generation through every backend of the visualizer.

    For each track (``1_branch``, ``2_branches``, ..., ``joint``) under ``search/TRACK/``: ``best_NAME`` and
    ``median_NAME`` of each objective over the generation's own feasible candidates, ``feasible`` (how many those are),
    ``front_size`` and ``hypervolume`` of all found so far. ``search/front_size`` counts the front over all tracks.

    The hypervolume is measured from the worst corner of the track's first generation that has feasible candidates; 1 is
    a network with the best of each objective that was seen there, and more is possible. The corner does not move, so
    curves of one search are comparable, and a resumed search logs what an uninterrupted one does. Steps count
    generations through all tracks, from 1, and never fall.

    Args:
        visualizer: The runner's visualizer; its ``vis_backends`` decide where the numbers go.
        objectives: Objectives of the search.
        tracks: Tracks in their order, None for the joint one.
        generations: Generations of each track.

    Example:
        >>> log = SearchLog(runner.visualizer, objectives, [1, 2, 3], generations=20)
        >>> log.add(archive, track=1, generation=0)
    """

    def __init__(
        self, visualizer: Visualizer, objectives: Sequence[Objective], tracks: Sequence[int | None], generations: int
    ) -> None:
        self.visualizer = visualizer
        self.objectives = tuple(objectives)
        self.tracks, self.generations = list(tracks), generations

    def add(self, candidates: Iterable[Candidate], track: int | None, generation: int) -> None:
        """Logs a generation that was evaluated.

        Args:
            candidates: The archive. What a resumed search has in it of later generations is left out.
            track: The track.
            generation: The generation, from 0.

        Raises:
            ValueError: If the track is not one of the search's.
        """
        if track not in self.tracks:
            raise BadValue(f'track {track!r}; expected one of {self.tracks}')
        number = self.tracks.index(track)
        earlier = self.tracks[:number]
        known = [
            c for c in candidates if not c.violations and all(c.value(o.name) is not None for o in self.objectives)
        ]
        own = [c for c in known if c.track == track and c.generation <= generation]
        scalars: dict[str, float] = {
            'search/front_size': len(self._front([*(c for c in known if c.track in earlier), *own]))
        }
        prefix = f'search/{_name(track)}'
        scalars |= {f'{prefix}/{name}': value for name, value in self._describe(own, generation).items()}
        self.visualizer.add_scalars(scalars, step=number * self.generations + generation + 1)

    def _describe(self, own: Sequence[Candidate], generation: int) -> dict[str, float]:
        """The scalars of a track. Nothing is said of what has no feasible candidate."""
        found = [c for c in own if c.generation == generation]
        scalars: dict[str, float] = {
            'feasible': len(found),
            'front_size': len(self._front(own)),
            'hypervolume': self._hypervolume(own),
        }
        for objective in self.objectives if found else ():
            values = [c.value(objective.name) or 0.0 for c in found]
            scalars[f'best_{objective.name}'] = max(values) if objective.direction == 'max' else min(values)
            scalars[f'median_{objective.name}'] = float(np.median(values))
        return scalars

    def _hypervolume(self, own: Sequence[Candidate]) -> float:
        if not own:
            return 0.0
        start = min(c.generation for c in own)
        frame = Frame.around(self._points([c for c in own if c.generation == start]))
        return float(frame.volumes(self._points(own))[-1])

    def _front(self, candidates: Sequence[Candidate]) -> list[int]:
        return front_indices(self._points(candidates))

    def _points(self, candidates: Sequence[Candidate]) -> np.ndarray:
        rows = [[o.sign * (c.value(o.name) or 0.0) for o in self.objectives] for c in candidates]
        return np.array(rows, dtype=np.float64).reshape(-1, len(self.objectives))


def _name(track: int | None) -> str:
    return 'joint' if track is None else f'{track}_branch' if track == 1 else f'{track}_branches'
