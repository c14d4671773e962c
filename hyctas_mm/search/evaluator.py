"""What an evaluator is: how a candidate is judged, with what it is asked and what it answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hyctas_mm.archs import Architecture
from hyctas_mm.search.archive import Candidate
from hyctas_mm.search.screening import Limit


@dataclass(frozen=True)
class Job:
    """An architecture to evaluate.

    Attributes:
        arch: The architecture.
        costs: Its costs, by which the work is divided.
        limit: Where to give up on it, None to evaluate it in any case. An evaluator that cannot judge by part of the
            images leaves it alone.
    """

    arch: Architecture
    costs: Mapping[str, float]
    limit: Limit | None = None


@dataclass(frozen=True)
class Outcome:
    """What an evaluation gave.

    Attributes:
        metrics: Scores by name; empty if it failed.
        failure: Why it failed, '' if it did not.
        seconds: How long it took; 0 if whoever asked is to look at the clock.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    failure: str = ''
    seconds: float = 0.0


class Evaluator(Protocol):
    """What judges candidates. The same architecture must be judged the same at any time and on any process."""

    def identity(self) -> dict[str, Any]:
        """What makes scores comparable (weights, images, settings), plain JSON types.

        It is written to ``search.json``; a search goes on only with the same, and all processes must have the same.
        """

    def evaluate(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Outcomes in the order of the jobs, each as soon as it is there.

        What is raised is the failure of the job whose turn it is; the others go on. With several processes each is
        given its share of the jobs.
        """

    def network(self, arch: Architecture) -> Any:
        """The fixed network that is exported, a ``torch.nn.Module`` in eval mode; None if no weights are worth it."""

    def observe(self, candidates: Sequence[Candidate]) -> None:
        """Told to every process before an evaluation: the candidates of all earlier generations.

        An evaluator that learns from them must be a function of them alone, so that a resumed search judges as an
        uninterrupted one.
        """
