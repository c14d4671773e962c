"""Which objective is the score that experiments compare."""

from __future__ import annotations

from collections.abc import Sequence

from hyctas_mm.errors import BadValue
from hyctas_mm.search import COSTS, Objective


def score_of(objectives: Sequence[Objective]) -> Objective:
    """The first objective that is no cost.

    Raises:
        ValueError: If all are costs.
    """
    found = next((o for o in objectives if o.name not in COSTS), None)
    if found is None:
        raise BadValue(f'objectives {[o.name for o in objectives]} are all costs; expected a score such as mIoU among them')
    return found
