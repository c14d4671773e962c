"""Ours and small networks of mmseg trained from scratch by one recipe, tested, and drawn over their latency: which
front is ahead?

python benchmarks/train_peers.py RECIPE --networks WORK_DIR/search/subnets/*/config.py [--peers fast-scnn ...]
                                 [--iters 100] [--seeds 0 1] [--data-root DIR] [--out work_dirs/peers]
                                 [--threads 1] [--targets eager onnxruntime] [--box-ms 2 80] [--box-score 30 50]

RECIPE is the config of any fixed network: its data, schedule and optimizer train all, each with its own head, losses
and auxiliary heads; only SegFormer and SegNeXt have AdamW, as their own recipes do. Goes on where it was interrupted.
Trainings of another length go into another --out. Further seeds of some networks: a run with only those, then one with
all, which counts every seed that it finds.

Afterwards all are timed by all targets in one interleaved run, while trainings of other processes wait. For each
target it says how much of the box the fronts cover, ours and the peers', and which peers are above our front: those
than which no network of ours is at most as slow and at least as good. The default size (100 steps, one seed, four
peers) takes minutes and says little about accuracy.
"""

from __future__ import annotations

import argparse
import math
import statistics
import warnings
from dataclasses import asdict
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
from hyctas_mm.costs import target_names
from hyctas_mm.engine.configs import set_data_root, use_scope
from hyctas_mm.engine.progress import quiet_runners
from hyctas_mm.engine.retraining import metric, retrain
from hyctas_mm.evaluators.trained_networks import with_iters
from hyctas_mm.files import read_json
from hyctas_mm.measuring import Network, count, input_size, measure, prepare, read_targets
from hyctas_mm.measuring.fronts import Box, is_above
from hyctas_mm.measuring.peers import PEERS, SIZE_DIVISORS, padded_size, peer_model, use_own_adamw
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
    parser.add_argument(
        '--seeds', type=int, nargs='+', default=[0], help='to be trained (default 0); others found in --out count too'
    )
    parser.add_argument(
        '--adamw-lr', type=float, help="rate of peers with AdamW, in place of their own heads' (6e-4)", metavar='LR'
    )
    parser.add_argument('--metric', default='mIoU')
    parser.add_argument('--data-root', help="folder of the data, in place of the recipe's")
    parser.add_argument('--out', type=Path, default=Path('work_dirs/peers'))
    parser.add_argument('--seconds', type=float, default=2.0, help='time to measure each latency (default 2)')
    parser.add_argument('--targets', nargs='+', choices=target_names(), default=['eager', 'onnxruntime'])
    box = Box()
    for name, default, unit in (('--box-ms', box.latency_ms, 'latency'), ('--box-score', box.score, 'metric')):
        text = f'{unit} in which the fronts are compared (default {default[0]} {default[1]})'
        parser.add_argument(name, type=float, nargs=2, default=default, metavar=('FROM', 'TO'), help=text)
    parser.add_argument('--threads', type=int)
    parser.add_argument('--device', default=get_device())
    return parser.parse_args()


def training_config(recipe: Config, model: ConfigDict, name: str, args: argparse.Namespace) -> Config:
    """The recipe with another model: a network of ours, or the peer ``name`` with what it needs."""
    cfg = with_iters(recipe, args.iters)
    divisor = SIZE_DIVISORS.get(name, 1)
    preprocessor = dict(recipe.model.data_preprocessor) | (
        dict(test_cfg=dict(size_divisor=divisor)) if divisor > 1 else {}
    )
    cfg.model = ConfigDict(model | dict(data_preprocessor=preprocessor, test_cfg=dict(mode='whole')))
    if name in PEERS:
        use_own_adamw(cfg, name, args.adamw_lr)
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


