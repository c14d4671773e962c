"""Candidates scored by the search beside the plain way: mmengine's ValLoop over the same loader, after a pass that
recalibrates the batch norm.

python benchmarks/scoring.py [SEARCH_CONFIG] [--candidates 4] [--rounds 3] [--threads 2] [--data-root DIR]

The plain way decodes every image for every candidate, in the loader's worker processes. Both use the same cut-out
network and the same images, and their scores are compared. Ratios are of interleaved rounds, plain by ours.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from mmengine.runner import ValLoop

from hyctas_mm.archs import Architecture
from hyctas_mm.engine.configs import load_config
from hyctas_mm.engine.progress import quiet_runners
from hyctas_mm.engine.scoring import recalibrate_bn
from hyctas_mm.evaluators import Job
from hyctas_mm.models.subnet import cut_subnet
from hyctas_mm.studies.open_search import OpenSearch

CONFIG = 'configs/hyctas/idd_lite/hyctas_search_idd-lite-227x320.py'


def plain_score(search: OpenSearch, calibration_batches: int, arch: Architecture) -> float:
    """The score as one would get it from mmengine's parts alone."""
    runner = search.loop.runner
    subnet = cut_subnet(runner.model, runner.cfg.model.to_dict(), arch)
    recalibrate_bn(
        subnet, (batch for _, batch in zip(range(calibration_batches), search.loop.dataloader, strict=False))
    )
    supernet, runner.model = runner.model, subnet
    try:
        with quiet_runners():
            metrics = ValLoop(runner, runner.val_loop.dataloader, runner.val_loop.evaluator).run()
    finally:
        runner.model = supernet
    return float(metrics[search.score])


def main() -> None:
    """Prints the seconds of each candidate and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', nargs='?', default=CONFIG, help=f'config of a search (default {CONFIG})')
    parser.add_argument('--data-root', help="folder of the data, in place of the config's data_root")
    parser.add_argument('--candidates', type=int, default=4)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    warnings.filterwarnings('ignore')
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        cfg = load_config(
            argparse.Namespace(config=args.config, data_root=args.data_root, cfg_options=None, work_dir=folder)
        )
        search = OpenSearch(cfg, Path(folder))
        evaluator = search.loop.build_evaluator(supernet=None)
        calibration_batches = evaluator.identity()['calibration_batches']
        rng, ratios = np.random.default_rng(0), []
        for number in range(args.candidates):
            arch = search.space.sample(rng)
            for _ in range(args.rounds):
                start = time.perf_counter()
                plain = plain_score(search, calibration_batches, arch)
                middle = time.perf_counter()
                (outcome,) = evaluator.evaluate([Job(arch, {})])
                ours = outcome.metrics[search.score]
                end = time.perf_counter()
                ratios.append((middle - start) / (end - middle))
                scores = f'{search.score} {plain:.2f}, {ours:.2f}'
                print(
                    f'candidate {number}: plain {middle - start:.2f} s, ours {end - middle:.2f} s, ratio '
                    f'{ratios[-1]:.2f}; {scores}',
                    flush=True,
                )
        print(f'median ratio {statistics.median(ratios):.2f}, {args.threads} threads')


if __name__ == '__main__':
    main()
