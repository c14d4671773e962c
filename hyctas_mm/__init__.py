"""Segmentation-architecture search for OpenMMLab.

Importing the package registers nothing: a config has ``custom_imports = dict(imports=['hyctas_mm.register'])``.
"""

from hyctas_mm.version import __version__


def register_all_modules() -> None:
    """Registers everything in mmengine's root registries, as :mod:`hyctas_mm.register` does when it is imported."""
    import hyctas_mm.register  # noqa: F401


__all__ = ['__version__', 'register_all_modules']
