"""Segmentation-architecture search for OpenMMLab.

Importing registers every module, so a config needs only ``custom_imports = dict(imports=['hyctas_mm'])``.
"""

import importlib.util

from hyctas_mm.version import __version__


def register_all_modules() -> None:
    """Registers everything in mmengine's root registries: models, datasets, metrics, hooks, loops, the visualizer. Importing the package does it.

    Panoptic segmentation needs mmdet, and that mmcv's compiled operators; without either everything else is registered.
    """
    import hyctas_mm.datasets
    import hyctas_mm.engine
    import hyctas_mm.evaluation
    import hyctas_mm.evaluators
    import hyctas_mm.models
    import hyctas_mm.visualization

    if importlib.util.find_spec('mmdet') and importlib.util.find_spec('mmcv._ext'):
        import hyctas_mm.datasets.panoptic
        import hyctas_mm.models.panoptic  # noqa: F401


register_all_modules()

__all__ = ['__version__', 'register_all_modules']
