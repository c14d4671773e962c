"""Ours and small networks of mmseg trained from scratch by one recipe, tested, and drawn over their latency: which
front is ahead?

python benchmarks/train_peers.py RECIPE --networks WORK_DIR/search/subnets/*/config.py [--peers fast-scnn ...]
                                 [--iters 100] [--seeds 0 1] [--data-root DIR] [--out work_dirs/peers]
                                 [--threads 1] [--backend eager]

RECIPE is the config of any fixed network: its data, schedule and optimizer train all, each with its own head, losses
and auxiliary heads. Goes on where it was interrupted. The default size (100 steps, one seed, four peers) takes minutes
and says little about accuracy.
"""

from __future__ import annotations

import argparse
import math
import statistics
import warnings
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from rich.table import Table

from hyctas_mm import register_all_modules
from hyctas_mm.costs import BACKENDS
from hyctas_mm.engine.configs import set_data_root, use_scope
from hyctas_mm.engine.progress import quiet_runners
from hyctas_mm.engine.retraining import metric, retrain
from hyctas_mm.evaluators.trained_networks import with_iters
from hyctas_mm.measuring import Network, count, input_size, measure, prepare
from hyctas_mm.measuring.peers import PEERS, SIZE_DIVISORS, peer_model
from hyctas_mm.measuring.printing import conditions, report
from hyctas_mm.search.front import front_indices

PEER = 'peers'
COLORS = ('#0b6e99', '#4b7a2b', '#7a3e9d', '#8c6d1f')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('recipe', help='config of a fixed network')
    parser.add_argument('--networks', nargs='*', default=[], help='ours: configs of fixed networks')
    default = ['fast-scnn', 'bisenetv2', 'ddrnet-23-slim', 'stdc1']
    parser.add_argument(
        '--peers', nargs='*', choices=list(PEERS), default=default, metavar='PEER', help=f'some of {", ".join(PEERS)}'
    )
    parser.add_argument(
        '--iters', type=int, default=100, help='steps of each training, the schedule scaled (default 100)'
    )
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--metric', default='mIoU')
    parser.add_argument('--data-root', help="folder of the data, in place of the recipe's")
    parser.add_argument('--out', type=Path, default=Path('work_dirs/peers'))
    parser.add_argument('--seconds', type=float, default=2.0, help='time to measure each latency (default 2)')
    parser.add_argument('--backend', choices=BACKENDS, default='eager')
    parser.add_argument('--threads', type=int)
    parser.add_argument('--device', default=get_device())
    return parser.parse_args()


def training_config(recipe: Config, model: ConfigDict, iters: int, divisor: int) -> Config:
    """The recipe with another model, test images padded to multiples of ``divisor``."""
    cfg = with_iters(recipe, iters)
    preprocessor = dict(recipe.model.data_preprocessor) | (
        dict(test_cfg=dict(size_divisor=divisor)) if divisor > 1 else {}
    )
    cfg.model = ConfigDict(model | dict(data_preprocessor=preprocessor, test_cfg=dict(mode='whole')))
    if 'PID' in str(model.decode_head.get('type')):  # its boundary loss wants edges
        pipeline = cfg.train_dataloader.dataset.pipeline
        pipeline.insert(len(pipeline) - 1, dict(type='GenerateEdge', edge_width=4))
    return cfg


def prepare_folder(folder: Path, cfg: Config) -> Path:
    """Writes ``config.py``, or checks that what is there was made for the same training.

    Raises:
        ValueError: If it was not.
    """
    path = folder / 'config.py'
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        cfg.dump(path)
    elif Config.fromfile(path).to_dict() != Config.fromstring(cfg.pretty_text, '.py').to_dict():
        raise ValueError(f'{folder} was made for another training; give the same recipe and --iters, or another --out')
    return folder


