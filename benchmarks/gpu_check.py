"""All that can only be checked on a GPU, on one GPU within ten minutes: is it right, how fast is it, does a search run.

python benchmarks/gpu_check.py [--out work_dirs/gpu_check] [--minutes 10] [--only STAGE...]
python benchmarks/gpu_check.py --emulated      # the same plan at toy size, on a machine without a GPU

Each stage is a command in a process of its own, whose output is in OUT/STAGE.txt. The tables, in report.md there and
printed at the end, are for docs/performance.md. A stage that fails or runs out of time does not stop the others; the
exit status is 1 then. What comes last has the least time.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
TOY = 'configs/quickstart/toy_streets'
S, M, L = 'hyctas-s', 'hyctas-m', 'hyctas-l'


@dataclass(frozen=True)
class Stage:
    """A command of the plan.

    Attributes:
        name: Its name.
        what: What it tells.
        command: Arguments of Python; ``OUT`` in them stands for the folder of the run.
        size: More arguments on a GPU.
        toy: More arguments at toy size; None if it is left out there.
        seconds: It is ended after this time.
    """

    name: str
    what: str
    command: Sequence[str]
    size: Sequence[str] = ()
    toy: Sequence[str] | None = ()
    seconds: float = 120


def latency(backend: str) -> Stage:
    toy = ('--shape', '64', '96', '--seconds', '0.05', '--rounds', '1', '--threads', '1', S)
    return Stage(
        f'latency-{backend}',
        f'latency of the published networks, {backend}',
        ('tools/benchmark.py', 'latency', '--targets', backend),
        ('--shape', '1024', '2048', '--seconds', '2', '--rounds', '3', S, M, L),
        None if backend in ('cudagraph', 'compile') else toy,  # not to be had on a CPU, and minutes there
        seconds=180,
    )


PLAN = (
    Stage(
        'correctness',
        "steps of supernet, S and panoptic networks, scoring, grouping: devices, waits, the CPU's numbers",
        ('-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'tests/emulated'),
        toy=('-k', 'what_is_true_of_images'),
        seconds=240,
    ),
    Stage(
        'steps',
        'training steps in images a second',
        ('benchmarks/step_speed.py',),
        ('--rounds', '3'),
        (f'{TOY}_supernet.py', '--batch', '2', '--rounds', '1', '--steps', '1', '--threads', '1'),
    ),
    latency('eager'),
    latency('cudagraph'),
    Stage(
        'data',
        'toy streets for the search',
        ('tools/dataset_converters/toy_streets.py', 'OUT/toy_streets'),
        ('--shape', '128', '256'),
        ('--num-val', '4', '--shape', '64', '128'),
    ),
    Stage(
        'supernet',
        'a small supernet, in bfloat16 and channels-last',
        (
            *('tools/train.py', f'{TOY}_supernet.py', '--data-root', 'OUT/toy_streets', '--work-dir', 'OUT/supernet'),
            *('--cfg-options', 'optim_wrapper.type=Bfloat16OptimWrapper', 'train_dataloader.num_workers=2'),
            *('default_hooks.channels_last.type=ChannelsLastHook', 'default_hooks.checkpoint.interval=10000'),
        ),
        ('train_cfg.max_iters=300',),
        ('train_cfg.max_iters=2', 'train_dataloader.batch_size=2'),
    ),
    Stage(
        'search',
        'a small search with latency measured on the device',
        (
            *('tools/search.py', f'{TOY}_search.py', '--data-root', 'OUT/toy_streets', '--work-dir', 'OUT/search'),
            *('--supernet', 'OUT/supernet/last.pth', '--cfg-options', 'train_cfg.amp=bfloat16'),
        ),
        ('train_cfg.population=8', 'train_cfg.generations=3'),
        (
            *('train_cfg.population=2', 'train_cfg.generations=1', 'train_cfg.branches=(1,)'),
            *('train_cfg.calibration_batches=1', 'train_cfg.latency_seconds=0.001', 'train_cfg.num_chosen=1'),
        ),
    ),
    Stage(
        'scoring',
        "a candidate scored by the search and by mmengine's loop",
        ('benchmarks/scoring.py', f'{TOY}_search.py', '--data-root', 'OUT/toy_streets'),
        ('--candidates', '2', '--rounds', '2'),
        ('--candidates', '1', '--rounds', '1', '--threads', '1'),
    ),
    Stage(
        'attention',
        'attention beside its naive form',
        ('benchmarks/attention.py',),
        ('--rounds', '3'),
        ('--rounds', '1', '--batch', '1', '--threads', '1', '--sizes', '8x16', '--memory'),
    ),
    Stage(
        'panoptic',
        'grouping and panoptic quality',
        ('benchmarks/panoptic.py',),
        (),
        ('--arch', S, '--base-channels', '2', '--shape', '64', '128', '--instances', '3', '--rounds', '1'),
    ),
    latency('compile'),
    latency('onnxruntime'),
)


def arguments(stage: Stage, out: Path, emulated: bool) -> list[str]:
    """A stage's command."""
    given = [*stage.command, *((stage.toy or ()) if emulated else stage.size)]
    return [sys.executable, *(part.replace('OUT', str(out)) for part in given)]


