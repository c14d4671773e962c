"""What mim reads: the model index, the metafiles and what they say of the configs; and the paths that READMEs and
pages name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from mim.commands.search import convert2df
from mmengine.config import Config
from modelindex.load_model_index import load

from hyctas_mm.measuring import count, from_config

ROOT = Path(__file__).parents[1]
INDEX = ROOT / 'model-index.yml'
METAFILES = sorted((ROOT / 'configs').rglob('metafile.yaml'))
CONFIGS = sorted(
    p for p in (ROOT / 'configs').rglob('*.py') if '_base_' not in p.parts and not p.name.endswith('_runtime.py')
)
MODELS = [(path, model) for path in METAFILES for model in yaml.safe_load(path.read_text())['Models']]
COUNTED = [model for _, model in MODELS if 'Parameters (M)' in model['Metadata']]
PAGES = sorted(
    p for pattern in ('*.md', 'docs/**/*.md', 'configs/**/*.md', 'benchmarks/*.md') for p in ROOT.glob(pattern)
)
TWICE = ('quickstart', 'evidence')
"""Folders with configs of equal names, which carry the folder's name in the index."""


def name_of(model: dict[str, Any]) -> str:
    return model['Name']


def test_index_lists_every_metafile() -> None:
    listed = yaml.safe_load(INDEX.read_text())['Import']
    assert sorted(listed) == [str(p.relative_to(ROOT)) for p in METAFILES]
    assert {p.parent for p in CONFIGS} <= {p.parent for p in METAFILES}
    assert not [p for p in METAFILES if not (p.parent / 'README.md').is_file()]


def test_every_config_is_one_model_of_its_folder() -> None:
    listed = sorted(model['Config'] for _, model in MODELS)
    assert listed == [str(p.relative_to(ROOT)) for p in CONFIGS] and len(listed) > 60
    for metafile, model in MODELS:
        path = ROOT / model['Config']
        assert path.parent == metafile.parent
        assert model['Name'] == (f'{path.parent.name}_{path.stem}' if path.parent.name in TWICE else path.stem)


@pytest.mark.parametrize('model', [model for _, model in MODELS], ids=name_of)
def test_model_says_what_its_config_does(model: dict[str, Any]) -> None:
    cfg, facts = Config.fromfile(ROOT / model['Config']), model['Metadata']
    loop = cfg.train_cfg
    if loop.type.endswith('SearchLoop'):
        assert facts['Kind'] == 'search'
        of_one = (
            len(loop.budgets) * loop.get('candidates', 4) if 'budgets' in loop else loop.population * loop.generations
        )
        assert facts['Candidates'] == len(loop.get('branches') or [None]) * of_one
        return
    assert (facts['Kind'] == 'supernet') == ('search_space' in cfg.model.backbone)
    assert (facts['Kind'] == 'retraining') == ('subnet' in model['Name'])
    gpus = int((re.search(r'_(\d+)xb\d+-', model['Name']) or ('', 1))[1])
    assert facts['Batch Size'] == cfg.get('auto_scale_lr', {}).get(
        'base_batch_size', gpus * cfg.train_dataloader.batch_size
    )
    assert (facts.get('Iterations'), facts.get('Epochs')) == (loop.get('max_iters'), loop.get('max_epochs'))
    published = re.match('(hyctas-([sml]))_', model['Name'])
    if published:
        assert facts['Architecture'] == [f'HyCTAS-{published[2].upper()}'] and cfg.model.backbone.arch == published[1]


@pytest.mark.parametrize('model', COUNTED, ids=name_of)
def test_parameters_and_macs(model: dict[str, Any]) -> None:
    """Of the network as it is tested, without auxiliary heads."""
    facts = model['Metadata']
    network = from_config(str(ROOT / model['Config']), tuple(map(int, facts['Input Size'].split('x'))))
    found = count(network)
    assert facts['Parameters (M)'] == round(found['params'] / 1e6, 2)
    assert facts['MACs (G)'] == round((found['conv_macs'] + found['attention_macs']) / 1e9, 1)


def table_of(page: str, column: str) -> list[dict[str, str]]:
    """The rows of the page's first table that has the column, each by the names of its columns."""
    for table in re.findall(r'(?:^\|.*\|\n)+', page, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line.strip('|').split('|')] for line in table.splitlines())
        if column in head:
            return [dict(zip(head, row, strict=True)) for row in rows]
    raise AssertionError(f'no table with the column {column!r}')


def test_results_are_the_means_of_the_networks_on_their_page() -> None:
    with_results = [(path, model) for path, model in MODELS if 'Results' in model]
    folders = {path.parent.name for path in METAFILES}
    assert {path.parent.name for path, _ in with_results} == folders & {
        p.stem for p in (ROOT / 'docs' / 'results').glob('*.md')
    }
    for path, model in with_results:
        page = (ROOT / 'docs' / 'results' / f'{path.parent.name}.md').read_text()
        (metrics,) = (result['Metrics'] for result in model['Results'])
        assert [name.split()[1] for name in metrics] == ['chosen', 'random']
        for name, value in metrics.items():
            column, role = f'{name.split()[0]} retrained, val', name.split()[1]
            scores = [float(row[column]) for row in table_of(page, column) if row['role'].startswith(role)]
            assert len(scores) > 2 and value == pytest.approx(sum(scores) / len(scores), abs=0.0101)


def test_mim_reads_the_index() -> None:
    """With mim's own reader, which says nothing of files it cannot find or of collections it does not know: those are
    asked for.
    """
    index = load(str(INDEX))
    # READMEs are named from the root, as mmseg and mmdet do, where the checker looks beside the metafile
    assert not [error for error in index.check(silent=True) if 'README' not in error]
    assert all((ROOT / collection.readme).is_file() for collection in index.collections)
    table = convert2df(index)
    assert sorted(table.index) == sorted(model['Name'] for _, model in MODELS)
    assert all(name == name.lower() for name in table.index), 'mim looks names up in lower case'
    assert {'config', 'training_data', 'kind', 'batch_size', 'parameters(M)', 'macs(G)'} <= set(table.columns)
    assert set(table['model']) == {collection.name.lower() for collection in index.collections}


@pytest.mark.parametrize('page', PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_paths_in_pages_exist(page: Path) -> None:
    text = page.read_text()
    named = [
        path.rstrip('./')
        for path in re.findall(r'(?<![\w./-])(?:configs|tools|docs|benchmarks|tests|hyctas_mm)/[\w./*-]+', text)
    ]
    foreign = ('tools/dataset_converters/', 'hyctas_mm/onnx-')  # mmseg's and mmdet's own, a file format
    named = [path for path in named if not path.startswith(foreign)]
    # without a suffix it may be the beginning of a name that a command completes
    assert not [path for path in named if not next(ROOT.glob(path if Path(path).suffix else f'{path}*'), None)]
    links = [link for link in re.findall(r'\]\(([^)#\s]+)', text) if '://' not in link]
    assert not [link for link in links if not (page.parent / link).exists()]