def draw(rows: list[dict[str, Any]], name: str, unit: str, path: Path) -> None:
    """Accuracy over latency, with the front of each of our searches and that of the peers."""
    figure, axes = plt.subplots(figsize=(8, 5), layout='constrained')
    ours = sorted({r['kind'] for r in rows} - {PEER})
    for kind, color, marker in [
        *((kind, COLORS[n % len(COLORS)], 'o') for n, kind in enumerate(ours)),
        (PEER, '#b4500a', 's'),
    ]:
        chosen = [r for r in rows if r['kind'] == kind]
        if chosen:
            _draw_kind(axes, chosen, kind, color, marker)
    axes.set(xlabel=f'latency (ms), {unit}', ylabel=f'{name} (%)', xscale='log')
    axes.xaxis.set_major_formatter('{x:g}')
    axes.xaxis.set_minor_formatter('{x:g}')
    axes.tick_params(which='minor', labelsize=7)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _draw_kind(axes: Axes, rows: list[dict[str, Any]], kind: str, color: str, marker: str) -> None:
    x, y = [r['latency_ms'] for r in rows], [r['score'] for r in rows]
    axes.errorbar(x, y, [r['std'] for r in rows], fmt=marker, color=color, label=kind, capsize=2)
    front = sorted(front_indices(np.array([[a, -b] for a, b in zip(x, y, strict=True)])), key=lambda i: x[i])
    axes.plot([x[i] for i in front], [y[i] for i in front], color=color, alpha=0.5)
    for row in rows:
        axes.annotate(
            row['network'], (row['latency_ms'], row['score']), xytext=(4, 4), textcoords='offset points', fontsize=7
        )


def group(config: Path) -> str:
    """The work dir of the search that a network comes from, WORK_DIR/search/subnets/ARCHID/config.py, or the folder
    that holds its folder.
    """
    found = config.resolve().parents[1]
    return found.parents[1].name if found.name == 'subnets' else found.name


def main() -> None:
    """Trains, tests, measures, prints, draws."""
    args = parse_args()
    warnings.filterwarnings('ignore')
    register_all_modules()
    recipe = Config.fromfile(args.recipe)
    use_scope(recipe)
    if args.data_root:
        set_data_root(recipe, args.data_root)
    here = conditions(args.device, args.threads, backend=args.backend)
    found = input_size(recipe)
    if found is None:
        raise SystemExit(f'{args.recipe}: says no input size')
    classes = recipe.model.decode_head.num_classes
    models = {}
    for path in map(Path, args.networks):
        model = Config.fromfile(path).model
        model.decode_head.num_classes = classes
        models[f'{path.parent.name}-{model.backbone.base_channels}'] = (group(path), model)
    models |= {name: (PEER, peer_model(name, classes)) for name in args.peers}
    rows, networks, problems = [], [], []
    for name, (kind, model) in models.items():
        divisor = SIZE_DIVISORS.get(name, 1)
        folder = prepare_folder(args.out / 'subnets' / name, training_config(recipe, model, args.iters, divisor))
        try:
            with quiet_runners():
                scores = [metric(retrain(folder, seed, num_pictures=0), args.metric) for seed in args.seeds]
        except (RuntimeError, ValueError) as error:
            problems.append(f'{name}: {str(error).splitlines()[0]}')
            print(problems[-1], flush=True)
            continue
        print(f'{name}: {args.metric} {", ".join(f"{score:.2f}" for score in scores)}', flush=True)
        height, width = (-(-size // divisor) * divisor for size in found[0])
        network = Network(name, model, (height, width), found[1])
        spread = statistics.stdev(scores) if len(scores) > 1 else math.nan
        counted = count(network, device='cpu')
        rows.append(dict(network=name, kind=kind, score=statistics.mean(scores), std=spread, scores=scores, **counted))
        networks.append(network)
    prepared = [prepare(network, torch.device(args.device), args.backend) for network in networks]
    for row, measured in zip(rows, measure(prepared, torch.device(args.device), args.seconds, 5), strict=True):
        row.update(measured)
    table = Table('network', 'params M', 'GMACs', 'latency ms', 'rounds', args.metric, 'of each seed')
    for row in sorted(rows, key=lambda r: r['latency_ms']):
        counts = (f'{row["params"] / 1e6:.2f}', f'{(row["conv_macs"] + row["attention_macs"]) / 1e9:.3f}')
        rounds = f'{min(row["rounds_ms"]):.2f}..{max(row["rounds_ms"]):.2f}'
        scores = ', '.join(f'{score:.2f}' for score in row['scores'])
        table.add_row(row['network'], *counts, f'{row["latency_ms"]:.2f}', rounds, f'{row["score"]:.2f}', scores)
    setting = dict(recipe=args.recipe, iters=args.iters, seeds=args.seeds, input_hw=found[0], backend=args.backend)
    report(table, args.out / 'peers.json', here | setting, networks=rows, problems=problems)
    draw(rows, args.metric, f'{args.backend}, {here["threads"]} threads', args.out / 'peers.png')
    print(f'{args.out / "peers.png"}, {args.out / "peers.json"}')


if __name__ == '__main__':
    main()
