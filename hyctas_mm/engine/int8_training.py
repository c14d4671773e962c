"""Quantisation-aware fine-tuning: a retrained network trained on in 8 bits, so that its INT8 file loses little."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import is_model_wrapper

from hyctas_mm.engine.batches import fit_batch
from hyctas_mm.engine.checkpoint import read_checkpoint
from hyctas_mm.engine.configs import read_config
from hyctas_mm.engine.retraining import start_runner, test_metrics
from hyctas_mm.errors import BadValue, NoSuchFile
from hyctas_mm.files import read_json, write_json

TRAINED_ON = 'int8.pth'
"""The weights, beside those that they were made of."""
LR = 0.05
"""Learning rate at the start, of that of the config; it falls to 0."""


def train_int8(folder: Path, steps: int, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Trains a retrained network on in 8 bits; does nothing if that is done, and goes on where it was stopped.

    Writes ``int8.pth``, and into ``results.json`` under ``int8`` the steps and its metrics on the test images in 8
    bits, ``before`` and ``after``.

    Args:
        folder: ``subnets/<archid>`` of a search, with ``retrained.pth``.
        steps: Training steps.
        options: Overrides of the config.

    Returns:
        What is in ``results.json``.

    Raises:
        FileNotFoundError: If it was not retrained.
        ValueError: For steps below 1, or if it was trained for other steps.
    """
    if steps < 1:
        raise BadValue(f'--qat {steps}; expected 1 step or more, e.g. a tenth of the retraining')
    source = folder / 'retrained.pth'
    if not source.is_file():
        raise NoSuchFile(f'{source}: not there; retrain the network first (tools/retrain.py)')
    results = read_json(folder / 'results.json')
    done: dict[str, Any] = results.get('int8', {})
    if done and (folder / TRAINED_ON).is_file():
        if done['steps'] != steps:
            raise BadValue(
                f'{folder / TRAINED_ON} was trained for {done["steps"]} steps, now --qat {steps}; move it away first'
            )
        return done
    cfg = _config(folder, steps, options)
    before = test_metrics(start_runner(cfg, folder / 'int8_before', load_from=str(source)))
    place = folder / f'int8_{steps}'
    cfg.resume = (place / 'last_checkpoint').exists()
    runner = start_runner(cfg, place, load_from=None if cfg.resume else str(source))
    runner.train()
    network = runner.model.module if is_model_wrapper(runner.model) else runner.model
    content = read_checkpoint(source)
    torch.save(dict(meta=content.get('meta', {}), state_dict=network.state_dict()), folder / TRAINED_ON)
    cfg.resume = False
    after = test_metrics(start_runner(cfg, folder / 'int8_after', load_from=str(folder / TRAINED_ON)))
    results = read_json(folder / 'results.json')
    results['int8'] = dict(steps=steps, before=before, after=after)
    write_json(folder / 'results.json', results)
    return dict(results['int8'])


def _config(folder: Path, steps: int, options: Mapping[str, Any] | None) -> Config:
    """The network's config with a short schedule, and no hooks but ours: others suit a training from scratch."""
    cfg = read_config(folder / 'config.py')
    cfg.merge_from_dict(dict(options or {}))
    cfg.randomness = dict(seed=0)
    cfg.train_cfg.max_iters = steps
    cfg.train_cfg.val_interval = steps + 1
    cfg.optim_wrapper.optimizer.lr *= LR
    cfg.param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=False, begin=0, end=steps)]
    cfg.custom_hooks = [dict(type='Int8Hook')]
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', by_epoch=False, interval=max(1, steps // 5))
    fit_batch(cfg, accumulate='auto_scale_lr' in cfg, auto_scale_lr=False)
    return cfg
