"""What a network is: architectures, the space they live in, and the published ones. No torch in here."""

from hyctas_mm.archs.architecture import Architecture
from hyctas_mm.archs.handover import Handover
from hyctas_mm.archs.layout import Layout
from hyctas_mm.archs.ops import SKIP, declare_op, known_ops
from hyctas_mm.archs.parts import (
    DETAIL_STRIDE,
    LOW_LEVELS,
    STRIDES,
    ArchitectureError,
    Branch,
    Cell,
    Gate,
    PlacedCell,
    num_channels,
)
from hyctas_mm.archs.search_space import SearchSpace
from hyctas_mm.archs.zoo import load_arch, zoo_names

__all__ = [
    'DETAIL_STRIDE',
    'LOW_LEVELS',
    'SKIP',
    'STRIDES',
    'Architecture',
    'ArchitectureError',
    'Branch',
    'Cell',
    'Gate',
    'Handover',
    'Layout',
    'PlacedCell',
    'SearchSpace',
    'declare_op',
    'known_ops',
    'load_arch',
    'num_channels',
    'zoo_names',
]