def run(stage: Stage, out: Path, emulated: bool, seconds: float) -> tuple[str, str]:
    """How a stage ended, and what it printed."""
    environment = os.environ | dict(PYTHONPATH=os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')]))
    if emulated:
        environment |= dict(CUDA_VISIBLE_DEVICES='', OMP_NUM_THREADS='1')
    environment |= dict(COLUMNS='160', MPLBACKEND='agg')
    path = out / f'{stage.name}.txt'
    start = time.monotonic()
    with path.open('w', encoding='utf-8') as file:
        try:
            done = subprocess.run(
                arguments(stage, out, emulated),
                cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT, timeout=seconds, check=False,
            )  # fmt: skip
            ended = 'done' if done.returncode == 0 else f'FAILED ({done.returncode})'
        except subprocess.TimeoutExpired:
            ended = 'OUT OF TIME'
    if stage.name == 'supernet' and ended == 'done':
        last = max((out / 'supernet').glob('iter_*.pth'), key=lambda found: found.stat().st_mtime)
        (out / 'supernet' / 'last.pth').unlink(missing_ok=True)
        (out / 'supernet' / 'last.pth').symlink_to(last.name)
    return f'{ended}, {time.monotonic() - start:.0f} s', path.read_text(encoding='utf-8', errors='replace')


def machine(emulated: bool) -> str:
    if emulated:
        return f'emulated, toy sizes: no number means anything; PyTorch {torch.__version__}'
    properties = torch.cuda.get_device_properties(0)
    versions = f'PyTorch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}'
    return f'{properties.name}, {properties.total_memory / 2**30:.0f} GiB, {versions}, {platform.platform()}'


def told(stage: Stage, text: str) -> str:
    """What the report keeps of a stage's output: tables whole, of logs the end."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    tables = [number for number, line in enumerate(lines) if line.startswith(('┏', '┌'))]
    return '\n'.join(lines[tables[0] :] if tables else lines[-12:])


def main() -> int:
    """Runs the plan; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/gpu_check'))
    parser.add_argument('--minutes', type=float, default=10, help='for all of it (default 10)')
    parser.add_argument(
        '--only', nargs='+', choices=[stage.name for stage in PLAN], metavar='STAGE', help='some stages'
    )
    parser.add_argument('--emulated', action='store_true', help='toy sizes on a CPU')
    args = parser.parse_args()
    if not args.emulated and not torch.cuda.is_available():
        parser.error('there is no GPU here; --emulated runs the plan at toy size')
    end = time.monotonic() + 60 * args.minutes
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    title = machine(args.emulated)
    report, summary, failed = [f'# {title}'], ['| stage | what | result |', '|---|---|---|'], False
    for stage in PLAN:
        if stage.name not in (args.only or [stage.name]) or (args.emulated and stage.toy is None):
            continue
        left = end - time.monotonic()
        ended, text = run(stage, out, args.emulated, min(left, stage.seconds)) if left > 5 else ('NO TIME LEFT', '')
        print(f'{stage.name}: {ended}', flush=True)
        failed |= not ended.startswith('done')
        summary.append(f'| {stage.name} | {stage.what} | {ended} |')
        command = ' '.join(arguments(stage, args.out, args.emulated)[1:])
        report.append(f'## {stage.name}\n\n`python {command}`: {ended}\n\n```\n{told(stage, text)}\n```')
    report.insert(1, '\n'.join(summary))
    (out / 'report.md').write_text('\n\n'.join(report) + '\n', encoding='utf-8')
    print('\n\n'.join(report))
    return int(failed)


if __name__ == '__main__':
    sys.exit(main())
