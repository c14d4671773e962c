"""The distributed wrapper of a supernet."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from mmengine.model import MMDistributedDataParallel
from mmengine.registry import MODEL_WRAPPERS
from torch import nn
from torch.nn.parallel import DistributedDataParallel


@MODEL_WRAPPERS.register_module()
class SupernetDataParallel(MMDistributedDataParallel):
    """mmengine's wrapper, which exchanges the gradients of the parameters that a step has used and not of the whole
    supernet.

    A step uses one sub-network, the same in all processes. A PyTorch that knows ``skip_all_reduce_unused_params``
    leaves out buckets of gradients that no process has used, so buckets are small here; others exchange everything.

    Args:
        module: The supernet.
        device_ids: The GPU; of no meaning on a CPU.
        bucket_cap_mb: Size of a bucket of gradients.
        **options: As of PyTorch's ``DistributedDataParallel``.

    Example:
        >>> model_wrapper_cfg = dict(type='SupernetDataParallel')
    """

    def __init__(
        self, module: nn.Module, device_ids: Sequence[int] | None = None, bucket_cap_mb: float = 0.25, **options: Any
    ) -> None:
        if 'skip_all_reduce_unused_params' in inspect.signature(DistributedDataParallel).parameters:
            options = dict(skip_all_reduce_unused_params=True, bucket_cap_mb=bucket_cap_mb) | options
        super().__init__(
            module=module,
            device_ids=device_ids if next(module.parameters()).is_cuda else None,
            **(dict(broadcast_buffers=False, find_unused_parameters=True) | options),
        )