def draw(rows: list[dict[str, Any]], targets: list[str], name: str, threads: int, path: Path) -> None:
    """Accuracy over latency by each target, with the front of each of our searches and that of the peers."""
    figure, panels = plt.subplots(1, len(targets), figsize=(8 * len(targets), 5), layout='constrained', squeeze=False)
    ours = sorted({r['kind'] for r in rows} - {PEER})
    for axes, target in zip(panels[0], targets, strict=True):
        for kind, color, marker in [
            *((kind, COLORS[n % len(COLORS)], 'o') for n, kind in enumerate(ours)),
            (PEER, '#b4500a', 's'),
        ]:
            chosen = [r for r in rows if r['kind'] == kind and target in r]
            if chosen:
                _draw_kind(axes, chosen, target, kind, color, marker)
        axes.set(xlabel=f'latency (ms), {target}, {threads} threads', ylabel=f'{name} (%)', xscale='log')
        axes.xaxis.set_major_formatter('{x:g}')
        axes.xaxis.set_minor_formatter('{x:g}')
        axes.tick_params(which='minor', labelsize=7)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _draw_kind(axes: Axes, rows: list[dict[str, Any]], target: str, kind: str, color: str, marker: str) -> None:
    x, y = [r[target]['latency_ms'] for r in rows], [r['score'] for r in rows]
    axes.errorbar(x, y, [r['std'] or 0 for r in rows], fmt=marker, color=color, label=kind, capsize=2)
    front = sorted(front_indices(np.array([[a, -b] for a, b in zip(x, y, strict=True)])), key=lambda i: x[i])
    axes.step([x[i] for i in front], [y[i] for i in front], where='post', color=color, alpha=0.5)
    for row, place in zip(rows, zip(x, y, strict=True), strict=True):
        axes.annotate(row['network'], place, xytext=(4, 4), textcoords='offset points', fontsize=7)


def group(config: Path) -> str:
    """The work dir of the search that a network comes from, WORK_DIR/search/subnets/ARCHID/config.py, or the folder
    that holds its folder.
    """
    found = config.resolve().parents[1]
    return found.parents[1].name if found.name == 'subnets' else found.name


def train(args: argparse.Namespace, recipe: Config) -> tuple[list[dict[str, Any]], list[Network], list[str]]:
    """Trains and tests all; one row for each, the network to be timed, and what went wrong."""
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
    configs = {name: training_config(recipe, model, name, args) for name, (_, model) in models.items()}
    folders = {name: prepare_folder(args.out / 'subnets' / name, cfg) for name, cfg in configs.items()}
    rows, networks, problems = [], [], []
    for name, (kind, model) in models.items():
        try:
            with quiet_runners():
                for seed in args.seeds:
                    retrain(folders[name], seed, num_pictures=0)
        except (RuntimeError, ValueError) as error:
            problems.append(f'{name}: {str(error).splitlines()[0]}')
            print(problems[-1], flush=True)
            continue
        by_seed = read_json(folders[name] / 'results.json')['by_seed']
        seeds = sorted(by_seed, key=int)
        scores = [metric(by_seed[seed], args.metric) for seed in seeds]
        print(f'{name}: {args.metric} {", ".join(f"{score:.2f}" for score in scores)}', flush=True)
        optimizer = configs[name].optim_wrapper.optimizer
        network = Network(name, model, padded_size(name, found[0]), found[1])
        row = dict(network=name, kind=kind, score=statistics.mean(scores), seeds=seeds, scores=scores)
        row |= dict(std=statistics.stdev(scores) if len(scores) > 1 else None)
        row |= dict(optimizer=f'{optimizer.type} {optimizer.lr:g}', input_hw=network.input_hw)
        rows.append(row | count(network, device='cpu'))
        networks.append(network)
    return rows, networks, problems


