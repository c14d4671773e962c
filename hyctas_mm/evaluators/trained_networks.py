"""Networks trained from scratch, each once."""

from __future__ import annotations

import copy
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from hyctas_mm.archs import Architecture
from hyctas_mm.engine.configs import use_scope
from hyctas_mm.engine.export import subnet_config, write_architecture
from hyctas_mm.engine.progress import Progress, quiet_runners
from hyctas_mm.engine.retraining import metric, retrain
from hyctas_mm.engine.scoring import image_paths
from hyctas_mm.errors import BadValue
from hyctas_mm.files import differences, read_json

SHOWN = 5
"""Differences between two trainings that are told."""
SCHEDULE_LENGTHS = ('begin', 'end', 'T_max', 'step_size')


class TrainedNetworks:
    """Trains architectures with one config and remembers the results.

    Args:
        folder: Each network has its folder in ``folder/subnets``, as :func:`~hyctas_mm.engine.retraining.retrain` wants
            it.
        cfg: Training config of any fixed network.
        base_channels: The filter multiplier.
        iters: Steps of each training, its schedule scaled with them; those of the config if None.
        search: Folder of a search whose exported networks are used where their config is the same.
    """

    def __init__(
        self, folder: Path, cfg: Config, base_channels: int, iters: int | None = None, search: Path | None = None
    ) -> None:
        self.folder, self.base_channels, self.search = folder, base_channels, search
        self.cfg = cfg if iters is None else with_iters(cfg, iters)
        use_scope(cfg)

    def train(self, archs: Sequence[Architecture], seeds: Sequence[int], score: str) -> dict[str, dict[int, float]]:
        """Trains every architecture with every seed; what is done is read.

        Args:
            archs: The architectures.
            seeds: Seeds of the trainings.
            score: The metric, e.g. ``'mIoU'``.

        Returns:
            The metric by archid and seed.
        """
        folders = {
            arch.archid: self.folder_of(arch) for arch in archs
        }  # all of them first: what does not fit is told before hours pass
        results: dict[str, dict[int, float]] = {archid: {} for archid in folders}
        progress = Progress('networks trained', len(seeds) * len(folders))
        for seed in seeds:
            for archid, folder in folders.items():
                with quiet_runners():
                    metrics = retrain(folder, seed, num_pictures=0)
                results[archid][seed] = metric(metrics, score)
                progress.update(progress.done + 1, f'{archid} seed {seed} {score} {results[archid][seed]:.2f}')
        return results

    def finished(self, arch: Architecture, score: str) -> dict[int, float]:
        """The metric by seed of what is trained already."""
        found = read_json(self.folder_of(arch) / 'results.json').get('by_seed', {})
        return {int(seed): metric(metrics, score) for seed, metrics in found.items()}

    def folder_of(self, arch: Architecture) -> Path:
        """The architecture's folder, written if there is none.

        Raises:
            ValueError: If what is there was made for another training.
        """
        exported = self.search / 'subnets' / arch.archid if self.search else None
        if exported and (exported / 'config.py').is_file() and not self._differing(exported, arch):
            return exported
        folder = self.folder / 'subnets' / arch.archid
        if not (folder / 'config.py').is_file():
            return write_architecture(folder, self.cfg, arch, self.base_channels)
        if differing := self._differing(folder, arch):
            raise BadValue(
                f'{folder} was made for another training: {differing}; give the same config and --iters, or another '
                '--work-dir'
            )
        return folder

    def _differing(self, folder: Path, arch: Architecture) -> str:
        """What an existing folder's config has differently; '' if nothing."""
        there = training_of(Config.fromfile(folder / 'config.py'))
        here = training_of(subnet_config(self.cfg, arch, self.base_channels))
        found = differences(there, here)
        return '; '.join(found[:SHOWN]) + (f'; and {len(found) - SHOWN} more' if len(found) > SHOWN else '')


def with_iters(cfg: Config, iters: int) -> Config:
    """The config with another number of training steps, its schedule scaled to them.

    Raises:
        ValueError: If the config does not count steps, or ``iters`` is not positive.
    """
    before = cfg.train_cfg.get('max_iters')
    if not before or iters < 1:
        raise BadValue(
            f'--iters {iters} with max_iters={before}; expected a positive number and a config that trains by steps'
        )
    cfg = copy.deepcopy(cfg)
    cfg.train_cfg.max_iters = iters
    schedulers = cfg.get('param_scheduler') or []
    for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
        if scheduler.get('by_epoch', True):
            raise BadValue(f'--iters: the scheduler {scheduler["type"]} counts epochs; give it by_epoch=False')
        for key in SCHEDULE_LENGTHS:
            if key in scheduler:
                scheduler[key] = round(scheduler[key] * iters / before)
        if 'milestones' in scheduler:
            scheduler.milestones = [round(m * iters / before) for m in scheduler.milestones]
        if 'end' in scheduler:
            scheduler.end = max(
                scheduler.end, scheduler.get('begin', 0) + 1
            )  # a warm-up of no steps is none that mmengine takes
    return cfg


def check_trains_on_others(training: Any, scored: Any) -> None:
    """Refuses to train candidates on images that they are scored on.

    Args:
        training: The data set of their trainings.
        scored: That of their scores.

    Raises:
        ValueError: Naming an image and how many both have.
    """
    shared = sorted(image_paths(training) & image_paths(scored))
    if shared:
        raise BadValue(
            f'train_cfg.evaluator: networks would be trained on {len(shared)} image(s) that they are scored on, '
            f'e.g. {shared[0]}; '
            "leave these out by its options, e.g. {'train_dataloader.dataset.part': 'fit'}"
        )


def mean_and_std(values: Sequence[float]) -> dict[str, float | None]:
    """Mean, and standard deviation of a sample, which a single value has not."""
    return dict(mean=statistics.fmean(values), std=statistics.stdev(values) if len(values) > 1 else None)


def mean_of_seeds(results: Mapping[int, float]) -> float:
    """A network's result: the mean over its trainings."""
    return statistics.fmean(results.values())


def training_of(cfg: Config) -> dict[str, Any]:
    """A config as JSON has it, less what changes nothing in one process: configs that were written before it are of the
    same training.
    """
    text = json.dumps(cfg.to_dict(), default=str)
    for lean in ('"LeanPackSegInputs"', '"LeanSegDataPreProcessor"'):  # labels as bytes, the same numbers
        text = text.replace(lean, lean.replace('Lean', ''))
    out: dict[str, Any] = json.loads(text)
    out.pop('auto_scale_lr', None)
    (out.get('default_hooks') or {}).pop('processes', None)
    return out
