"""Importing this module registers everything in mmengine's root registries: models, datasets, metrics, hooks, loops,
the visualizer.

A config names it, ``custom_imports = dict(imports=['hyctas_mm.register'])``; Python code calls
:func:`hyctas_mm.register_all_modules`. The package itself registers nothing, so that :mod:`hyctas_mm.archs`,
:mod:`hyctas_mm.search` and :mod:`hyctas_mm.report` stay light.

Panoptic segmentation needs mmdet, and that mmcv's compiled operators; without either everything else is registered.
"""

import contextlib
import importlib.util
import io
import sys
from collections.abc import Iterator

_NOISE = 'Could not import OneDL'


@contextlib.contextmanager
def _without_noise() -> Iterator[None]:
    """Holds back what the maintained distributions print at every import about data sets that nobody has."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            yield
    finally:
        sys.stdout.write(''.join(line for line in printed.getvalue().splitlines(True) if _NOISE not in line))


with _without_noise():
    import hyctas_mm.datasets
    import hyctas_mm.deploy.fast_inference_hook
    import hyctas_mm.engine
    import hyctas_mm.evaluation
    import hyctas_mm.evaluators
    import hyctas_mm.models
    import hyctas_mm.visualization

    if importlib.util.find_spec('mmdet') and importlib.util.find_spec('mmcv._ext'):
        import hyctas_mm.datasets.panoptic
        import hyctas_mm.models.panoptic  # noqa: F401
