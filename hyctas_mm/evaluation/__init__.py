"""How good predictions are."""

from hyctas_mm.evaluation.cityscapes_submission import CityscapesSubmission
from hyctas_mm.evaluation.matching import ClassAreas, PanopticSums, class_areas, match_segments
from hyctas_mm.evaluation.panoptic_quality import PanopticQuality
from hyctas_mm.evaluation.segments import INSTANCE_OFFSET, TrueSegments

__all__ = [
    'INSTANCE_OFFSET',
    'CityscapesSubmission',
    'ClassAreas',
    'PanopticQuality',
    'PanopticSums',
    'TrueSegments',
    'class_areas',
    'match_segments',
]
