"""Compiles and loads guard.cpp, without which PyTorch for CPUs refuses tensors that say they are on CUDA."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import torch

SOURCE = Path(__file__).with_name('guard.cpp')


def cache_folder() -> Path:
    """Where compiled files stay between runs."""
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'hyctas_mm'


def compiled_guard(folder: Path) -> Path:
    """The guard for this PyTorch, compiled if it is not there.

    Processes that start together may each compile it, into files of their own; what has the final name is whole.
    """
    compiler, root = os.environ.get('CXX', 'g++'), Path(torch.__file__).parent
    version = hashlib.sha1(SOURCE.read_bytes() + f'{torch.__version__} {root}'.encode()).hexdigest()[:12]
    library = folder / f'cuda_guard_{version}.so'
    if library.exists():
        return library
    if not shutil.which(compiler):
        pytest.skip(f'emulated CUDA needs a C++ compiler, there is no {compiler}')
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as own:
        made = Path(own) / library.name
        command = [compiler, '-std=c++20', '-shared', '-fPIC', f'-I{root / "include"}', str(SOURCE)]
        done = subprocess.run(
            [*command, f'-L{root / "lib"}', '-lc10', '-o', str(made)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f'{SOURCE} does not compile against PyTorch {torch.__version__}:\n{done.stderr}')
        made.replace(library)
    return library


@functools.cache
def load_guard() -> None:
    """Loads the guard into this process, for good. Nothing but tensors that say they are on CUDA asks it."""
    ctypes.CDLL(str(compiled_guard(cache_folder())))
