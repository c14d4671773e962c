"""How training, scoring and search cost grow with layers, branches, image size and the number of processes.

python benchmarks/growth.py [--layers 4 6 8 12 16 20] [--branches 1 2 3] [--sizes 128x160 ...] [--workers 1 2]
                            [--archs 3] [--population 20] [--rounds 3] [--threads 1] [--device cpu]
                            [--out work_dirs/growth]

One thing varies, the others stay at 12 layers, 2 branches, 224x320. Every number is the median over interleaved rounds
of the mean over the same random architectures, whose branches all have as many cells as there are layers:

- training: a step of the supernet on a batch of 4, with the optimizer;
- scoring: a candidate cut out, recalibrated on 8 images, run on 8;
- search: a candidate priced in MACs, and its share of NSGA-II;
- processes: 8 candidates scored by so many, one thread each.

The exponent e of cost ~ size^e is the slope of a line through the logarithms. Prints a table and draws OUT/growth.png.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.distributed as dist
from mmengine.device import get_device
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from rich.table import Table

from hyctas_mm import register_all_modules
from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.engine.candidate_costs import CandidateCosts, training_loss, training_network
from hyctas_mm.engine.scoring import recalibrate_bn
from hyctas_mm.engine.workers import Workers
from hyctas_mm.evaluators import Job, Outcome
from hyctas_mm.measuring.printing import conditions, report
from hyctas_mm.models.subnet import cut_subnet, set_arch
from hyctas_mm.search.algorithms import NSGA2, SearchProblem

BATCH, CALIBRATION = 4, 8
OPTIMIZER = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
KINDS = ('training', 'scoring', 'search')
AXES = ('layers', 'branches', 'megapixels', 'processes')


@dataclass(frozen=True)
class Setting:
    """One point."""

    layers: int = 12
    branches: int = 2
    input_hw: tuple[int, int] = (224, 320)

    @property
    def space(self) -> SearchSpace:
        return SearchSpace(layers=self.layers, base_channels=6, ops=('conv', 'lite_conv', 'lite_conv_2x', 'attention'))

    def archs(self, count: int) -> list[Architecture]:
        rng = np.random.default_rng(0)
        return [self.space.sample(rng, self.branches) for _ in range(count)]

    def model_cfg(self) -> dict[str, Any]:
        space = self.space.to_dict()
        return dict(
            type='EncoderDecoder',
            data_preprocessor=dict(type='SegDataPreProcessor', mean=[128.0] * 3, std=[64.0] * 3),
            backbone=dict(type='HyCTASBackbone', search_space=space, outputs='branches'),
            decode_head=dict(
                type='HyCTASHead', search_space=space, num_classes=11, loss_decode=dict(type='CrossEntropyLoss')
            ),
        )


class Point:
    """The supernet of a setting, and what is timed with it."""

    def __init__(self, setting: Setting, archs: int, device: torch.device, population: int = 20) -> None:
        self.setting, self.archs, self.device, self.cfg = setting, setting.archs(archs), device, setting.model_cfg()
        self._population, self._runs = population, 0
        self.costs = CandidateCosts(self.cfg, (1, 3, *setting.input_hw))
        with device:
            self.model = training_network(self.cfg)
            self.batch = dict(inputs=[torch.zeros(3, *setting.input_hw, dtype=torch.uint8) for _ in range(CALIBRATION)])
        self.optimizer = build_optim_wrapper(self.model, OPTIMIZER)

    def training(self) -> None:
        for arch in self.archs:
            set_arch(self.model, arch)
            with self.device:
                loss = training_loss(self.model, BATCH, self.setting.input_hw)
            self.optimizer.update_params(loss)

    def scoring(self) -> None:
        for arch in self.archs:
            self.score(arch)

    def score(self, arch: Architecture) -> None:
        net = cut_subnet(self.model, self.cfg, arch).to(memory_format=torch.channels_last)
        recalibrate_bn(net, [self.batch])
        with torch.no_grad():
            net(net.data_preprocessor(self.batch, False)['inputs'])

    def search(self) -> None:
        """One generation; its candidates cost what they cost, and their accuracy is made up."""
        self._runs += 1  # another seed, other candidates: prices are remembered, as are their blocks
        rng = np.random.default_rng(self._runs)
        problem = SearchProblem(self.setting.space, self.setting.branches, (1.0, 1.0), self._population, self._runs)
        algorithm = NSGA2(problem)
        archs = algorithm.ask()
        algorithm.tell([[-rng.random(), self.costs(arch)['macs_g']] for arch in archs], [0.0] * len(archs))

    def seconds(self, kind: str) -> float:
        """Of one architecture."""
        self.wait()
        start = time.perf_counter()
        getattr(self, kind)()
        self.wait()
        return (time.perf_counter() - start) / (self._population if kind == 'search' else len(self.archs))

    def wait(self) -> None:
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)


class Scoring:
    """An evaluator that scores at a point; the score is made up."""

    def __init__(self, point: Point) -> None:
        self.point = point

    def evaluate(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        for job in jobs:
            self.point.score(job.arch)
            yield Outcome(dict(mIoU=0.0))


def in_processes(rank: int, size: int, folder: str, rounds: int) -> None:
    """One of ``size`` processes that score eight candidates; the first writes the seconds."""
    torch.set_num_threads(1)
    warnings.filterwarnings('ignore')
    register_all_modules()
    init_default_scope('mmseg')
    dist.init_process_group('gloo', init_method=f'file://{folder}/store{size}', rank=rank, world_size=size)
    torch.manual_seed(0)
    point = Point(Setting(), 8, torch.device('cpu'))
    jobs = [Job(arch, dict(macs_g=1.0)) for arch in point.archs]
    point.score(jobs[0].arch)  # warm-up
    times = []
    for _ in range(rounds):
        workers = Workers(Scoring(point), Path(folder) / f'of{size}')
        dist.barrier()
        start = time.perf_counter()
        if rank == 0:
            list(workers.evaluate(jobs))
            workers.clear_pending()
            workers.stop()
        else:
            workers.serve()
        dist.barrier()
        times.append(time.perf_counter() - start)
    if rank == 0:
        (Path(folder) / f'seconds{size}').write_text(str(statistics.median(times) / len(jobs)))
    dist.destroy_process_group()


def time_processes(sizes: Sequence[int], rounds: int) -> list[dict[str, Any]]:
    """Seconds a candidate with so many processes."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            torch.multiprocessing.spawn(in_processes, (size, folder, rounds), nprocs=size)
            rows.append(dict(axis='processes', x=size, scoring=float((Path(folder) / f'seconds{size}').read_text())))
    return rows


