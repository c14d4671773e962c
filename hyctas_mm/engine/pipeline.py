"""The whole way in one call: supernet, search, retraining, test, ONNX, report. Every step that is done is skipped when run again."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
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
from hyctas_mm.search.archive import ARCHIVE


@dataclass(frozen=True)
class Job:
    """What to run and where.

    Attributes:
        supernet: Config of the supernet.
        search: Config of the search.
        work_dir: Where everything goes: ``supernet/``, ``search/``.
        data_root: Folder of the data.
        options: Overrides of both configs.
        subnet_options: Overrides of the exported networks' configs.
    """

    supernet: str
    search: str
    work_dir: Path
    data_root: str
    options: Mapping[str, Any] | None = None
    subnet_options: Mapping[str, Any] | None = None

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
    folders = [f for f in subnet_folders(search_dir) if read_json(f / 'results.json').get('role') != 'random']
    progress = Progress('retrained networks', len(folders))
    for number, folder in enumerate(folders):
        with quiet_runners():
            metrics = retrain(folder, options=job.subnet_options)
        progress.update(number + 1, f'{folder.name} mIoU {metrics["mIoU"]:.2f} %')
    _export_first(folders, job)
    return write_report(search_dir)


def train_supernet(job: Job) -> Path:
    """Trains the supernet, or continues its training; returns its checkpoint."""
    cfg = job.config(job.supernet, work_dir=str(job.work_dir / 'supernet'))
    checkpoint = Path(cfg.work_dir) / f'iter_{cfg.train_cfg.max_iters}.pth'
    last = Path(cfg.work_dir) / 'last_checkpoint'  # written after the checkpoint is whole
    cfg.resume = last.exists()
    if not last.exists() or Path(last.read_text().strip()).name != checkpoint.name:
        runner_with_progress(cfg, 'supernet steps').train()
    return checkpoint


def run_search(job: Job, checkpoint: Path) -> Path:
    """Searches, or continues the search; returns its folder."""
    options = {'train_cfg.supernet': str(checkpoint)}
    cfg = job.config(job.search, work_dir=str(job.work_dir), **options)
    cfg.resume = (job.work_dir / 'search' / ARCHIVE).exists()
    runner_with_progress(cfg, 'search candidates').train()
    return job.work_dir / 'search'


def runner_with_progress(cfg: Config, label: str) -> Runner:
    """A runner whose log goes to its file and whose progress goes to the terminal."""
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='ProgressHook', label=label)]
    with quiet_runners():
        return Runner.from_cfg(cfg)


@contextlib.contextmanager
def quiet_runners() -> Iterator[None]:
    """Runners that are built inside log to their files only; errors are raised anyway."""
    with open(os.devnull, 'w') as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield
    for logger in MMLogger._instance_dict.values():
        for handler in logger.handlers:
            if type(handler) is logging.StreamHandler:
                handler.setLevel(logging.CRITICAL + 1)  # its stream is closed now


def _export_first(folders: list[Path], job: Job) -> None:
    """Exports the most accurate of the retrained networks to ONNX."""

    def score(folder: Path) -> float:
        return float(read_json(folder / 'results.json')['retrained']['mIoU'])

    best = max(folders, key=score)
    search = read_json(job.work_dir / 'search' / 'search.json')
    result = export_onnx(best / 'config.py', best / 'retrained.pth', best / 'model.onnx', search['input_hw'])
    print(f'exported {best / "model.onnx"}; largest difference to PyTorch {result.max_difference:.1e}')
