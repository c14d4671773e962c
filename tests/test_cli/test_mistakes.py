"""A person's mistake is told in a line; a bug keeps its traceback."""

from __future__ import annotations

import ast
import errno
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.cli.mistakes import DEBUG, mistake, tell, tells_mistakes
from hyctas_mm.errors import HyctasError
from hyctas_mm.models.ops import build_op
from hyctas_mm.registry import TRANSFORMS
from hyctas_mm.wizard.labels import LabelCheck
from tests.conftest import ROOT, run_script
from tests.tiny_jobs import CONFIGS, config


class Labels(torch.utils.data.Dataset):
    """Refuses its only sample as a pipeline of ours does, in whichever process."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        sample = dict(
            img=torch.zeros(4, 4, 3).numpy(),
            gt_seg_map=torch.full((4, 4), 9).numpy(),
            img_path='a.jpg',
            seg_map_path='a.png',
        )
        return TRANSFORMS.build(dict(type='CheckLabels', num_classes=7))(sample)


def caught(function: Any, *args: Any) -> Exception:
    with pytest.raises(Exception) as info:
        function(*args)
    assert isinstance(info.value, Exception)
    return info.value


def test_what_this_project_refuses_is_a_mistake() -> None:
    assert mistake(caught(SearchSpace.from_dict, dict(layers=40))) == [
        'search_space: layers=40; expected a whole number 4..20'
    ]
    (told,) = mistake(caught(build_op, 'nope', 4, 4, False, dict(type='BN'))) or ['']
    assert told.startswith("no op 'nope' is registered")  # of a KeyError the text, not its repr


def test_a_process_that_was_lost_is_told_in_a_line() -> None:
    (told,) = mistake(RuntimeError('[pair.cc:534] Connection closed by peer [127.0.0.1]:4242\nstack')) or ['']
    assert told.startswith('another process of this run ended') and '\n' not in told and '--resume' in told
    assert mistake(RuntimeError('CUDA error: an illegal memory access')) is None


@pytest.mark.parametrize('kind', HyctasError.__subclasses__(), ids=lambda kind: kind.__name__)
def test_errors_are_also_pythons_own(kind: type[HyctasError]) -> None:
    """And reach another process whole."""
    (own,) = set(kind.__bases__) - {HyctasError}
    error = pickle.loads(pickle.dumps(kind('what is wrong')))
    assert (
        type(error) is kind
        and isinstance(error, own)
        and mistake(error) == ['what is wrong']
        and mistake(own('what is wrong')) is None
    )


def refusals() -> Iterator[tuple[str, str]]:
    """Where the package and the tools raise an exception of Python's own that has a counterpart in hyctas_mm.errors."""
    builtin = {base.__name__ for kind in HyctasError.__subclasses__() for base in kind.__bases__} - {
        'HyctasError',
        'RuntimeError',
    }
    for path in [*(ROOT / 'hyctas_mm').rglob('*.py'), *(ROOT / 'tools').rglob('*.py')]:
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            kind = getattr(getattr(node, 'exc', None), 'func', None)
            if isinstance(node, ast.Raise) and getattr(kind, 'id', None) in builtin:
                yield f'{path.relative_to(ROOT)}:{node.lineno}', kind.id


def test_all_that_is_refused_is_a_mistake() -> None:
    assert not list(refusals())


def test_what_a_data_loaders_process_refuses_is_a_mistake() -> None:
    loader = torch.utils.data.DataLoader(Labels(), num_workers=1, collate_fn=list)
    (told,) = mistake(caught(next, iter(loader))) or ['']
    assert told.startswith('label a.png holds [9]; expected classes 0..6') and 'Traceback' not in told


def test_what_the_machine_refuses_is_a_mistake() -> None:
    assert mistake(PermissionError(errno.EACCES, 'Permission denied', 'out.pth')) == [
        "[Errno 13] Permission denied: 'out.pth'"
    ]
    assert mistake(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) is not None


def test_the_same_errors_from_elsewhere_are_bugs() -> None:
    assert mistake(caught(torch.zeros(2, 3).reshape, 5)) is None
    assert mistake(caught(lambda: int('x'))) is None
    assert mistake(caught(lambda: torch.cat([]))) is None
    assert (
        mistake(caught(Architecture.from_dict, dict(branches=[[dict(op='conv', width=12)]], head_width=[]))) is not None
    )
    assert mistake(caught(lambda: SearchSpace().sample(None))) is None  # type: ignore[arg-type]
    assert mistake(NotImplementedError('never raised')) is None


def test_a_bug_is_raised_again_and_a_mistake_where_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @tells_mistakes
    def main(layers: int) -> None:
        SearchSpace(layers=12 // layers)

    assert main(1) == 0
    assert main(4) == 2 and capsys.readouterr().err == 'error: search_space: layers=3; expected a whole number 4..20\n'
    with pytest.raises(ZeroDivisionError):
        main(0)
    monkeypatch.setenv(DEBUG, '1')
    with pytest.raises(ValueError, match='layers=3'):
        main(4)


def test_problems_of_data_are_told_one_by_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    check = LabelCheck(('road', 'car'))
    for name in ('a.png', 'b.png'):
        check.look_at_size(tmp_path / name)
    assert tell(caught(check.finish)) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and all(
        line.startswith('error: image ') and line.endswith('replace or remove it') for line in said
    )


@pytest.mark.slow
def test_a_tool_tells_a_mistake_in_one_line(toy_root: Path, tmp_path: Path) -> None:
    options = (
        '--data-root',
        toy_root,
        '--work-dir',
        tmp_path,
        '--cfg-options',
        'train_dataloader.dataset.img_suffix=.webp',
    )
    command = [sys.executable, 'tools/train.py', CONFIGS / 'toy_streets_supernet.py', *options]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=600)
    told = [line for line in done.stderr.splitlines() if line.startswith('error: ')]
    assert done.returncode == 2 and 'Traceback' not in done.stderr, done.stderr
    assert len(told) == 1 and told[0].startswith('error: train_dataloader: no *.webp image in ')


def test_a_tool_lets_a_bug_through(toy_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong type in a config: mmengine's words, and where they come from."""
    config('supernet', toy_root, tmp_path).dump(str(tmp_path / 'config.py'))
    with pytest.raises(KeyError, match='Nope is not in the mmseg::model registry'):
        run_script(
            monkeypatch,
            'tools/train.py',
            tmp_path / 'config.py',
            '--cfg-options',
            'model.decode_head.loss_decode.type=Nope',
        )
