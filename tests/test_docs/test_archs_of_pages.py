"""Every network that a page names can be rebuilt from a file, or the page says that its architecture was not kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from hyctas_mm.archs import load_arch
from hyctas_mm.costs import count_params
from hyctas_mm.measuring import published

ROOT = Path(__file__).parents[2]
ARCHS = ROOT / 'docs' / 'results' / 'archs'
ARCHID = re.compile(r'\b[0-9a-f]{12}\b')
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md')), *sorted((ROOT / 'configs').rglob('*.md'))]
NAMING = [page for page in PAGES if ARCHID.search(page.read_text(encoding='utf-8'))]


def not_kept(text: str) -> set[str]:
    """The networks named in paragraphs that say so."""
    return {
        archid for paragraph in text.split('\n\n') if 'not kept' in paragraph for archid in ARCHID.findall(paragraph)
    }


@pytest.mark.parametrize('page', NAMING, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_network_of_a_page_has_its_file_or_is_said_to_be_lost(page: Path) -> None:
    text = page.read_text(encoding='utf-8')
    named, kept = set(ARCHID.findall(text)), {path.stem for path in ARCHS.glob('*.json')}
    assert named - kept == not_kept(text)


def test_each_file_holds_the_network_of_its_name_and_a_page_names_it() -> None:
    named = {archid for page in NAMING for archid in ARCHID.findall(page.read_text(encoding='utf-8'))}
    assert [
        path.name
        for path in sorted(ARCHS.glob('*.json'))
        if load_arch(path).archid != path.stem or path.stem not in named
    ] == []


def rows() -> list[tuple[str, str, str]]:
    """The table of networks trained alike: archid, where it comes from, params in millions as printed."""
    text = (ROOT / 'docs' / 'performance.md').read_text(encoding='utf-8')
    return re.findall(r'^\| ([0-9a-f]{12})([^|]*\| (?:wide|paper|widened)[^|]*)\| ([\d.]+) \|', text, re.MULTILINE)


@pytest.mark.parametrize('archid, origin, params', rows())
def test_the_rebuilt_network_has_the_parameters_of_its_row(archid: str, origin: str, params: str) -> None:
    base = re.search(r'base (\d+)', origin)
    network = published(str(ARCHS / f'{archid}.json'), (227, 320), int(base[1]) if base else 6, None, 7)
    assert f'{count_params(network.build(torch.device("meta"))) / 1e6:.2f}' == params


def test_the_rows_are_found() -> None:
    assert len(rows()) > 15
