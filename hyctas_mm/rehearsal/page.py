"""The commands on a page, as bash reads them."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hyctas_mm.errors import BadValue

PLACEHOLDER = 'NETWORK'
"""On the page, what a reader has to choose: a network of the search before."""
_DEFINITION = re.compile(r'(\w+=\S+\s*)+$|\w+\(\)')
_SHOW = '\n'.join(f'{name}() {{ printf "%s\\0" {name} "$@"; }}' for name in ('python', 'torchrun'))


@dataclass(frozen=True)
class Line:
    """A command of a page.

    Attributes:
        result: What the comment above it says that it is for; '' if none.
        text: The command.
        definitions: Variables and functions set before it.
    """

    result: str
    text: str
    definitions: tuple[str, ...] = ()

    def arguments(self, networks: list[str] | None = None) -> list[str]:
        """The command's words, ``python`` or ``torchrun`` first, with all variables filled in.

        Args:
            networks: In turn what placeholders stand for.

        Raises:
            ValueError: If it is no command of Python or torchrun, or bash cannot read it.
        """
        definitions = '\n'.join(self.definitions)
        for network in networks or ():
            definitions = definitions.replace(f'={PLACEHOLDER}', f'={network}', 1)
        script = f'{definitions}\n{_SHOW}\n{self.text}'
        done = subprocess.run(['/bin/bash', '-uc', script], env=dict(PATH=''), capture_output=True, text=True)
        words = done.stdout.split('\0')[:-1]
        if done.returncode or not words:
            raise BadValue(f'{self.text}: expected one command of python or torchrun; {done.stderr.strip()}')
        return words


def read_lines(page: Path) -> list[Line]:
    """The commands in a page's blocks of bash.

    A line that sets variables or a function is no command, but holds for all that follow; a comment on a line of its
    own tells what the commands below it are for, up to the end of the block.
    """
    lines: list[Line] = []
    definitions: list[str] = []
    for block in re.findall(r'^```bash\n(.*?)^```', page.read_text(encoding='utf-8'), re.DOTALL | re.MULTILINE):
        result = ''
        for raw in re.sub(r'\\\n\s*', '', block).splitlines():
            text = re.split(r'\s+# ', raw)[0].strip()
            if text.startswith('#'):
                result = text.lstrip('# ')
            elif _DEFINITION.match(text):
                definitions.append(text)
            elif text:
                lines.append(Line(result, text, tuple(definitions)))
    return lines
