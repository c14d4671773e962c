"""Which networks to try. No torch in here."""

from hyctas_mm.search.archive import Archive, Candidate, SearchFileError
from hyctas_mm.search.objectives import COSTS, METRICS, Bound, Objective, read_bounds, read_objectives

__all__ = [
    'COSTS',
    'METRICS',
    'Archive',
    'Bound',
    'Candidate',
    'Objective',
    'SearchFileError',
    'read_bounds',
    'read_objectives',
]
