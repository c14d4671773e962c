"""Peak memory of a piece of work."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import torch
import torch.nn.functional as F

T = TypeVar('T')
IMPORTED = ('mmengine.runner', 'mmcv.ops', 'mmseg.models')
"""What most functions that are measured import, once for all of them."""
STATUS, CLEAR_REFS = Path('/proc/self/status'), Path('/proc/self/clear_refs')


class PeakMemory:
    """By how much the memory in use rises at most while the block runs.

    On CUDA that is ``torch.cuda.max_memory_allocated`` less what was allocated before. On the CPU it is the peak of the
    process's resident memory (Linux: ``VmHWM``, set back before the block) less the resident memory before: what the
    block takes from the system, with the allocator's waste and the libraries' scratch memory. In a process of its own
    (:func:`in_fresh_process`) it comes close to what the tensors take.

    Attributes:
        bytes: The rise, after the block; None on a system that does not tell.

    Example:
        >>> with PeakMemory(torch.device('cpu')) as peak:
        ...     model(x)
        >>> peak.bytes
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.bytes: int | None = None

    def __enter__(self) -> PeakMemory:
        gc.collect()
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
            self._before: int | None = torch.cuda.memory_allocated(self.device)
            return self
        _load_kernels()
        self._before = _resident('VmRSS') if _give_back_free_memory() else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is None:
            return
        peak = torch.cuda.max_memory_allocated(self.device) if self.device.type == 'cuda' else _resident('VmHWM')
        self.bytes = max(0, peak - self._before)


def in_fresh_process(function: Callable[..., T], *args: Any) -> T:
    """Calls a function in a new process whose allocator gives every tensor back to the system at once.

    New processes are forked from one that has imported PyTorch and done nothing else.

    Args:
        function: Importable by name, as are the functions among its arguments.
        *args: Its arguments, picklable.

    Raises:
        Exception: What the function raises.
    """
    kept = os.environ.get('MALLOC_MMAP_THRESHOLD_')
    os.environ['MALLOC_MMAP_THRESHOLD_'] = str(1 << 16)  # read by glibc when the first process starts
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload([__name__, *IMPORTED])
    try:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            return pool.submit(_with_threads, torch.get_num_threads(), function, *args).result()
    finally:
        os.environ.pop('MALLOC_MMAP_THRESHOLD_')
        if kept is not None:
            os.environ['MALLOC_MMAP_THRESHOLD_'] = kept


def _with_threads(threads: int, function: Callable[..., T], *args: Any) -> T:
    torch.set_num_threads(threads)
    return function(*args)


def _load_kernels() -> None:
    """Makes PyTorch load the libraries that its first operations load, which are not to be counted."""
    with torch.enable_grad():
        x = torch.rand(1, 16, 16, 16)
        y = F.interpolate(
            F.conv2d(x, torch.rand(16, 16, 3, 3, requires_grad=True), padding=1), scale_factor=2.0, mode='bilinear'
        )
        (y.flatten(2).transpose(1, 2) @ y.flatten(2)).log_softmax(-1).mean().backward()


def _give_back_free_memory() -> bool:
    """Gives free memory back to the system and sets the peak to the present; False where that cannot be done."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        CLEAR_REFS.write_text('5', encoding='ascii')
    except (OSError, AttributeError):
        return False
    return True


def _resident(name: str) -> int:
    line = next(line for line in STATUS.read_text(encoding='ascii').splitlines() if line.startswith(f'{name}:'))
    return int(line.split()[1]) * 1024
