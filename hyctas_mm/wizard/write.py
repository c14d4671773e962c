"""Writes the configs of a search into a folder of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

from hyctas_mm.costs import Target
from hyctas_mm.errors import BadValue
from hyctas_mm.files import write_json
from hyctas_mm.wizard import texts
from hyctas_mm.wizard.data import Data, PanopticData
from hyctas_mm.wizard.lengths import Lengths
from hyctas_mm.wizard.sizing import Machine, Plan

CONFIGS, JOB = 'configs', 'job.json'
SCHEDULES = ('_base_/schedules/common', '_base_/schedules/sgd_poly')
SEMANTIC_BASES = (
    'default_runtime',
    '_base_/models/segmentor',
    '_base_/models/hyctas_supernet',
    '_base_/models/hyctas',
    *SCHEDULES,
)
PANOPTIC_BASES = (
    'panoptic_runtime',
    '_base_/models/panoptic_deeplab',
    '_base_/models/hyctas_panoptic_supernet',
    '_base_/models/hyctas_panoptic',
    '_base_/schedules/panoptic_sgd_poly',
    *SCHEDULES,
)


class FolderInUse(BadValue):
    """The folder holds a search already."""


def check_free(work_dir: Path, overwrite: bool) -> None:
    """Refuses a folder with results, and without ``overwrite`` one with configs.

    Raises:
        FolderInUse: Naming what is there.
    """
    results = [name for name in ('supernet', 'search') if (work_dir / name).exists()]
    if results:
        raise FolderInUse(f'{work_dir} holds results ({", ".join(results)}); choose another --work-dir, or delete it')
    if (work_dir / CONFIGS).exists() and not overwrite:
        raise FolderInUse(
            f'{work_dir} holds configs; run them with tools/run_all.py {work_dir}, choose another --work-dir, or give '
            '--overwrite'
        )


def write_configs(
    work_dir: Path,
    data: Data,
    plan: Plan,
    lengths: Lengths,
    machine: Machine,
    bases: Path,
    latency_ms: float | None = None,
    target: Target | None = None,
) -> Path:
    """Writes ``supernet.py``, ``search.py``, ``subnet.py``, ``data.py`` and what they need.

    Args:
        work_dir: They go to its ``configs/``; results of the job will lie beside it.
        data: What was found.
        plan: Sizes.
        lengths: Steps and candidates.
        machine: Where it will run.
        bases: The project's ``configs``, of whose ``_base_`` copies are made, so that the folder needs nothing else.
        latency_ms: Bound on the latency of candidates.
        target: What networks ship to; None for eager PyTorch on the machine of the search.

    Returns:
        The folder of the configs.
    """
    folder = work_dir / CONFIGS
    panoptic = isinstance(data, PanopticData)
    (folder / '_base_').mkdir(parents=True, exist_ok=True)
    for base in PANOPTIC_BASES if panoptic else SEMANTIC_BASES:
        shutil.copyfile(bases / f'{base}.py', folder / '_base_' / f'{Path(base).name}.py')
    one_size = data.sizes.one_size
    calibration_batch = max(2, min(16, len(data.split.fit) // 2))
    text = texts.Text(plan, lengths, machine.workers, one_size, calibration_batch, on_cpu=machine.device.type == 'cpu')
    if isinstance(data, PanopticData):
        described = texts.panoptic_data(data, text)
    else:
        described = texts.semantic_data(data, text)
        for name in ('train', 'fit', 'select', 'val'):
            _write(folder / 'lists' / f'{name}.txt', '\n'.join(getattr(data.split, name)) + '\n')
    _write(folder / 'data.py', described)
    _write(folder / 'supernet.py', texts.supernet(data, text))
    _write(folder / 'subnet.py', texts.subnet(data, text))
    _write(folder / 'search.py', texts.search(data, text, latency_ms, target))
    job = dict(device=machine.device.type, data_root=str(data.root), latency_ms=latency_ms, inherit=lengths.inherit)
    write_json(work_dir / JOB, job)
    return folder


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding='utf-8')