def time_points(
    points: Sequence[tuple[str, float, Setting]], archs: int, population: int, rounds: int, device: torch.device
) -> list[dict[str, Any]]:
    """Seconds of each kind at each point."""
    made: dict[Setting, Point] = {}
    for _, _, setting in points:
        if setting not in made:
            made[setting] = Point(setting, archs, device, population)
    times: dict[tuple[Setting, str], list[float]] = {}
    for number in range(rounds + 1):
        for setting, point in made.items():
            for kind in KINDS:
                elapsed = point.seconds(kind)
                if number:  # the first warms up
                    times.setdefault((setting, kind), []).append(elapsed)
    return [
        dict(axis=axis, x=x) | {kind: statistics.median(times[setting, kind]) for kind in KINDS}
        for axis, x, setting in points
    ]


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    return float(np.polyfit(np.log(x), np.log(y), 1)[0]) if len(x) > 1 else float('nan')


def draw(rows: Sequence[dict[str, Any]], exponents: dict[tuple[str, str], float], path: Path) -> None:
    """One panel an axis, one line a kind, the exponent in its legend."""
    figure, panels = plt.subplots(1, len(AXES), figsize=(15, 4), layout='constrained', sharey=True)
    for panel, axis in zip(panels, AXES, strict=True):
        chosen = [row for row in rows if row['axis'] == axis]
        for kind, color in zip(KINDS, ('#0b6e99', '#b4500a', '#4b7a2b'), strict=True):
            if chosen and kind in chosen[0]:
                x, y = [row['x'] for row in chosen], [row[kind] * 1e3 for row in chosen]
                panel.plot(x, y, 'o-', color=color, label=f'{kind}, exponent {exponents[axis, kind]:.2f}')
        panel.set(xlabel=axis, xscale='log', yscale='log')
        panel.set_xticks(
            sorted({row['x'] for row in chosen}),
            [f'{row["x"]:.3g}' for row in sorted(chosen, key=lambda row: row['x'])],
        )
        panel.minorticks_off()
        panel.grid(alpha=0.3)
        panel.legend(frameon=False, fontsize=8)
    panels[0].set_ylabel('ms an architecture')
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def size(text: str) -> tuple[int, int]:
    height, width = text.split('x')
    return int(height), int(width)


def main() -> None:
    """Times, prints, draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--layers', type=int, nargs='*', default=[4, 6, 8, 12, 16, 20])
    parser.add_argument('--branches', type=int, nargs='*', default=[1, 2, 3])
    parser.add_argument(
        '--sizes',
        type=size,
        nargs='*',
        default=[(96, 128), (128, 192), (224, 320), (320, 448), (448, 640)],
        metavar='HxW',
    )
    parser.add_argument('--workers', type=int, nargs='*', default=[1, 2], help='numbers of processes (CPU)')
    parser.add_argument('--archs', type=int, default=3)
    parser.add_argument('--population', type=int, default=20, help='candidates of a generation (default 20)')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--device', default=get_device())
    parser.add_argument('--out', type=Path, default=Path('work_dirs/growth'))
    args = parser.parse_args()
    warnings.filterwarnings('ignore')
    register_all_modules()
    init_default_scope('mmseg')
    here, base = conditions(args.device, args.threads), Setting()
    points: list[tuple[str, float, Setting]] = [('layers', n, replace(base, layers=n)) for n in args.layers]
    points += [('branches', n, replace(base, branches=n)) for n in args.branches]
    points += [('megapixels', hw[0] * hw[1] / 1e6, replace(base, input_hw=hw)) for hw in args.sizes]
    rows = time_points(points, args.archs, args.population, args.rounds, torch.device(args.device)) + time_processes(
        args.workers, args.rounds
    )
    exponents = {}
    table = Table('', 'at', *(f'{kind} ms' for kind in KINDS))
    for axis in AXES:
        chosen = [row for row in rows if row['axis'] == axis]
        for row in chosen:
            table.add_row(axis, f'{row["x"]:.3g}', *(f'{row[kind] * 1e3:.1f}' if kind in row else '' for kind in KINDS))
        for kind in KINDS:
            if chosen and kind in chosen[0]:
                exponents[axis, kind] = exponent([row['x'] for row in chosen], [row[kind] for row in chosen])
        table.add_row(
            axis,
            'exponent',
            *(f'{exponents[axis, kind]:.2f}' if (axis, kind) in exponents else '' for kind in KINDS),
            end_section=True,
        )
    report(table, args.out / 'growth.json', here, rows=rows)
    draw(rows, exponents, args.out / 'growth.png')
    print(args.out / 'growth.png')


if __name__ == '__main__':
    main()
