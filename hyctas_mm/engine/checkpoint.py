"""Reading a supernet's checkpoint."""

from __future__ import annotations

import hashlib
import pickle
import re
from pathlib import Path
from typing import Any

import mmengine.runner.checkpoint
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from hyctas_mm.archs import SearchSpace
from hyctas_mm.engine.hooks.sample_arch_hook import check_supernet_checkpoint
from hyctas_mm.errors import BadValue, NoSuchFile


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Reads a checkpoint without running anything that is in it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read as a checkpoint of mmengine's layout.
    """
    checkpoint = load_tensors(path)
    if not isinstance(checkpoint, dict) or 'state_dict' not in checkpoint:
        raise BadValue(
            f'{path}: expected a checkpoint with "state_dict" as mmengine writes it, e.g. an iter_*.pth of '
            'tools/train.py'
        )
    return checkpoint


def load_tensors(path: str | Path) -> Any:
    """Reads a file of ``torch.save``: tensors, numbers, and what mmengine and numpy put beside them; nothing in it is
    run.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, or holds objects of another class, which is named.
    """
    if not Path(path).is_file():
        raise NoSuchFile(f'no checkpoint {path}; train the network first, or name another file')
    try:
        allowed = torch.serialization.get_safe_globals()  # the context would forbid at its end what was allowed before
        with torch.serialization.safe_globals([known for known in _known_globals() if known not in allowed]):
            return torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # torch's reader raises whatever broken bytes lead it to
        foreign = re.search(r'Unsupported global: GLOBAL (\S+)', str(error))
        if foreign:
            raise BadValue(
                f'{path}: holds an object of {foreign[1]}, not only tensors and numbers; save its state_dict alone'
            ) from None
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadValue(
            f'{path}: cannot be read as a checkpoint ({first}); is it complete? Copy it again, or take an earlier one'
        ) from None


def let_mmengine_read_its_checkpoints() -> None:
    """Makes ``load_from`` and ``resume`` work where mmengine says nothing of what its checkpoints hold, as upstream's
    last release.

    That one calls ``torch.load`` as it is, which since PyTorch 2.6 refuses mmengine's own training histories. They are
    allowed here; still nothing in a checkpoint is run. The maintained distribution allows them itself.
    """
    if not hasattr(mmengine.runner.checkpoint, 'get_torch_safe_globals'):
        torch.serialization.add_safe_globals(_known_globals())


def _known_globals() -> list[Any]:
    """What mmengine's checkpoints hold beside tensors and numbers."""
    return [HistoryBuffer, (_history_method, 'builtins.getattr'), *_numpy_globals()]


def _history_method(owner: Any, name: str) -> Any:
    """What ``getattr`` may do in a checkpoint: mmengine's training histories name their own statistics by it, nothing
    else does.
    """
    if owner is not HistoryBuffer or name.startswith('_'):
        raise pickle.UnpicklingError(f'a checkpoint may not ask for {name!r} of {owner!r}')
    return getattr(owner, name)


def _numpy_globals() -> list[Any]:
    """What mmengine's message hub keeps its histories in."""
    import numpy as np

    core = np._core if hasattr(np, '_core') else np.core
    return [
        core.multiarray._reconstruct,
        core.multiarray.scalar,
        np.ndarray,
        np.dtype,
        *(type(np.dtype(t)) for t in ('f8', 'f4', 'i8', 'i4')),
    ]


def load_supernet(model: nn.Module, path: str | Path, space: SearchSpace) -> str:
    """Loads a supernet's weights.

    Returns:
        SHA-1 of the file, by which a resumed search knows it again.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no checkpoint, is of another search space, or does not fit the model; what differs is
            named.
    """
    checkpoint = read_checkpoint(path)
    check_supernet_checkpoint(checkpoint, space, source=str(path))
    try:
        model.load_state_dict(checkpoint['state_dict'])
    except RuntimeError as error:
        reasons = '; '.join(line.strip() for line in str(error).splitlines()[1:4])
        raise BadValue(
            f'{path}: is not a supernet of this config ({reasons}); give the config that it was trained with'
        ) from None
    with open(path, 'rb') as file:
        return (
            hashlib.file_digest(file, 'sha1').hexdigest()
            if hasattr(hashlib, 'file_digest')
            else hashlib.sha1(file.read()).hexdigest()
        )
