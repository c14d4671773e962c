"""Files are whole whatever interrupts, and what differs is told in words that a person reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from hyctas_mm import files


@pytest.mark.parametrize('begun', ['', 'the first half'])
def test_what_was_there_stays_until_the_new_is_whole(
    begun: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, write = tmp_path / 'sub' / 'config.py', Path.write_text
    files.write_text(path, 'a = 1\n')

    def torn(self: Path, text: str, **how: str) -> None:
        write(self, begun, **how)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, 'write_text', torn)
    with pytest.raises(KeyboardInterrupt):
        files.write_text(path, 'a = 2\n')
    assert path.read_text() == 'a = 1\n'


def test_long_differences_are_cut() -> None:
    images = list(range(1000))
    (short, long) = files.differences(dict(b=1, c=images), dict(b=dict(c=2), c=images[1:]))
    assert short == "b is 1 there, {'c': 2} here"
    assert long.startswith('c is [0, 1, 2') and len(long) < 450
