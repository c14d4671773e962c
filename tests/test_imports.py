"""What importing a part of the package loads and registers, each in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FRAMEWORKS = ('torch', 'mmengine', 'mmcv', 'mmseg', 'mmdet')


def loaded(code: str) -> set[str]:
    """Top-level packages that a fresh Python has loaded after it ran the code, which prints nothing."""
    told = 'import json, sys; print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))'
    done = subprocess.run(
        [sys.executable, '-c', f'{code}\n{told}'], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def modules(room: str) -> list[str]:
    """All modules of a room of the package."""
    paths = (ROOT / 'hyctas_mm' / room).rglob('*.py')
    return ['.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__') for path in paths]


@pytest.mark.parametrize('room', ['archs', 'search', 'report', 'cli'])
def test_light_rooms_load_no_framework(room: str) -> None:
    assert not loaded(f'import {", ".join(modules(room))}') & {*FRAMEWORKS, 'matplotlib'}


def test_the_package_registers_nothing_when_imported() -> None:
    assert not loaded('import hyctas_mm') & {*FRAMEWORKS, 'numpy'}


@pytest.mark.slow
def test_registering_is_asked_for() -> None:
    """Models, data sets, metrics, hooks, loops and the visualizer; silently, whatever the maintained distributions
    print.
    """
    check = """
from mmengine.registry import DATASETS, HOOKS, LOOPS, METRICS, MODELS, VISUALIZERS
assert {'HyCTASBackbone', 'HyCTASHead'} <= MODELS.module_dict.keys()
assert 'IDDLiteDataset' in DATASETS and 'PanopticQuality' in METRICS and 'SampleArchHook' in HOOKS
assert 'NSGA2SearchLoop' in LOOPS and 'PanopticVisualizer' in VISUALIZERS
"""
    code = 'from hyctas_mm import register_all_modules; register_all_modules()'
    assert {'torch', 'mmengine'} <= loaded(code + check)


TOOLS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / 'tools').rglob('*.py'))
COMMANDS = [(tool,) for tool in TOOLS] + [
    ('tools/benchmark.py', name) for name in ('latency', 'memory', 'build-table', 'check-table')
]
HELP = """
import atexit, runpy, sys
sys.argv = {argv!r}
atexit.register(lambda: print('loaded', *sorted(sys.modules)))
sys.path.insert(0, 'tools')
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def helped(*argv: str) -> tuple[str, set[str]]:
    """What ``--help`` of a command prints, and the modules that it loads."""
    done = subprocess.run(
        [sys.executable, '-c', HELP.format(argv=[*argv, '--help'])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    text, _, modules = done.stdout.rpartition('loaded ')
    return text, set(modules.split())


@pytest.mark.parametrize('command', COMMANDS, ids=' '.join)
def test_help_waits_for_no_framework(command: tuple[str, ...]) -> None:
    text, modules = helped(*command)
    assert text.startswith('usage: ') and 'argparse' in modules
    assert not modules & {*FRAMEWORKS, 'matplotlib'}


def test_help_names_the_choices_that_there_are() -> None:
    """Those of modules that load torch are written out in the tools."""
    from hyctas_mm.costs import CLOCKS, target_names
    from hyctas_mm.deploy import OUTPUTS

    latency = ' '.join(helped('tools/benchmark.py', 'latency')[0].split())
    assert (
        f'some of {", ".join(target_names())} (default: eager)' in latency
        and f'--clock {{{",".join(CLOCKS)}}}' in latency
    )
    assert f'--outputs {{{",".join(OUTPUTS)}}}' in ' '.join(helped('tools/export_onnx.py')[0].split())
