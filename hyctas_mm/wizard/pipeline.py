"""The whole way in one job: supernet, search, retraining, test, ONNX, report.

A step that is done is skipped, one that was interrupted goes on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from hyctas_mm.deploy.export import export_onnx
from hyctas_mm.engine.batches import fit_batch
from hyctas_mm.engine.configs import build_runner, read_config, set_data_root, set_supernet
from hyctas_mm.engine.progress import quiet_runners
from hyctas_mm.engine.retraining import metric, retrain
from hyctas_mm.files import lock_folder, read_json
from hyctas_mm.report.doubts import better_weights, doubts
from hyctas_mm.report.html import write_report
from hyctas_mm.search.folder import SearchFolder
from hyctas_mm.wizard.progress_view import View, make_view, with_view_hook

ONNX = 'model.onnx'


@dataclass(frozen=True)
class Job:
    """What to run and where.

    Attributes:
        supernet: Config of the supernet.
        search: Config of the search.
        work_dir: Where everything goes: ``supernet/``, ``search/``.
        data_root: Folder of the data, or None for that of the configs.
        options: Overrides of both configs.
        subnet_options: Overrides of the exported networks' configs.
        seeds: Seeds that each network is retrained with.
        inherit: Whether retraining starts from the supernet's weights.
        accumulate: Whether the supernet's batch is that of its learning rate, see
            :func:`~hyctas_mm.engine.batches.fit_batch`; retraining's always is, unless ``auto_scale_lr``.
        auto_scale_lr: Whether learning rates are scaled to the batches instead.
        add_networks: Called before retraining, to put networks beside the chosen ones.
    """

    supernet: str
    search: str
    work_dir: Path
    data_root: str | None = None
    options: Mapping[str, Any] | None = None
    subnet_options: Mapping[str, Any] | None = None
    seeds: tuple[int, ...] = (0,)
    inherit: bool = False
    accumulate: bool = False
    auto_scale_lr: bool = False
    add_networks: Callable[[SearchFolder], None] | None = None

    def config(self, path: str, **options: Any) -> Config:
        """A config with the job's data and overrides."""
        cfg = read_config(path)
        if self.data_root is not None:
            set_data_root(cfg, self.data_root)
        cfg.merge_from_dict({**(self.options or {}), **options})
        return cfg


def run_pipeline(job: Job, view: View | None = None) -> Path:
    """Runs the job, or what is left of it; returns the report.

    Raises:
        BlockingIOError: If another process runs a job in the same folder.
    """
    with contextlib.closing(lock_folder(job.work_dir)), view or make_view() as shown:
        shown.begin('supernet')
        checkpoint = train_supernet(job)
        shown.end()
        shown.begin('search')
        search = run_search(job, checkpoint)
        shown.end(f'{len(search.chosen())} networks chosen of {search.front()["num_evaluated"]}')
        shown.begin('retraining')
        retrain_networks(job, search)
        shown.end()
        shown.begin('export')
        shown.end(export_best(search))
        shown.begin('report')
        report = write_report(search.path)
        shown.end(str(report))
    return report


def train_supernet(job: Job) -> Path:
    """Trains the supernet, or continues its training; returns its checkpoint."""
    cfg = job.config(job.supernet, work_dir=str(job.work_dir / 'supernet'))
    checkpoint = Path(cfg.work_dir) / f'iter_{cfg.train_cfg.max_iters}.pth'
    last = Path(cfg.work_dir) / 'last_checkpoint'  # written after the checkpoint is whole
    cfg.resume = last.exists()
    fit_batch(cfg, job.accumulate, job.auto_scale_lr)
    if not last.exists() or Path(last.read_text().strip()).name != checkpoint.name:
        _runner(cfg).train()
    return checkpoint


def run_search(job: Job, checkpoint: Path) -> SearchFolder:
    """Searches, or continues the search."""
    search = SearchFolder(job.work_dir / 'search')
    cfg = job.config(job.search, work_dir=str(job.work_dir))
    set_supernet(cfg, checkpoint)
    cfg.resume = search.has_begun
    _runner(cfg).train()
    return search


def retrain_networks(job: Job, search: SearchFolder) -> None:
    """Retrains and tests the networks that are not done yet, with each seed."""
    if job.add_networks is not None:
        job.add_networks(search)
    runs = [(folder, seed) for seed in job.seeds for folder in search.subnets()]
    for number, (folder, seed) in enumerate(runs):
        cfg = Config.fromfile(folder / 'config.py')
        hooks = with_view_hook(
            cfg.get('custom_hooks'), label=f'{folder.name} seed {seed}', number=number, runs=len(runs)
        )
        with quiet_runners():
            options = {**(job.subnet_options or {}), 'custom_hooks': hooks}
            retrain(folder, seed, inherit=job.inherit, options=options, auto_scale_lr=job.auto_scale_lr)


def export_best(search: SearchFolder) -> str:
    """Exports the most accurate of the chosen networks with its better weights to ONNX, unless that is done; returns
    what to tell.
    """
    score = search.score
    results = {folder: read_json(folder / 'results.json') for folder in search.chosen()}

    def value(folder: Path) -> float:
        return max(metric(results[folder][key], score) for key in ('retrained', 'inherited') if key in results[folder])

    best = max(results, key=value)
    weights = better_weights(results[best], score)
    if (best / ONNX).exists():
        return str(best / ONNX)
    try:
        with quiet_runners():
            result = export_onnx(best / 'config.py', best / weights, best / ONNX, search.settings['input_hw'])
    except Exception as error:  # the exporter raises whatever it meets; the job's networks are there without it
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return f'not exported: {reason}'
    return f'{result.path} of {weights}; largest difference to PyTorch {result.max_difference:.1e}'


def doubts_of(search: SearchFolder) -> str:
    """A warning where the chosen networks of a finished job may be worth little; else empty."""
    return doubts({folder.name: read_json(folder / 'results.json') for folder in search.chosen()}, search.score)


def _runner(cfg: Config) -> Runner:
    """A runner whose log goes to its file and whose progress goes to the view."""
    cfg.custom_hooks = with_view_hook(cfg.get('custom_hooks'))
    with quiet_runners():
        return build_runner(cfg, 'train', 'val')
