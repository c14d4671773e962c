"""What to type to use a chosen network, as a table to copy from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from importlib.metadata import distributions
from pathlib import Path

from hyctas_mm.report.doubts import better_weights
from hyctas_mm.report.pieces import code, scroll
from hyctas_mm.report.result import SearchResult
from hyctas_mm.report.subnets import Subnet


def commands_section(result: SearchResult, subnets: Sequence[Subnet]) -> str:
    """A row for each chosen network and command."""
    rows = []
    for subnet in subnets:
        if subnet.role == 'random':
            continue
        archid = subnet.arch.archid
        weights = better_weights(subnet.results, result.axes[1].name) if subnet.results else 'weights.pth'
        commands = list(_commands(result, archid, weights))
        for index, (text, command) in enumerate(commands):
            name = f'<th scope="rowgroup" rowspan="{len(commands)}">{code(archid)}</th>' if index == 0 else ''
            rows.append(f'<tr>{name}<td>{escape(text)}</td><td><pre class="copy">{escape(command)}</pre></td></tr>')
    if not rows:
        return ''
    intro = 'To be run in the folder of the search. A click selects a whole command.'
    head = '<tr><th scope="col">Network</th><th scope="col">To</th><th scope="col">Type</th></tr>'
    table = scroll(f'<table class="commands"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table>', 'Commands')
    return f'<h2>Use them</h2>\n<p class="soft">{intro}</p>\n{table}'


def _commands(result: SearchResult, archid: str, weights: str) -> Iterator[tuple[str, str]]:
    folder = f'subnets/{archid}'
    package = _package(result.path / folder / 'config.py')
    yield 'test it', f'mim test {package} {folder}/config.py --checkpoint {folder}/{weights}'
    yield 'train it alone', f'mim train {package} {folder}/config.py'
    size = result.facts.get('input_hw')
    shape = ' '.join(map(str, size)) if isinstance(size, list) else 'HEIGHT WIDTH'
    yield 'export it', f'python REPOSITORY/tools/export_onnx.py {folder}/config.py {folder}/{weights} --shape {shape}'
    yield 'load it', f"from hyctas_mm.archs import load_arch; arch = load_arch('{folder}/arch.json')"


def _package(config: Path) -> str:
    """mim's name of the package that trains the network, from its config's default scope; the config is not run for it."""
    text = config.read_text(encoding='utf-8') if config.is_file() else ''
    found = re.search(r"^default_scope\s*=\s*['\"](\w+)['\"]", text, re.MULTILINE)
    scope = found.group(1) if found else 'mmseg'
    if scope == 'mmdet' and next(iter(distributions(name='mmdet')), None) is None:
        return 'mmdetection'  # so it is called in the maintained distributions, and mmdet in upstream's
    return scope
