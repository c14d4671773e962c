"""Runs a few training steps and scores a few candidates with the written configs: how long things take, and that they
run at all.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from torch import nn

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.costs import Target, prepare_call
from hyctas_mm.engine.candidate_costs import network_to_time
from hyctas_mm.engine.configs import use_scope
from hyctas_mm.engine.hooks.sample_arch_hook import supernet_space
from hyctas_mm.engine.scoring import Scorer
from hyctas_mm.engine.target_table import ROUNDS, SECONDS
from hyctas_mm.models.subnet import cut_subnet, set_arch
from hyctas_mm.registry import DATASETS, MODELS
from hyctas_mm.wizard.lengths import Speed

_STEPS, _ARCHS, _IMAGES = 5, 2, 12


def measure_speed(configs: Path, device: torch.device) -> Speed:
    """Measures with random weights, which take as long as trained ones.

    Args:
        configs: Folder with ``supernet.py`` and ``search.py``.
        device: Where to run.
    """
    cfg = Config.fromfile(configs / 'supernet.py')
    use_scope(cfg)
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)  # the evaluator logs a table of classes for every candidate
    try:
        return _measure(cfg, Config.fromfile(configs / 'search.py'), device)
    finally:
        logger.setLevel(level)


def _measure(cfg: Config, search: Config, device: torch.device) -> Speed:
    model = MODELS.build(cfg.model).to(device)
    space = supernet_space(model)
    step = _training_step(cfg, model, space, device)
    return replace(_scoring(search, model, space, step), on_target=_on_target(search, space, device))


def _training_step(cfg: Config, model: nn.Module, space: SearchSpace, device: torch.device) -> float:
    """Seconds of a step. A GPU computes while images are loaded, a CPU cannot do both."""
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    batch_size = cfg.train_dataloader.batch_size
    order = np.random.default_rng(0).permutation(len(dataset))
    batches: list[Any] = []
    loading = _seconds(lambda: batches.append(pseudo_collate([dataset[int(i)] for i in np.resize(order, batch_size)])))
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    rng = np.random.default_rng(0)
    model.train()
    layout = torch.channels_last if 'channels_last' in cfg.default_hooks else torch.contiguous_format
    model.to(memory_format=layout)

    def step() -> None:
        set_arch(model, space.sample(rng))
        model.train_step(batches[0], optimizer)
        if device.type == 'cuda':
            torch.cuda.synchronize(device)

    _seconds(step)  # loads kernels
    computing = float(np.mean([_seconds(step) for _ in range(_STEPS)]))
    loading /= max(1, cfg.train_dataloader.num_workers)
    model.to(memory_format=torch.contiguous_format)
    return max(computing, loading) if device.type == 'cuda' else computing + loading


def _scoring(cfg: Config, model: nn.Module, space: SearchSpace, step: float) -> Speed:
    """Seconds of a candidate's parts; ``step`` is passed on."""
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.num_workers, loader.persistent_workers = 0, False
    few = cfg.val_dataloader.dataset
    few.indices = few.indices[:_IMAGES] if few.get('indices') else _IMAGES
    train, val = (Runner.build_dataloader(cfg[name]) for name in ('train_dataloader', 'val_dataloader'))
    model.eval()
    precision = cfg.train_cfg.get('precision', 'fp32')
    scorer = Scorer(
        *(train, val, Evaluator(cfg.val_evaluator)),
        calibration_batches=1,
        device=next(model.parameters()).device,
        ships_in=precision,
    )

    def subnet(arch: Architecture) -> nn.Module:
        return scorer.recalibrated(cut_subnet(model, cfg.model.to_dict(), arch))

    rng = np.random.default_rng(0)
    times = []
    scorer.score(subnet(space.sample(rng)))  # loads kernels
    for arch in [space.sample(rng) for _ in range(_ARCHS)]:
        cut = _seconds(lambda arch=arch: subnet(arch))  # type: ignore[misc]
        whole = _seconds(lambda arch=arch: scorer.score(subnet(arch)))  # type: ignore[misc]
        times.append((cut / train.batch_size, max(whole - cut, 0.01 * whole) / len(val.dataset)))
    calibration, image = (float(value) for value in np.mean(times, axis=0))
    return Speed(step, calibration, image)


def _on_target(cfg: Config, space: SearchSpace, device: torch.device) -> float | None:
    """Seconds to write a network for the search's target and to measure it, as its latency table does."""
    if not cfg.train_cfg.get('target'):
        return None
    target = Target.read(cfg.train_cfg.target)
    place = target.place(device)
    x = torch.rand(1, 3, *cfg.train_cfg.input_hw, device=place)
    rng = np.random.default_rng(0)
    nets = [network_to_time(cfg.model.to_dict(), space.sample(rng), place) for _ in range(_ARCHS)]
    prepare_call(nets[0], x, target)  # loads the runtime
    written = float(np.mean([_seconds(lambda net=net: prepare_call(net, x, target)) for net in nets]))  # type: ignore[misc]
    return written + ROUNDS * SECONDS


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
