"""A trained network with a gated fusion as the network that ships: ``config.py`` and ``weights.pth``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from hyctas_mm.engine.checkpoint import read_checkpoint
from hyctas_mm.engine.configs import use_scope
from hyctas_mm.engine.export import plain_metainfo
from hyctas_mm.engine.hooks import GateSparsityHook
from hyctas_mm.errors import BadValue
from hyctas_mm.models.necks import DenseFusionNeck
from hyctas_mm.registry import HOOKS, MODELS
from hyctas_mm.version import __version__


def prune_fusion(
    cfg: Config, checkpoint: str | Path, folder: str | Path, threshold: float = 0.1
) -> dict[tuple[int, int], tuple[float, bool]]:
    """Writes the network of a checkpoint with the small gates of its ``DenseFusionNeck`` removed and the others folded
    into its weights, see :meth:`~hyctas_mm.models.DenseFusionNeck.prune`.

    Args:
        cfg: The config that the checkpoint was trained with.
        checkpoint: mmengine's.
        folder: Made if missing; files of the same names are replaced.
        threshold: Gates below it are removed.

    Returns:
        For each connection, (source level, output level), its gate and whether it stays.

    Raises:
        ValueError: If the config has no such neck, with gates, as ``model.neck``, or the checkpoint does not fit.
    """
    use_scope(cfg)
    model = MODELS.build(cfg.model)
    neck = getattr(model, 'neck', None)
    if not isinstance(neck, DenseFusionNeck):
        raise BadValue(
            f"{cfg.filename}: model.neck is {type(neck).__name__}; expected 'DenseFusionNeck', the neck with gates"
        )
    saved = read_checkpoint(checkpoint)
    try:
        model.load_state_dict(saved['state_dict'])
    except RuntimeError as error:
        reasons = '; '.join(line.strip() for line in str(error).splitlines()[1:4])
        raise BadValue(
            f'{checkpoint}: does not fit {cfg.filename} ({reasons}); give the config that it was trained with'
        ) from None
    before = dict(zip(neck.connections, neck.gates().tolist(), strict=True))
    kept = neck.prune(threshold)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _pruned_config(cfg, kept, folder).dump(str(folder / 'config.py'))
    meta: dict[str, Any] = dict(hyctas_mm_version=__version__)
    if metainfo := saved.get('meta', {}).get('dataset_meta'):
        meta['dataset_meta'] = plain_metainfo(metainfo)
    torch.save(dict(meta=meta, state_dict=model.state_dict()), folder / 'weights.pth')
    return {connection: (gate, connection in kept) for connection, gate in before.items()}


def _pruned_config(cfg: Config, connections: tuple[tuple[int, int], ...], folder: Path) -> Config:
    """The config that trains and tests the pruned network."""
    out: dict[str, Any] = cfg.to_dict()
    out['model']['neck'] |= dict(connections=list(connections), gated=False)
    out['custom_hooks'] = [hook for hook in out.get('custom_hooks') or [] if not _of_gates(hook['type'])]
    out |= dict(load_from=None, resume=False, work_dir=str(Path('work_dirs') / folder.name))
    return Config(out)


def _of_gates(hook: Any) -> bool:
    return (HOOKS.get(hook) if isinstance(hook, str) else hook) is GateSparsityHook
