"""The page."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

from hyctas_mm.report import subnets
from hyctas_mm.report.html import write_report
from hyctas_mm.report.ops import count_ops
from hyctas_mm.report.render import seconds
from hyctas_mm.report.result import load_search
from hyctas_mm.search.archive import SearchFileError

Fill = Callable[..., None]
VOID = {'meta', 'img', 'br', 'link', 'hr', 'input'}


class Page(HTMLParser):
    """Collects links and ids and checks that tags close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        assert not self.open, f'not closed: {self.open}'

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [v or '' for k, v in attrs if k in ('src', 'href', 'xlink:href')]
        self.ids += [v or '' for k, v in attrs if k == 'id']

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def load_tool() -> ModuleType:
    path = Path(__file__).parents[2] / 'tools' / 'report.py'
    spec = importlib.util.spec_from_file_location('tools_report', path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(path: Path) -> str:
    return path.read_text(encoding='utf-8')


def test_page_without_optional_parts(search_dir: Path) -> None:
    path = write_report(search_dir)
    assert path == search_dir / 'report.html'
    text = read(path)
    page = Page(text)
    assert 'No retraining was run.' in text and 'Its files were not written.' in text
    assert '<h2>Predictions</h2>' not in text and '(random)' not in text
    assert all(link.startswith('#') for link in page.links)
    assert path.stat().st_size < 600_000
    for heading in (
        'Pareto front',
        'Chosen networks',
        'Their architectures',
        'Evolution by generation',
        'Progress of the search',
        'Which ops, where',
        'Use them',
    ):
        assert f'<h2>{heading}</h2>' in text


def test_page_with_all_parts(search_dir: Path, fill_search: Fill) -> None:
    fill_search(search_dir)
    text = read(write_report(search_dir))
    page = Page(text)
    result = load_search(search_dir)
    assert 'No retraining was run.' not in text and '55.50' in text and '(random)' in text
    assert text.count('data:image/jpeg;base64,') == 3 * (2 + len(result.chosen))
    assert all(name in text for name in ('road', 'building', 'person'))
    for link in page.links:
        assert link.startswith(('#', 'data:')) or (search_dir / link).is_file(), link
    assert f'subnets/{result.chosen[0]}/config.py' in page.links
    assert f'mim train mmseg subnets/{result.chosen[0]}/config.py' in text
    assert len(text) < 1_500_000


def test_nothing_is_fetched(search_dir: Path, fill_search: Fill) -> None:
    fill_search(search_dir)
    text = read(write_report(search_dir))
    names = ('http://www.w3.org/2000/svg', 'http://www.w3.org/1999/xlink')  # names of XML languages, never fetched
    for name in names:
        text = text.replace(name, '')
    assert not re.search(r'https?://|<script src|<link|@import|fetch\(|url\((?![#])', text.replace('`url(#', ''))


def test_the_policy_allows_our_script_only(search_dir: Path) -> None:
    text = read(write_report(search_dir))
    scripts = re.findall(r'<script>(.*?)</script>', text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert len(scripts) == 1 and text.count('<script') == 2
    assert f"script-src 'sha256-{digest}'" in text and "default-src 'none'" in text


def test_ids_are_unique_and_links_lead_to_them(search_dir: Path) -> None:
    page = Page(read(write_report(search_dir)))
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)


def test_links_from_another_folder(search_dir: Path, tmp_path: Path, fill_search: Fill) -> None:
    fill_search(search_dir, pictures=0)
    (tmp_path / 'pages').mkdir()
    path = write_report(search_dir.parent, tmp_path / 'pages' / 'mine.html')
    links = [link for link in Page(read(path)).links if not link.startswith('#')]
    assert links and all((path.parent / link).resolve().is_file() for link in links)
    assert [p.name for p in path.parent.iterdir()] == ['mine.html'], 'a temporary file stayed'


def test_texts_are_escaped(edit_front: Callable[..., Path], fill_search: Fill) -> None:
    folder = edit_front(dataset='<script>alert(1)</script> & "x"', device="<img src='y'>")
    fill_search(folder)
    (folder / 'predictions' / 'val_000').rename(folder / 'predictions' / 'a"><b onclick="x')
    (folder / 'palette.json').write_text(json.dumps({'classes': ['<i>road'], 'palette': [[1, 2, 3]]}))
    text = read(write_report(folder))
    Page(text)
    assert '&lt;script&gt;alert(1)' in text
    assert (
        '<script>alert' not in text
        and text.count('<script') == 2
        and "<img src='y" not in text
        and '<b onclick' not in text
        and '<i>road' not in text
    )


def test_archid_with_markup_is_refused(edit_front: Callable[..., Path]) -> None:
    folder = edit_front(chosen=['<b>"'])
    with pytest.raises(SearchFileError, match='which archive.jsonl does not hold'):
        write_report(folder)


def test_more_than_two_objectives(edit_front: Callable[..., Path]) -> None:
    names = {'mIoU': 'max', 'latency_ms': 'min', 'params_m': 'min'}
    text = read(write_report(edit_front(objectives=[{'name': n, 'direction': d} for n, d in names.items()])))
    assert 'Of 3 objectives the figure shows the first two, not Parameters (M)' in ' '.join(text.split())


def test_nothing_chosen(edit_front: Callable[..., Path]) -> None:
    text = read(write_report(edit_front(chosen=[], front=[], fronts_by_track={})))
    Page(text)
    assert 'No network was chosen.' in text and 'No feasible network was found.' in text


@pytest.mark.slow
def test_large_search_is_small(tmp_path: Path, make_search: Callable[..., Path], fill_search: Fill) -> None:
    folder = make_search(tmp_path, num=2400)
    fill_search(folder)
    assert write_report(folder).stat().st_size < 5_000_000


def test_many_pictures_are_cut(search_dir: Path, monkeypatch: pytest.MonkeyPatch, fill_search: Fill) -> None:
    fill_search(search_dir, pictures=4)
    monkeypatch.setattr('hyctas_mm.report.predictions.MAX_IMAGE_BYTES', 1)
    text = read(write_report(search_dir))
    assert '3 more in <code>predictions/</code>' in text


def test_wrong_optional_files_are_named(search_dir: Path, fill_search: Fill) -> None:
    fill_search(search_dir, pictures=1)
    archid = load_search(search_dir).chosen[0]
    path = search_dir / 'subnets' / archid / 'results.json'
    path.write_text('{"retrained": [1]}')
    with pytest.raises(SearchFileError, match=r'results\.json: "retrained" must map names to numbers'):
        write_report(search_dir)
    path.write_text('{}')
    (search_dir / 'predictions' / 'val_000' / 'truth.png').write_text('no picture')
    with pytest.raises(ValueError, match=r'truth\.png: not a readable picture'):
        write_report(search_dir)


def test_several_trainings_have_a_spread(search_dir: Path, fill_search: Fill) -> None:
    fill_search(search_dir, pictures=0)
    path = search_dir / 'subnets' / load_search(search_dir).chosen[0] / 'results.json'
    scores = {'0': {'mIoU': 50.0}, '1': {'mIoU': 52.0}}
    path.write_text(json.dumps({'retrained': {'mIoU': 51.0}, 'by_seed': scores}))
    text = read(write_report(search_dir))
    assert '51.00 ± 1.41' in text and 'mean and standard deviation of 2 trainings' in text
    path.write_text(json.dumps({'by_seed': [1]}))
    with pytest.raises(SearchFileError, match=r'results\.json: "by_seed" must map seeds'):
        write_report(search_dir)


def test_files_that_ship_and_what_8_bits_do_to_them(search_dir: Path, fill_search: Fill) -> None:
    fill_search(search_dir, pictures=0)
    folder = search_dir / 'subnets' / load_search(search_dir).chosen[0] / 'deploy'
    folder.mkdir()
    files = {
        'onnxruntime': dict(file='model.onnx', megabytes=1.5, metrics=dict(mIoU=50.0), latency_ms=4.0),
        'onnxruntime int8': dict(file='model.int8.onnx', megabytes=0.5, metrics=dict(mIoU=48.75), latency_ms=2.0),
    }
    files['onnxruntime int8']['changed_pixels'] = dict(all=0.1, attention=0.03, lite_conv=0.09, stem=0.1)
    (folder / 'deploy.json').write_text(json.dumps(dict(files=files)))
    text = ' '.join(read(write_report(search_dir)).split())
    assert '<td>1.25</td>' in text  # lost to float
    assert '8 bits change the class of 10.0 % of the pixels' in text
    assert '<b>attention 3.0 % (8 bits suit it badly)</b>, lite_conv 9.0 %, stem 10.0 %.' in text
    del files['onnxruntime int8']
    (folder / 'deploy.json').write_text(json.dumps(dict(files=files)))
    assert '8 bits' not in read(write_report(search_dir))


def test_networks_of_little_worth_are_told_of(search_dir: Path, fill_search: Fill) -> None:
    fill_search(search_dir, pictures=0)
    archid = load_search(search_dir).chosen[0]
    text = read(write_report(search_dir))
    assert 'class="warning"' not in text and f'--checkpoint subnets/{archid}/retrained.pth' in text
    path = search_dir / 'subnets' / archid / 'results.json'
    scores = {'inherited': {'mIoU': 31.0}, 'retrained': {'mIoU': 2.5}, 'inherit': True, 'never_predicted': ['<b>car']}
    path.write_text(json.dumps(scores))
    text = read(write_report(search_dir))
    assert (
        '<p class="warning">These networks may be of little worth' in text
        and f'(e.g. {archid}: mIoU 2.5, before 31.0)' in text
    )
    assert 'some network never predicts &lt;b&gt;car.' in text
    assert f'--checkpoint subnets/{archid}/weights.pth' in text and 'trained alone on from the supernet' in text


@pytest.mark.parametrize(('installed', 'package'), [([], 'mmdetection'), (['mmdet'], 'mmdet')])
def test_commands_are_those_of_the_package(
    search_dir: Path, fill_search: Fill, monkeypatch: pytest.MonkeyPatch, installed: list[str], package: str
) -> None:
    """mim calls mmdet by the name of its distribution, which is another on each of the two stacks."""
    monkeypatch.setattr(subnets, 'distributions', lambda name: [found for found in installed if found == name])
    fill_search(search_dir, pictures=0)
    chosen = load_search(search_dir).chosen
    (search_dir / 'subnets' / chosen[1] / 'config.py').write_text("default_scope = 'mmdet'\n")
    text = read(write_report(search_dir))
    assert f'mim train {package} subnets/{chosen[1]}/config.py' in text
    assert f'mim train mmseg subnets/{chosen[0]}/config.py' in text
    assert re.findall(r'export_onnx.py subnets/(\w+)/', text) == list(chosen)


def test_fronts_larger_than_what_is_drawn(search_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('hyctas_mm.report.html.MAX_DRAWN', 2)
    result = load_search(search_dir)
    text = read(write_report(search_dir))
    drawn = {*result.chosen, *result.front[:2]}
    assert text.count('<section class="card"') == len(drawn) < len(result.front)
    assert {link[1:] for link in Page(text).links if len(link) == 13} == drawn


def test_op_counts(search_dir: Path) -> None:
    result = load_search(search_dir)
    archs = [result.by_id[i].arch for i in result.front]
    assert sum(c.total() for c in count_ops(archs).values()) == sum(len(a.cells) for a in archs)


def test_seconds() -> None:
    assert [seconds(s) for s in (12.3, 1234.5, 7500)] == ['12 s', '20 min 34 s', '2 h 5 min']


def test_tool(search_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tool = load_tool()
    assert tool.main([str(search_dir.parent), '--out', str(tmp_path / 'x.html')]) == 0
    assert 'wrote' in capsys.readouterr().out and (tmp_path / 'x.html').is_file()
    assert tool.main([str(tmp_path / 'nowhere')]) == 2
    assert 'no search in' in capsys.readouterr().err
    assert tool.main([str(search_dir), '--out', str(tmp_path / 'no' / 'x.html')]) == 2