def time_by_target(rows: list[dict[str, Any]], networks: list[Network], args: argparse.Namespace) -> list[str]:
    """Adds the latencies by each target to the rows, all measured in one interleaved run; returns what went wrong."""
    device = torch.device(args.device)
    prepared, places, problems = [], [], []
    for row, network in zip(rows, networks, strict=True):
        for target in args.targets:
            try:
                prepared.append(prepare(network, device, target))
                places.append((row, target))
            except (RuntimeError, ValueError) as error:
                problems.append(f'{network.name}, {target}: {str(error).splitlines()[0]}')
                print(problems[-1], flush=True)
    for (row, target), measured in zip(places, measure(prepared, device, args.seconds, 5), strict=True):
        row[target] = measured
    return problems


def compare(rows: list[dict[str, Any]], target: str, box: Box) -> dict[str, Any]:
    """The hypervolumes of the fronts by one target, and for each peer whether it is above ours."""
    ours, peers = (
        {row['network']: (row[target]['latency_ms'], row['score']) for row in rows if target in row and chosen(row)}
        for chosen in (lambda row: row['kind'] != PEER, lambda row: row['kind'] == PEER)
    )
    volumes = {name: box.volume(list(points.values())) for name, points in (('ours', ours), ('peers', peers))}
    ratio = volumes['ours'] / volumes['peers'] if volumes['peers'] else None
    above = {name: is_above(point, list(ours.values())) for name, point in peers.items()}
    return volumes | dict(ratio=ratio, above_ours=above)


def tabulate(rows: list[dict[str, Any]], args: argparse.Namespace) -> Table:
    """The table for people, the fastest by the first target first."""
    times = [heading for target in args.targets for heading in (f'{target} ms', 'rounds')]
    table = Table('network', 'from', 'params M', 'GMACs', 'optimizer', *times, args.metric, 'of each seed')
    for row in sorted(rows, key=lambda row: row.get(args.targets[0], {}).get('latency_ms', math.inf)):
        cells = [f'{row["params"] / 1e6:.2f}', f'{(row["conv_macs"] + row["attention_macs"]) / 1e9:.3f}']
        cells.append(row['optimizer'])
        for target in args.targets:
            rounds = row.get(target, {}).get('rounds_ms')
            cells += (
                [f'{row[target]["latency_ms"]:.2f}', f'{min(rounds):.2f}..{max(rounds):.2f}'] if rounds else ['–', '–']
            )
        scores = ', '.join(f'{score:.2f}' for score in row['scores'])
        table.add_row(row['network'], row['kind'], *cells, f'{row["score"]:.2f}', scores)
    return table


def main() -> None:
    """Trains, tests, measures, prints, draws."""
    args = parse_args()
    box = Box(tuple(args.box_ms), tuple(args.box_score))
    warnings.filterwarnings('ignore')
    register_all_modules()
    recipe = Config.fromfile(args.recipe)
    use_scope(recipe)
    if args.data_root:
        set_data_root(recipe, args.data_root)
    conditions(args.device, args.threads)  # sets the threads of the trainings too
    rows, networks, problems = train(args, recipe)
    here = conditions(args.device, args.threads, targets=read_targets(args.targets))
    problems += time_by_target(rows, networks, args)
    fronts = {target: compare(rows, target, box) for target in args.targets}
    setting = dict(recipe=args.recipe, iters=args.iters, targets=args.targets, box=asdict(box))
    report(
        tabulate(rows, args), args.out / 'peers.json', here | setting, networks=rows, fronts=fronts, problems=problems
    )
    for target, front in fronts.items():
        ratio = 'no peer reaches it' if front['ratio'] is None else f'ratio {front["ratio"]:.3f}'
        above = [name for name, is_so in front['above_ours'].items() if is_so]
        print(f'{target}: share of the box {front["ours"]:.3f} ours, {front["peers"]:.3f} peers, {ratio}')
        nothing = 'none' if front['above_ours'] else 'not known, as none was timed'
        print(f'{target}: peers above our front at their latency: {", ".join(above) or nothing}')
    draw(rows, args.targets, args.metric, here['threads'], args.out / 'peers.png')
    print(f'{args.out / "peers.png"}, {args.out / "peers.json"}')


if __name__ == '__main__':
    main()
