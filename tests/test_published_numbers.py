"""Params and multiply-accumulates of the release, met digit by digit; the command that prints them; the page that sets
them beside the paper's.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from hyctas_mm import measuring as measuring
from hyctas_mm.costs import count_macs, count_params
from hyctas_mm.measuring.commands import printed
from hyctas_mm.models.ops import build_op
from tests.goldens import LOW_LEVELS, golden_file
from tools import benchmark

ROOT = Path(__file__).parents[1]

PARITY = json.loads(golden_file('parity.json').read_text())
SEMANTIC = [key for key in PARITY['nets'] if 'panoptic' not in key]
PAGE = (ROOT / 'docs' / 'published_numbers.md').read_text()


@cache
def counted(key: str) -> tuple[dict[str, int], dict[str, int]]:
    """Our counts of a golden network, e.g.

    ``'L F16 mt0 640x640 nc150'``: as it ships here, and with what the release computes for nothing.
    """
    letter, base, kind, height, width, classes = re.fullmatch(
        r'(\w) F(\d+) mt(\d) (\d+)x(\d+)(?: nc(\d+))?', key
    ).groups()
    network = measuring.published(
        f'hyctas-{letter.lower()}', (int(height), int(width)), int(base), LOW_LEVELS[int(kind)], int(classes or 19)
    )
    return measuring.count(network), measuring.count(network, as_release=True)


def giga(macs: int) -> float:
    return round(macs / 1e9, 3)


@pytest.mark.slow
@pytest.mark.parametrize('key', SEMANTIC)
def test_counts_are_the_release_s(key: str) -> None:
    ours, released = counted(key)
    wanted = PARITY['nets'][key]
    assert released['params'] == wanted['params']
    assert giga(released['conv_macs']) == wanted['conv_G']
    assert giga(released['attention_macs']) == wanted['attn_G']
    assert giga(released['conv_macs'] + released['attention_macs']) == wanted['total_G']
    unused = wanted['unused_at_inference_ffm16_ffm32']
    assert released['params'] - ours['params'] == unused['params']
    assert giga(released['conv_macs'] - ours['conv_macs']) == unused['conv_G']
    assert released['attention_macs'] == ours['attention_macs']


def table_2(op: str, down: bool = False, out_channels: int = 256) -> dict[str, Any]:
    """What an op costs on the input of the paper's Table 2, 1x256x32x64."""
    with torch.device('meta'):
        module = build_op(op, 256, out_channels, down, dict(type='BN')).eval()
    macs = count_macs(module, (1, 256, 32, 64))
    return dict(params=count_params(module), conv_G=macs.convs / 1e9, attn_G=macs.attention / 1e9)


@pytest.mark.parametrize(
    ('golden', 'op', 'options'),
    [
        ('conv s1', 'conv', {}),
        ('conv s2', 'conv', dict(down=True)),
        ('conv_2x s1', 'conv_2x', {}),
        ('conv_downup s1', 'lite_conv', {}),
        ('conv_downup s2', 'lite_conv', dict(down=True)),
        ('conv_2x_downup s1', 'lite_conv_2x', {}),
        ('sa s1', 'attention', {}),
        ('sa s2', 'attention', dict(down=True)),
        ('sa s1 256->512', 'attention', dict(out_channels=512)),
        ('skip s1', 'conv_1x1', {}),
    ],
)
def test_ops_cost_what_the_release_s_do(golden: str, op: str, options: dict[str, Any]) -> None:
    assert table_2(op, **options) == PARITY['ops'][golden]


def test_table_2_to_the_printed_digits() -> None:
    """The paper counts without attention products, and its attention is the one that goes down."""
    printed = {'conv': (1.2, 0.59), 'lite_conv': (0.4, 0.66), 'attention': (0.6, 0.81)}
    for op, numbers in printed.items():
        costs = table_2(op, down=op == 'attention')
        assert (round(costs['conv_G'], 1), round(costs['params'] / 1e6, 2)) == numbers


# The page -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'key', [k for k in SEMANTIC if k.startswith(('S F12', 'M F12', 'L F16')) and not k.endswith('nc19')]
)
def test_the_page_shows_these_counts(key: str) -> None:
    cells = [
        key[0],
        LOW_LEVELS[int(key.split('mt')[1][0])],
        *(cell for counts in counted(key) for cell in printed(counts)),
    ]
    assert f'| {" | ".join(cells)} |' in PAGE


@pytest.mark.parametrize('name', ['s', 'm'])
def test_the_page_says_what_the_cells_alone_have(name: str) -> None:
    network = measuring.published(f'hyctas-{name}', None, None, None, 19)
    cells = count_params(network.build(torch.device('meta')).backbone.cells)
    assert cells == PARITY['nets'][f'{name.upper()} F12 mt0 1024x2048']['by_part']['cells'][0]
    assert f'{cells / 1e6:.2f} M' in PAGE


