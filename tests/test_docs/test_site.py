"""The site is built without a warning."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests import forks

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SITE = ('sphinx', 'myst_parser', 'furo')
PANOPTIC = ('mmdet', 'mmcv._ext')


def missing(names: tuple[str, ...]) -> list[str]:
    return [name for name in names if importlib.util.find_spec(name) is None]


@pytest.mark.skipif(
    bool(missing(SITE)), reason=f'the site is built with {", ".join(SITE)}: bash tools/install.sh --dev'
)
@pytest.mark.skipif(
    bool(missing(PANOPTIC)), reason='the reference of the panoptic parts needs mmdet and mmcv with compiled operators'
)
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    site = tmp_path / 'site'
    options = ('-W', '--keep-going', '-q', '-E', '-c', 'docs', '-b', 'html')
    done = forks.run('-m', 'sphinx', *options, '.', site, patience_s=900, CUDA_VISIBLE_DEVICES='')
    assert done.returncode == 0, done.stdout[-4000:]
    assert (
        'url=docs/index.html' in (site / 'index.html').read_text()
        and 'hyctas_mm' in (site / 'docs' / 'index.html').read_text()
    )
    pages = {path.relative_to(ROOT).with_suffix('.html') for path in (ROOT / 'docs').rglob('*.md')}
    assert not [page for page in pages if not (site / page).is_file()]
    reference = (site / 'docs' / 'api' / 'models.html').read_text()
    assert 'id="hyctas_mm.registry.register_op"' in reference
    packages = {path.parent.name for path in (ROOT / 'hyctas_mm').glob('*/__init__.py')}
    text = ''.join(path.read_text() for path in (ROOT / 'docs' / 'api').glob('*.md'))
    assert not [package for package in packages if f'automodule:: hyctas_mm.{package}' not in text]
