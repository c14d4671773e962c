"""The page in a real browser: pointed at, clicked, typed to, narrow and wide, light and dark, and without its
script.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hyctas_mm.report.html import write_report
from hyctas_mm.report.result import SearchResult, load_search
from tests.front_reference import non_dominated
from tests.test_report.browser import Browser, find_browser
from tests.test_report.conftest import COLORS, add_extras, write_search

PROGRAM = find_browser()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason='no Chromium is installed (Debian: apt-get install chromium)')

PLACE = """(id => {
  const point = document.querySelector(`.front [data-id="${id}"]`);
  point.scrollIntoView({block: 'center', behavior: 'instant'});
  const box = point.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
})"""
TEXT_SIZES = """[...document.querySelectorAll('.fig text')].map(text => {
  const svg = text.closest('svg');
  return parseFloat(getComputedStyle(text).fontSize) * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
})"""


@pytest.fixture(scope='module')
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert PROGRAM is not None
    with Browser(PROGRAM, tmp_path_factory.mktemp('profile')) as browser:
        yield browser


@pytest.fixture(scope='module')
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_search(tmp_path_factory.mktemp('search'))
    add_extras(folder, pictures=2)
    return write_report(folder)


@pytest.fixture(scope='module')
def result(page: Path) -> SearchResult:
    return load_search(page.parent)


def only(result: SearchResult, front: bool) -> str:
    """A network on the front that was not chosen, or one that no drawing shows. None else is drawn over it."""
    points = {c.archid: np.array([c.value(o.name) for o in result.axes], dtype=float) for c in result.scored}
    spread = np.ptp(list(points.values()), axis=0)
    found = [i for i in points if (i in result.front) is front and i not in result.chosen]
    return max(found, key=lambda i: min(np.linalg.norm((points[i] - p) / spread) for j, p in points.items() if j != i))


def visible(browser: Browser, selector: str) -> bool:
    shown = '(e => !!e && e.checkVisibility({visibilityProperty: true}) && e.getBoundingClientRect().width > 0)'
    return bool(browser.evaluate(f'{shown}(document.querySelector({json.dumps(selector)}))'))


def text_of(browser: Browser, selector: str) -> str:
    return str(browser.evaluate(f'document.querySelector({json.dumps(selector)}).textContent'))


def count(browser: Browser, selector: str) -> int:
    return int(browser.evaluate(f'document.querySelectorAll({json.dumps(selector)}).length'))


def place(browser: Browser, archid: str) -> tuple[float, float]:
    x, y = browser.evaluate(f'{PLACE}("{archid}")')
    return x, y


def test_pointing_shows_the_architecture(browser: Browser, page: Path, result: SearchResult) -> None:
    browser.open(page)
    assert not visible(browser, '.tip')
    archid = only(result, front=False)
    x, y = place(browser, archid)
    browser.move(x + 3, y - 2)
    assert visible(browser, '.tip') and visible(browser, '.ring')
    text = text_of(browser, '.tip')
    assert (
        archid in text and f'Latency {result.by_id[archid].value("latency_ms"):.2f} ms' in text and 'Parameters' in text
    )
    assert count(browser, '.tip .sketch .in') == len(result.by_id[archid].arch.cells)
    browser.move(3, 3)
    assert not visible(browser, '.tip') and not visible(browser, '.ring')


def test_clicking_keeps_a_network_and_marks_its_drawing(browser: Browser, page: Path, result: SearchResult) -> None:
    browser.open(page)
    archid = only(result, front=True)
    browser.click(*place(browser, archid))
    assert visible(browser, '.pin') and archid in text_of(browser, '.pin')
    assert count(browser, '.pin svg.ha rect.cell') == len(result.by_id[archid].arch.cells)
    assert browser.evaluate('[...document.querySelectorAll(".card.hit")].map(card => card.id)') == [archid]
    assert count(browser, f'tr.hit[data-id="{archid}"]') == 1
    ids = browser.evaluate('[...document.querySelectorAll("[id]")].map(element => element.id)')
    assert len(ids) == len(set(ids)), 'the copied drawing repeats ids'
    browser.evaluate('document.querySelector(".pin a").click()')
    assert visible(browser, f'[id="{archid}"]'), 'the link does not lead to the drawing'
    browser.evaluate('document.querySelector(".pin button").click()')
    assert not visible(browser, '.pin') and not count(browser, '.hit')


def test_networks_without_a_drawing_are_sketched(browser: Browser, page: Path, result: SearchResult) -> None:
    browser.open(page)
    archid = only(result, front=False)
    browser.click(*place(browser, archid))
    assert count(browser, '.pin .sketch .in') == len(result.by_id[archid].arch.cells)
    assert not count(browser, '.pin a') and not count(browser, '.card.hit')


def test_keyboard(browser: Browser, page: Path, result: SearchResult) -> None:
    browser.open(page)
    browser.evaluate('document.querySelector(".front").focus()')
    cheapest_first = sorted(result.front, key=lambda i: result.by_id[i].value('latency_ms') or 0)
    browser.press('ArrowRight', 'ArrowRight')
    assert cheapest_first[1] in text_of(browser, '.tip')
    browser.press('End')
    assert cheapest_first[-1] in text_of(browser, '.tip')
    browser.press('ArrowRight', 'ArrowLeft', 'Enter')
    assert cheapest_first[-2] in text_of(browser, '.pin') and visible(browser, '.pin')
    browser.press('Escape')
    assert not visible(browser, '.pin')
    browser.press('Tab')
    assert browser.evaluate('document.activeElement.type') == 'range', 'the slider is not next'


def test_winding_back(browser: Browser, page: Path, result: SearchResult) -> None:
    browser.open(page)
    wind = (
        '(to => { const slider = document.querySelector(".wind input"); slider.value = to; '
        'slider.dispatchEvent(new Event("input")); })'
    )
    browser.evaluate(f'{wind}(1)')
    assert count(browser, '.front [data-id].later') == sum(c.generation > 1 for c in result.scored)
    assert count(browser, '.past') == len(result.tracks) and not visible(browser, '[id="pareto-front-1"]')
    fronts = 0
    for track in result.tracks:
        early = [c for c in result.scored if c.track == track and c.generation <= 1]
        fronts += len(non_dominated(np.array([[o.sign * (c.value(o.name) or 0) for o in result.axes] for c in early])))
    assert count(browser, '.past ~ circle, .past + circle') == fronts
    late = next(i for i in result.front if result.by_id[i].generation > 1)
    browser.evaluate('document.querySelector(".front").focus()')
    browser.press('Home', *['ArrowRight'] * len(result.front))
    assert late not in text_of(browser, '.tip')
    browser.evaluate(f'{wind}({result.last_generation})')
    assert not count(browser, '.later') and not count(browser, '.past') and visible(browser, '[id="pareto-front-1"]')


def test_copying(browser: Browser, page: Path, result: SearchResult) -> None:
    browser.open(page)
    assert count(browser, '.commands button') == count(browser, 'pre.copy') == 4 * len(result.chosen)
    browser.evaluate("""(() => {
      window.copied = [];
      Object.defineProperty(navigator, 'clipboard', {value: {writeText: async text => { copied.push(text); }}});
      document.querySelectorAll('.commands button')[1].click();
    })()""")
    assert browser.evaluate('copied') == [f'mim train mmseg subnets/{result.chosen[0]}/config.py']
    assert browser.evaluate('document.querySelectorAll(".commands button")[1].textContent') == 'Copied'
    # without a clipboard the text is selected, for the reader to copy
    browser.evaluate("navigator.clipboard.writeText = async () => { throw new Error('refused'); }")
    browser.evaluate('document.querySelectorAll(".commands button")[0].click()')
    assert browser.evaluate('getSelection().toString()').startswith(f'mim test mmseg subnets/{result.chosen[0]}')


@pytest.mark.parametrize('dark', [False, True], ids=['light', 'dark'])
@pytest.mark.parametrize('width', [1400, 420])
def test_looks(browser: Browser, page: Path, tmp_path: Path, width: int, dark: bool) -> None:
    browser.open(page, width, dark=dark)
    picture = browser.screenshot(whole=True)
    picture.save(tmp_path / f'{width}-{"dark" if dark else "light"}.png')
    ground = tuple(bytes.fromhex(COLORS['dark' if dark else 'light']['bg'][1:]))
    assert picture.width == width and picture.height > 2000
    assert {picture.getpixel((x, y)) for x in (1, width - 2) for y in (1, picture.height // 2, picture.height - 2)} == {
        ground
    }
    pixels = np.asarray(picture).reshape(-1, 3)
    assert 0.05 < (pixels != ground).any(axis=1).mean() < 0.8, 'an empty or overfull page'
    assert browser.evaluate('document.documentElement.scrollWidth') == width, 'the page scrolls sideways'
    assert min(browser.evaluate(TEXT_SIZES)) >= 7.2, 'text of a figure is too small to read'
    assert browser.complaints() == []
    assert all(url.startswith(('file:', 'data:')) for url in browser.requests())


def test_without_script_it_is_the_same_picture(
    browser: Browser, page: Path, result: SearchResult, tmp_path: Path
) -> None:
    browser.open(page, script=False)
    browser.screenshot(whole=True).save(tmp_path / 'static.png')
    assert not count(browser, 'button') and not count(browser, '.wind'), 'controls that do nothing'
    assert count(browser, '.front [data-id] > title') == len(result.scored)
    assert (
        visible(browser, '.front svg.fig')
        and visible(browser, f'[id="{result.chosen[0]}"] svg.ha')
        and visible(browser, 'pre.copy')
    )


def test_files_of_a_search_cannot_run_scripts(browser: Browser, page: Path, tmp_path: Path) -> None:
    evil = tmp_path / 'evil.html'
    text = page.read_text(encoding='utf-8').replace(
        '<h1>', '<img src="data:image/png;base64,x" onerror="window.ran = true"><script>window.ran = true</script><h1>'
    )
    evil.write_text(text, encoding='utf-8')
    browser.open(evil)
    assert browser.evaluate('window.ran') is None
    blocked: list[Any] = [c for c in browser.complaints() if 'Content Security Policy' in c]
    assert len(blocked) == 2


def test_a_search_without_any_feasible_network(browser: Browser, tmp_path: Path) -> None:
    folder = write_search(tmp_path)
    path = folder / 'archive.jsonl'
    records = [json.loads(line) | {'violations': ['too slow'], 'metrics': {}} for line in path.read_text().splitlines()]
    path.write_text(''.join(json.dumps(r) + '\n' for r in records))
    data = json.loads((folder / 'front.json').read_text())
    (folder / 'front.json').write_text(json.dumps(data | {'front': [], 'chosen': [], 'fronts_by_track': {}}))
    browser.open(write_report(folder))
    browser.evaluate('document.querySelector(".front").focus()')
    browser.press('ArrowRight', 'Enter')
    browser.move(500, 400)
    assert browser.complaints() == [] and not visible(browser, '.tip')
