"""How predictions look."""

from hyctas_mm.visualization.panoptic_overlay import overlay, palette_of, panoptic_overlay, true_panoptic
from hyctas_mm.visualization.panoptic_visualizer import PanopticVisualizer

__all__ = ['PanopticVisualizer', 'overlay', 'palette_of', 'panoptic_overlay', 'true_panoptic']
