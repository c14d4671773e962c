"""Draws a results page's two pictures from a search's folder: the front, and chosen beside random networks after
retraining.

usage: python docs/results/plot_retrained.py WORK_DIR/search docs/results/NAME
writes NAME_front.png and NAME_retrained.png, and prints the table of the retrained networks.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt

from hyctas_mm.archs import load_arch
from hyctas_mm.engine.retraining import metric
from hyctas_mm.files import read_json
from hyctas_mm.search import METRICS
from hyctas_mm.search.archive import read_archive


def score_name(folder: Path) -> str:
    """The score that the search maximised."""
    return next(o['name'] for o in read_json(folder / 'front.json')['objectives'] if o['name'] in METRICS)


def plot_front(folder: Path, out: str) -> None:
    """Every candidate, and the front of each number of branches."""
    candidates = {c.archid: c for c in read_archive(folder / 'archive.jsonl')}
    front, score = read_json(folder / 'front.json'), score_name(folder)
    _, axes = plt.subplots(figsize=(7, 4.2))
    for colour, (track, ids) in zip(
        ('tab:blue', 'tab:orange', 'tab:green'), front['fronts_by_track'].items(), strict=True
    ):
        points = [c for c in candidates.values() if str(c.track) == track]
        shade = [0.15 + 0.7 * c.generation / max(p.generation for p in points) for c in points]
        axes.scatter(
            [c.costs['latency_ms'] for c in points], [c.metrics[score] for c in points], s=10, color=colour, alpha=shade
        )
        ends = [candidates[i] for i in ids]
        label = f'{track} branch{"es" if track != "1" else ""}'
        axes.plot(
            [c.costs['latency_ms'] for c in ends], [c.metrics[score] for c in ends], '-', color=colour, label=label
        )
    axes.set(xlabel='latency, table (ms)', ylabel=f'{score} in the supernet, held-out images (%)')
    axes.legend()
    plt.tight_layout()
    plt.savefig(f'{out}_front.png', dpi=130)


def plot_retrained(folder: Path, out: str) -> None:
    """Score after retraining against latency; a line joins each random network to the chosen one it matches."""
    score = score_name(folder)
    candidates = {c.archid: c for c in read_archive(folder / 'archive.jsonl')}
    results = {p.parent.name: read_json(p) for p in (folder / 'subnets').glob('*/results.json')}
    done = {name: result for name, result in results.items() if 'retrained' in result}
    costs = {name: result.get('costs') or candidates[name].costs for name, result in done.items()}
    place = {name: (costs[name]['latency_ms'], metric(result['retrained'], score)) for name, result in done.items()}
    seeds = {name: [metric(run, score) for run in results[name]['by_seed'].values()] for name in place}
    _, axes = plt.subplots(figsize=(7, 4.2))
    for name, result in results.items():
        if name in place and result.get('twin_of') in place:
            axes.plot(*zip(place[name], place[result['twin_of']], strict=True), color='grey', linewidth=0.8, zorder=0)
    for name, scores in seeds.items():
        axes.plot([place[name][0]] * len(scores), scores, color='lightgrey', zorder=0)
    for role, colour in (('chosen', 'tab:blue'), ('random', 'tab:red')):
        points = [place[n] for n in place if results[n].get('role', 'chosen') == role]
        axes.scatter(*zip(*points, strict=True), color=colour, label=role)
    axes.set(xlabel='latency, table (ms)', ylabel=f'{score} retrained, validation (%)')
    axes.legend()
    plt.tight_layout()
    plt.savefig(f'{out}_retrained.png', dpi=130)
    columns = [f'{score} search', f'{score} inherited, val', f'{score} retrained, val', 'of each seed']
    print('| ' + ' | '.join(['network', 'role', 'strides', 'params M', 'GMACs', 'latency ms', *columns]) + ' |')
    print('|---' * 10 + '|')
    for name in sorted(place, key=lambda n: place[n][0]):
        result, arch = results[name], load_arch(folder / 'subnets' / name / 'arch.json')
        role = f'random, like {result["twin_of"][:6]}' if result.get('role') == 'random' else 'chosen'
        scores = [f'{candidates[name].metrics[score]:.2f}' if name in candidates else '-']
        scores += [f'{metric(result[k], score):.2f}' if k in result else '-' for k in ('inherited', 'retrained')]
        scores.append(', '.join(f'{value:.2f}' for value in seeds[name]))
        numbers = [f'{costs[name][k]:.3g}' for k in ('params_m', 'macs_g', 'latency_ms')]
        print('| ' + ' | '.join([name, role, '+'.join(map(str, arch.output_strides)), *numbers, *scores]) + ' |')


if __name__ == '__main__':
    plot_front(Path(sys.argv[1]), sys.argv[2])
    plot_retrained(Path(sys.argv[1]), sys.argv[2])