def test_the_page_shows_the_ops() -> None:
    for op, down in (('conv', False), ('lite_conv', False), ('attention', True), ('attention', False)):
        costs = table_2(op, down)
        both = costs['conv_G'] + costs['attn_G']
        assert (
            f'| `{op}`{", going down" if down else ""} | {costs["conv_G"]:.3f} | {both:.3f} | '
            f'{costs["params"] / 1e6:.3f} |' in PAGE
        )


# The command ----------------------------------------------------------------------------------------------------------


def run(tmp_path: Path, *args: object) -> list[dict[str, Any]]:
    """Rows of the JSON file that the command writes."""
    path = tmp_path / 'deeper' / 'out.json'
    assert benchmark.main([*map(str, args), '--json', str(path)]) == 0
    return json.loads(path.read_text())['networks']


def refused(capsys: pytest.CaptureFixture[str], *args: object) -> str:
    assert benchmark.main([*map(str, args), '--no-latency']) == 2
    return capsys.readouterr().err


def test_command_counts_published_networks_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small, large = run(tmp_path, 'hyctas-s', 'hyctas-l', '--no-latency', '--as-release')
    assert small['input'] == large['input'] == [1024, 2048]
    assert small['as_released']['params'] == PARITY['nets']['S F12 mt0 1024x2048']['params']
    assert large['as_released']['params'] == PARITY['nets']['L F16 mt1 1024x2048']['params']
    printed = capsys.readouterr().out
    assert all(number in printed for number in ('8.052', '53.208', '44.451', '44.794', '579.931', '374.577'))


@pytest.mark.slow
def test_command_measures_configs_at_the_size_they_test_at(tmp_path: Path) -> None:
    subnet, fcn = (
        ROOT / 'configs' / 'quickstart' / 'toy_streets_subnet.py',
        next((ROOT / 'configs' / 'drop_in').glob('fcn_*.py')),
    )
    rows = run(tmp_path, subnet, fcn, '--seconds', 0.02, '--rounds', 2, '--device', 'cpu')
    assert [row['input'] for row in rows] == [[128, 256], [256, 512]]
    for row in rows:
        assert min(row['rounds_ms']) <= row['latency_ms'] <= max(row['rounds_ms']) and len(row['rounds_ms']) == 2
    assert [r['input'] for r in run(tmp_path, subnet, '--shape', 32, 64, '--no-latency')] == [[32, 64]]


def test_command_counts_detectors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ROOT / 'configs' / 'drop_in'
    (row,) = run(tmp_path, next(folder.glob('retinanet*.py')), '--no-latency')
    assert row['input'] == [800, 1333] and row['params'] > 10e6
    assert 'MaskRCNN costs depends on what it finds' in refused(capsys, next(folder.glob('mask-rcnn*.py')))
    assert 'networks with a HyCTASHead' in refused(capsys, next(folder.glob('retinanet*.py')), '--as-release')


def sized(
    test: list[dict[str, Any]] = [], train: list[dict[str, Any]] = [], crop: tuple[int, int] | None = None
) -> Any:
    loaders = {
        f'{part}_dataloader': dict(dataset=dict(pipeline=steps)) for part, steps in (('test', test), ('train', train))
    }
    return measuring.input_size(Config(dict(model=dict(data_preprocessor=dict(size=crop)), **loaders)))


def test_input_size() -> None:
    wide = dict(type='Resize', scale=(2048, 512))
    varied = [dict(type='RandomResize', scale=(320, 227), ratio_range=(0.5, 2.0))]
    assert sized([wide], varied, (512, 512)) == ((512, 2048), 'test Resize')
    assert sized([wide | dict(keep_ratio=True)], varied, (512, 512)) == ((512, 512), 'test Resize, crop ratio')
    assert sized([wide | dict(keep_ratio=True)]) == ((512, 2048), 'test Resize')
    assert sized([], varied, (160, 224)) == ((227, 320), 'train RandomResize')
    assert sized([], [], (160, 224)) == ((160, 224), 'crop')
    assert sized() is None


def test_command_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quickstart = ROOT / 'configs' / 'quickstart'
    assert 'neither a config file nor a published network (fasterseg, hyctas-l' in refused(capsys, 'hyctas-xl')
    assert '--low-level, --classes: for published networks only' in refused(
        capsys, quickstart / 'toy_streets_subnet.py', '--low-level', 's4', '--classes', 3
    )
    assert 'export one with tools/export_subnet.py' in refused(capsys, quickstart / 'toy_streets_supernet.py')
    bare = tmp_path / 'bare.py'
    bare.write_text("model = dict(type='EncoderDecoder', backbone=dict(type='HyCTASBackbone', arch='hyctas-s'))")
    assert 'give --shape H W' in refused(capsys, bare)
    cfg = Config.fromfile(quickstart / 'toy_streets_subnet.py')
    cfg.model.decode_head.aux_weight = 0
    cfg.dump(tmp_path / 'main_head_only.py')
    assert 'aux_weight=0' in refused(capsys, tmp_path / 'main_head_only.py', '--as-release')
