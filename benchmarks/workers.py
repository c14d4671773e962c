"""Throughput of scoring candidates in several processes against one, in interleaved rounds of the same candidates.

Example (two idle cores, one thread each):
    torchrun --nproc_per_node=2 benchmarks/workers.py SEARCH_CONFIG --candidates 20 --rounds 5

The weights are random: speed does not depend on them. What is timed is what a search does with a generation: dealing
out, scoring, collecting.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from hyctas_mm.cli import add_config_arguments
from hyctas_mm.engine.configs import load_config
from hyctas_mm.engine.workers import Workers
from hyctas_mm.evaluators import Job
from hyctas_mm.studies.open_search import OpenSearch


def main() -> None:
    """Prints the seconds of each round, candidates per second, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_config_arguments(parser)
    parser.add_argument('--candidates', type=int, default=20, help='architectures of a round (default 20)')
    parser.add_argument('--rounds', type=int, default=5)
    args = parser.parse_args()
    warnings.filterwarnings('ignore')
    torch.set_num_threads(1)
    rank = int(os.environ.get('RANK', 0))
    with tempfile.TemporaryDirectory() as folder:
        # before the process group, as every process holds all images
        search = OpenSearch(load_config(args), Path(folder))
        rng = np.random.default_rng(0)
        archs = [search.space.sample(rng) for _ in range(args.candidates)]
        costs = search.sizes()
        jobs = [Job(arch, costs(arch)) for arch in archs]
        evaluator = search.loop.build_evaluator(supernet=None)
        alone = Workers(evaluator, Path(folder) / 'alone')  # made before the process group: its size is 1
        dist.init_process_group('gloo')
        together = Workers(evaluator, Path(folder) / 'together')
        list(evaluator.evaluate(jobs[:1]))  # warm-up
        seconds: dict[str, list[float]] = dict(one=[], all=[])
        for number in range(args.rounds):
            for name, workers in (('one', alone), ('all', together)):
                dist.barrier()
                start = time.perf_counter()
                if rank == 0:
                    list(workers.evaluate(jobs))
                    workers.stop()
                elif workers is together:
                    workers.serve()
                dist.barrier()
                seconds[name].append(time.perf_counter() - start)
            if rank == 0:
                one, all_ = (seconds[name][-1] for name in ('one', 'all'))
                print(
                    f'round {number}: 1 process {one:.2f} s, {dist.get_world_size()} processes {all_:.2f} s, ratio '
                    f'{one / all_:.3f}',
                    flush=True,
                )
        if rank == 0:
            one, all_ = (statistics.median(seconds[name]) for name in ('one', 'all'))
            rates = f'{args.candidates / one:.3f} and {args.candidates / all_:.3f} candidates a second'
            print(
                f'medians: {rates}, ratio '
                f'{statistics.median(a / b for a, b in zip(*seconds.values(), strict=True)):.3f}'
            )
        dist.destroy_process_group()


if __name__ == '__main__':
    main()
