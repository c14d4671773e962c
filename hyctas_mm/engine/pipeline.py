"""The whole way in one call: supernet, search, retraining, test, ONNX, report. Every step that is done is skipped when run again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from hyctas_mm.engine.cli import set_data_root
from hyctas_mm.engine.files import read_json
from hyctas_mm.engine.onnx import export_onnx
from hyctas_mm.engine.progress import Progress
from hyctas_mm.engine.retraining import retrain, subnet_folders
from hyctas_mm.report.html import write_report


@dataclass(frozen=True)
class Job:
    """What to run and where.

    Attributes:
        supernet: Config of the supernet.
        search: Config of the search.
        work_dir: Where everything goes: ``supernet/``, ``search/``.
        data_root: Folder of the data.
        options: Overrides of both configs.
    """

    supernet: str
    search: str
    work_dir: Path
    data_root: str
    options: Mapping[str, Any] | None = None

    def config(self, path: str, **options: Any) -> Config:
        """A config with the job's data and overrides."""
        cfg = Config.fromfile(path)
        set_data_root(cfg, self.data_root)
        cfg.merge_from_dict({**(self.options or {}), **options})
        return cfg


def run_pipeline(job: Job) -> Path:
    """Runs the job; returns the report."""
    checkpoint = train_supernet(job)
    search_dir = run_search(job, checkpoint)
    folders = subnet_folders(search_dir)
    progress = Progress('retrained networks', len(folders))
    for number, folder in enumerate(folders):
        quiet_logger(f'retrain-{folder.name}', folder)
        metrics = retrain(folder, options=dict(log_level='WARNING'))
        progress.update(number + 1, f'{folder.name} mIoU {metrics["mIoU"]:.2f} %')
    _export_first(folders, job)
    return write_report(search_dir)


def train_supernet(job: Job) -> Path:
    """Trains the supernet, or continues its training; returns its checkpoint."""
    cfg = job.config(job.supernet, work_dir=str(job.work_dir / 'supernet'), resume=True)
    checkpoint = Path(cfg.work_dir) / f'iter_{cfg.train_cfg.max_iters}.pth'
    if not checkpoint.exists():
        runner_with_progress(cfg, 'supernet steps').train()
    return checkpoint


def run_search(job: Job, checkpoint: Path) -> Path:
    """Searches, or continues the search; returns its folder."""
    options = {'train_cfg.supernet': str(checkpoint)}
    cfg = job.config(job.search, work_dir=str(job.work_dir), resume=True, **options)
    runner_with_progress(cfg, 'search candidates').train()
    return job.work_dir / 'search'


def runner_with_progress(cfg: Config, label: str) -> Runner:
    """A runner whose log goes to its file and whose progress goes to the terminal."""
    cfg.experiment_name = label.replace(' ', '-')
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), dict(type='ProgressHook', label=label)]
    quiet_logger(cfg.experiment_name, Path(cfg.work_dir))
    return Runner.from_cfg(cfg)


def quiet_logger(name: str, folder: Path) -> None:
    """Makes the logger that a runner of this experiment name will use: everything to a file, warnings only to the terminal."""
    folder.mkdir(parents=True, exist_ok=True)
    logger = MMLogger.get_instance(name, logger_name='mmengine', log_file=str(folder / f'{name}.log'), log_level='INFO')
    for handler in logger.handlers:
        if type(handler) is logging.StreamHandler:
            handler.setLevel(logging.ERROR)


def _export_first(folders: list[Path], job: Job) -> None:
    """Exports the most accurate of the retrained networks to ONNX."""

    def score(folder: Path) -> float:
        return float(read_json(folder / 'results.json')['retrained']['mIoU'])

    best = max(folders, key=score)
    search = read_json(job.work_dir / 'search' / 'search.json')
    result = export_onnx(best / 'config.py', best / 'retrained.pth', best / 'model.onnx', search['input_hw'])
    print(f'exported {best / "model.onnx"}; largest difference to PyTorch {result.max_difference:.1e}')
