"""Segmentation-architecture search for OpenMMLab.

Importing registers every module, so a config needs only ``custom_imports = dict(imports=['hyctas_mm'])``.
"""

from hyctas_mm.version import __version__


def register_all_modules() -> None:
    """Registers backbone, head, datasets, hooks and loops in mmengine's root registries. Idempotent; importing the package does it."""
    import hyctas_mm.datasets
    import hyctas_mm.engine
    import hyctas_mm.models  # noqa: F401


register_all_modules()

__all__ = ['__version__', 'register_all_modules']
