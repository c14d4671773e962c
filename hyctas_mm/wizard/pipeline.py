"""The whole way in one job: supernet, search, retraining, test, files that ship, report.

A step that is done is skipped, one that was interrupted goes on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from hyctas_mm.costs.targets import Target
from hyctas_mm.deploy.folder import SUFFIXES, FolderOptions, write_folder
from hyctas_mm.engine.batches import fit_batch
from hyctas_mm.engine.configs import build_runner, read_config, set_data_root, set_supernet
from hyctas_mm.engine.progress import quiet_runners
from hyctas_mm.engine.retraining import retrain
from hyctas_mm.engine.transfer import begin_with
from hyctas_mm.errors import MissingPackage
from hyctas_mm.files import lock_folder, read_json
from hyctas_mm.report.doubts import doubts
from hyctas_mm.report.html import write_report
from hyctas_mm.search.folder import SearchFolder
from hyctas_mm.wizard.progress_view import View, make_view, with_view_hook


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
        deploy: Runtimes that the chosen networks get files for, see :data:`~hyctas_mm.deploy.folder.SUFFIXES`; () for
            none, None for ONNX Runtime and the search's target.
        precision: Precisions of these files; None for float32 and that of the target.
        init: Another job whose supernet this one's begins with, see :class:`~hyctas_mm.engine.transfer.TransferHook`.
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
    deploy: tuple[str, ...] | None = None
    precision: tuple[str, ...] | None = None
    init: Path | None = None

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
        ValueError: If no files are written for a runtime or precision of ``job.deploy``.
        MissingPackage: If such a runtime is not installed.
    """
    if job.deploy:
        FolderOptions((1, 1), job.deploy, job.precision or ('fp32',)).wanted()  # not found out after hours of training
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
        shown.begin('deploy')
        shown.end(deploy_networks(job, search, shown))
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
    if job.init is not None:
        begin_with(cfg, job.init)
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


def deploy_networks(job: Job, search: SearchFolder, shown: View) -> str:
    """Writes ``deploy/`` beside each chosen network, see :func:`~hyctas_mm.deploy.folder.write_folder`; what is there
    stays. Returns what to tell.
    """
    if job.deploy == ():
        return 'not asked for'
    options, chosen, failed = ship_options(job, search), search.chosen(), []
    for number, folder in enumerate(chosen):
        try:
            with quiet_runners():
                cfg = read_config(folder / 'config.py')
                cfg.merge_from_dict(dict(job.subnet_options or {}))
                write_folder(folder, options, cfg)
        except Exception as error:  # exporters raise whatever they meet; the job's networks are there without files
            failed.append(f'{folder.name} has no files: {(str(error).splitlines() or [type(error).__name__])[0]}')
        shown.update(number + 1, len(chosen), folder.name)
    written = f'{", ".join(map(str, options.wanted()))}: {search.path / "subnets" / "NETWORK" / "deploy"}'
    return '; '.join(failed if len(failed) == len(chosen) else [written, *failed])


def ship_options(job: Job, search: SearchFolder) -> FolderOptions:
    """What to write of each chosen network. A target that is on another machine, so not installed here, is left out."""
    target = Target.read(search.settings.get('target') or 'onnxruntime')
    runtimes = job.deploy or ('onnxruntime', *([target.runtime] if target.runtime in SUFFIXES else []))
    own = target.precision if target.precision in ('fp32', 'int8') and target.runtime in SUFFIXES else 'fp32'
    scored = (search.settings.get('evaluator') or {}).get('precision', 'fp32')
    height, width = search.settings['input_hw']
    options = FolderOptions(
        (height, width), tuple(dict.fromkeys(runtimes)), job.precision or tuple(dict.fromkeys(('fp32', own, scored))),
        target.threads,
    )  # fmt: skip
    try:
        options.wanted()
    except MissingPackage:
        if job.deploy:
            raise
        return replace(options, targets=('onnxruntime',))
    return options


def doubts_of(search: SearchFolder) -> str:
    """A warning where the chosen networks of a finished job may be worth little; else empty."""
    return doubts({folder.name: read_json(folder / 'results.json') for folder in search.chosen()}, search.score)


def _runner(cfg: Config) -> Runner:
    """A runner whose log goes to its file and whose progress goes to the view."""
    cfg.custom_hooks = with_view_hook(cfg.get('custom_hooks'))
    with quiet_runners():
        return build_runner(cfg, 'train', 'val')
