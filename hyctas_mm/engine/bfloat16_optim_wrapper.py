"""Mixed precision in bfloat16, on a GPU and on a CPU, for which mmengine has no wrapper."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import nn

from hyctas_mm.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):
    """Convolutions and matrix products in bfloat16 where the GPU, or without one the processor, has instructions for
    it: NVIDIA's from Ampere on, AVX512-BF16 or AMX.

    Anywhere else it is mmengine's ``OptimWrapper``: without those instructions bfloat16 is slower than float32. The log
    says which. Parameters, their gradients and batch norm's statistics stay float32, so no loss scaling is needed, and
    checkpoints are those of any training.

    Args:
        **kwargs: As of mmengine's ``OptimWrapper``.

    Example:
        >>> optim_wrapper = dict(type='Bfloat16OptimWrapper', optimizer=dict(type='SGD', lr=0.02))
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        on_gpu = torch.cuda.is_available()
        self.device = 'cuda' if on_gpu else 'cpu'
        self.in_bfloat16 = torch.cuda.get_device_capability() >= (8, 0) if on_gpu else computes_bfloat16()
        kind = 'bfloat16' if self.in_bfloat16 else 'float32'
        print_log(f'Bfloat16OptimWrapper: training on {self.device} in {kind}', 'current')

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Where a step's forward pass runs."""
        with super().optim_context(model), torch.autocast(self.device, torch.bfloat16, enabled=self.in_bfloat16):
            yield


def computes_bfloat16(cpuinfo: Path = Path('/proc/cpuinfo')) -> bool:
    """Whether this processor has instructions for products of bfloat16, as Linux tells; False where it tells nothing.

    Args:
        cpuinfo: Linux's list of processors.
    """
    told = cpuinfo.read_text() if cpuinfo.is_file() else ''
    return any(flag in told.split() for flag in ('avx512_bf16', 'amx_bf16'))
