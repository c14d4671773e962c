"""The commands on the pages: files and options that exist, scripts that a shell can read."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from hyctas_mm.rehearsal.page import read_lines

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]
SHARED = (ROOT / 'hyctas_mm' / 'cli' / 'arguments.py').read_text()


def scripts(page: Path) -> list[str]:
    """The blocks of bash, long lines joined."""
    blocks = re.findall(r'^```bash\n(.*?)^```', page.read_text(encoding='utf-8'), re.DOTALL | re.MULTILINE)
    return [block.replace('\\\n', ' ') for block in blocks]


def own_commands(script: str) -> list[tuple[str, list[str]]]:
    """Our programs and the options given to them."""
    found = []
    for line in script.splitlines():
        command = re.search(r'((?:tools|benchmarks|docs)/[\w/]+\.py)(.*)', line.split('  #')[0])
        if command:
            found.append((command[1], re.findall(r'(?<![\w-])--[a-z][\w-]*', command[2])))
    return found


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist_and_know_their_options(page: Path) -> None:
    for program, options in (command for script in scripts(page) for command in own_commands(script)):
        assert (ROOT / program).is_file(), f'{page} names {program}'
        source = (ROOT / program).read_text() + SHARED
        assert not [option for option in options if f"'{option}'" not in source], f'{page}: {program} {options}'


@pytest.mark.parametrize('page', ['distributed', 'panoptic', 'report', 'reproduce', 'extending/op', 'extending/head'])
def test_a_shell_can_read_the_scripts(page: str) -> None:
    found = scripts(ROOT / 'docs' / f'{page}.md')
    assert found
    for script in found:
        done = subprocess.run(['bash', '-n'], input=script, capture_output=True, text=True)
        assert done.returncode == 0, f'{script}\n{done.stderr}'


def test_the_reproduction_names_what_there_is() -> None:
    """Configs, tools and their options, with all variables filled in."""
    lines = read_lines(ROOT / 'docs' / 'reproduce.md')
    commands = [line.arguments(['s', 'm', 'l']) for line in lines]
    configs = {word for words in commands for word in words if word.startswith('configs/')}
    assert len(configs) >= 15 and not [path for path in configs if not (ROOT / path).is_file()]
    for words in commands:
        program = next(word for word in words if word in ('-m', 'tools/train.py') or word.startswith('tools/'))
        if program == '-m':
            continue
        source = (
            ''.join(p.read_text() for p in (ROOT / program, ROOT / 'hyctas_mm' / 'measuring' / 'commands.py')) + SHARED
        )
        options = {word for word in words[words.index(program) :] if word.startswith('--')}
        assert not [option for option in options if f"'{option}'" not in source], (program, options)
    assert ['python', 'tools/evidence.py', 'perturb'] in [words[:3] for words in commands]
    told = ' '.join(line.result for line in lines)
    assert not [n for n in range(1, 10) if f'Table {n}' not in told] and 'Figure 5' in told


def test_a_wrong_option_is_found() -> None:
    assert own_commands('torchrun --nproc_per_node=4 tools/search.py C --launcher pytorch --fast  # --not-this') == [
        ('tools/search.py', ['--launcher', '--fast'])
    ]
