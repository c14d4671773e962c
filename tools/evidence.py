"""Experiments that show whether a search can be trusted (paper section 4.5). Each goes on where it was interrupted.

Examples:
    python tools/evidence.py rank_correlation SEARCH_CONFIG --supernet plain.pth sandwich.pth --archs 10 --seeds 0 1
    python tools/evidence.py random_baseline WORK_DIR --per-track 5
    python tools/evidence.py perturb WORK_DIR --arch ARCHID
    python tools/evidence.py hypervolume SEARCH_CONFIG --supernet plain.pth --seeds 0 1 2 --budget 96
    python tools/evidence.py spaces CONFIG --input-hw 227 320 --latencies 8=4 16=6 40=10
    python tools/evidence.py landmarks CONFIG --input-hw 227 320 --latency-range 4 40 --seeds 0 1 2
    python tools/evidence.py hypervolume nsga2=WORK_DIR_1 nsga2=WORK_DIR_2 --out compared.png
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hyctas_mm import register_all_modules
from hyctas_mm.cli import add_config_arguments, tells_mistakes
from hyctas_mm.errors import BadValue
from hyctas_mm.search.objectives import format_value, label_of


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)

    command = commands.add_parser('rank_correlation', help='supernet score against training from scratch (Table 1)')
    add_config_arguments(command)
    command.add_argument(
        '--supernet',
        nargs='+',
        required=True,
        metavar='PTH',
        help='checkpoints to compare; differences are to the first',
    )
    command.add_argument('--archs', type=int, default=10, help='random architectures to train (default 10)')
    _add_training_arguments(command, 'architectures')
    command.set_defaults(run=run_rank_correlation)

    command = commands.add_parser('random_baseline', help='chosen networks against random ones of like cost (Table 7)')
    command.add_argument('work_dir', help='work dir of a finished search')
    command.add_argument(
        '--per-track', type=int, default=5, help='random networks for each number of branches (default 5)'
    )
    _add_training_arguments(command, 'random networks')
    command.set_defaults(run=run_random_baseline)

    command = commands.add_parser('perturb', help='a searched network against distorted ones (Table 8)')
    command.add_argument('work_dir', help='work dir of a finished search')
    command.add_argument('--arch', required=True, help='archid in the archive, published name or JSON file')
    _add_training_arguments(command, 'shifts of attention')
    command.set_defaults(run=run_perturb)

    command = commands.add_parser('spaces', help='random networks of several search spaces at equal latencies')
    add_config_arguments(command)
    command.add_argument('--input-hw', type=int, nargs=2, required=True, help='size that latency is measured at')
    command.add_argument(
        '--latencies',
        nargs='+',
        required=True,
        metavar='MS=BASE',
        help='milliseconds, and base channels of which most networks take about as long',
    )
    command.add_argument('--per-latency', type=int, default=8, help='networks of a space at a latency (default 8)')
    _add_queue_arguments(command)
    command.set_defaults(run=run_spaces)

    command = commands.add_parser('landmarks', help='networks of a space trained alike, to try ways of judging against')
    add_config_arguments(command)
    command.add_argument('--input-hw', type=int, nargs=2, required=True, help='size that latency is measured at')
    command.add_argument('--latency-range', type=float, nargs=2, required=True, help='milliseconds')
    command.add_argument('--per-track', type=int, default=16, help='networks of each number of branches (default 16)')
    _add_queue_arguments(command)
    command.set_defaults(run=run_landmarks)

    command = commands.add_parser(
        'hypervolume', help='NSGA-II against random search and regularised evolution, or finished searches'
    )
    command.add_argument(
        'sources', nargs='+', help='a search config; or finished searches (archive or folder), NAME=PATH to group them'
    )
    command.add_argument('--work-dir', help='where the results of a config go; default work_dirs/<config name>')
    command.add_argument('--data-root', help="folder of the data, in place of the config's data_root")
    command.add_argument('--supernet', metavar='PTH', help="checkpoint, in place of the config's")
    command.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    command.add_argument('--budget', type=int, default=96, help='evaluations of each run (default 96)')
    command.add_argument('--population', type=int, default=8, help='population of each number of branches (default 8)')
    command.add_argument(
        '--ideal',
        nargs='+',
        default=[],
        metavar='NAME=VALUE',
        help='best corner of the volume; default the best value of all runs',
    )
    command.add_argument(
        '--reference',
        nargs='+',
        default=[],
        metavar='NAME=VALUE',
        help='worst corner; default the worst value of all runs',
    )
    command.add_argument('--out', help='PNG to write, JSON beside it; default hypervolume.png in the work dir')
    command.set_defaults(run=run_hypervolume)
    return parser.parse_args(argv)


def _add_training_arguments(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument('--iters', type=int, help="steps of each training, its schedule scaled; default the config's")
    command.add_argument(
        '--seeds', type=int, nargs='+', default=[0], help='train every network once with each (default 0)'
    )
    command.add_argument('--sample-seed', type=int, default=0, help=f'seed of the {what} (default 0)')


def _add_queue_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument('--metric', default='mIoU')
    command.add_argument(
        '--shard', type=int, nargs=2, default=[0, 1], metavar=('I', 'N'), help='train every N-th network only'
    )
    command.add_argument('--seeds', type=int, nargs='+', default=[0], help='of the trainings (default 0)')


@tells_mistakes
def main(argv: Sequence[str] | None = None) -> None:
    """Runs a command."""
    args = parse_args(argv)
    warnings.filterwarnings('ignore')
    register_all_modules()
    args.run(args)


# Commands -------------------------------------------------------------------------------------------------------------


def run_rank_correlation(args: argparse.Namespace) -> None:
    from hyctas_mm.engine.configs import load_config
    from hyctas_mm.studies.correlation import MEASURES
    from hyctas_mm.studies.open_search import OpenSearch
    from hyctas_mm.studies.rank_correlation import measure_rank_correlation

    cfg = load_config(args)
    folder = Path(cfg.work_dir) / 'rank_correlation'
    search = OpenSearch(cfg, folder / 'logs')
    result = measure_rank_correlation(
        search, args.supernet, folder, args.archs, args.iters, args.seeds, args.sample_seed
    )
    rows = []
    for arch in result['archs']:
        scores = [s['scores'][arch['archid']] for s in result['supernets']]
        rows.append(
            [
                arch['archid'],
                str(arch['branches']),
                *_costs(arch['costs']),
                *(f'{value:.2f}' for value in (*scores, arch['accuracy'])),
            ]
        )
    supernets = [s['supernet'] for s in result['supernets']]
    costs = [label_of(name) for name in result['archs'][0]['costs']]
    _print(
        f'{result["score"]} of random architectures', ['network', 'branches', *costs, *supernets, 'from scratch'], rows
    )
    rows = []
    for entry in result['supernets']:
        rows.append([entry['supernet'], *(_interval(entry['correlation'][name]) for name in MEASURES)])
        if 'better_than_first' in entry:
            rows.append(['  less the first', *(_interval(entry['better_than_first'][name]) for name in MEASURES)])
    if result['between_seeds']:
        rows.append(['two trainings from scratch', *(_or_dash(result['between_seeds'][name]) for name in MEASURES)])
    _print('correlation with training from scratch [95 % bootstrap interval]', ['supernet', *MEASURES], rows)


def run_random_baseline(args: argparse.Namespace) -> None:
    from hyctas_mm.studies.finished_search import FinishedSearch
    from hyctas_mm.studies.random_baseline import measure_random_baseline

    search = FinishedSearch(args.work_dir)
    result = measure_random_baseline(search, args.per_track, args.iters, args.seeds, args.sample_seed)
    rows, names = [], list(result['tracks'][0]['searched']['costs'])
    for track in result['tracks']:
        for group in ('random', 'searched'):
            found = track[group]
            costs = [_spread(found['costs'][name]) for name in names]
            rows.append([f'{group}-{track["branches"]}', str(len(found['networks'])), *costs, _spread(found['score'])])
    _print(
        f'networks of like {label_of(result["matched_cost"])}',
        ['group', 'networks', *map(label_of, names), label_of(result['score'])],
        rows,
    )


def run_perturb(args: argparse.Namespace) -> None:
    from hyctas_mm.studies.finished_search import FinishedSearch
    from hyctas_mm.studies.perturb import measure_perturbations

    search = FinishedSearch(args.work_dir)
    result = measure_perturbations(search, search.arch(args.arch), args.iters, args.seeds, args.sample_seed)
    names = list(result['variants'][0]['costs'])
    rows = []
    for row in result['variants']:
        if 'score' in row:
            rows.append(
                [row['name'], *_costs(row['costs']), _spread(row['score']), f'{row["difference"]:+.2f}', row['note']]
            )
        else:
            rows.append([row['name'], *['–'] * len(names), '–', '–', row['note']])
    _print(
        f'variants of {result["archid"]}',
        ['variant', *map(label_of, names), label_of(result['score']), 'difference', 'note'],
        rows,
    )


def run_spaces(args: argparse.Namespace) -> None:
    from mmengine.device import get_device
    from torch import device

    from hyctas_mm.engine.configs import load_config
    from hyctas_mm.files import write_json
    from hyctas_mm.studies.spaces import Contest

    cfg = load_config(args)
    spaces, folder = _take(cfg, 'spaces'), Path(cfg.pop('work_dir'))
    latencies = {_number(ms): int(base) for ms, base in _values(args.latencies).items()}
    contest = Contest(
        *(cfg, spaces, tuple(args.input_hw), latencies, args.per_latency, args.seeds, args.metric, folder),
        device(get_device()),
    )
    result = contest.train(*args.shard)
    write_json(folder / 'spaces.json', result)
    rows = [
        [
            'all' if row['target_ms'] is None else f'{row["target_ms"]:g}',
            row['space'],
            str(row['networks']),
            _spread(row) if row['networks'] else '–',
            f'{row["best"]:.2f}' if row['networks'] else '–',
            f'{row["gain"]:+.2f} [{row["interval"][0]:+.2f}, {row["interval"][1]:+.2f}]' if 'gain' in row else '–',
        ]
        for row in result['rows']
    ]
    label = label_of(args.metric)
    columns = ['latency (ms)', 'space', 'networks', f'mean {label}', 'best', 'more than the space above [95 %]']
    _print(f'random networks, {label}', columns, rows)


def run_landmarks(args: argparse.Namespace) -> None:
    from mmengine.device import get_device
    from torch import device

    from hyctas_mm.archs import SearchSpace
    from hyctas_mm.engine.configs import load_config
    from hyctas_mm.files import write_json
    from hyctas_mm.studies.ceiling import SCOPES, ceiling, judged_by_training, truth
    from hyctas_mm.studies.landmarks import Landmarks

    cfg = load_config(args)
    space, folder = SearchSpace.from_dict(_take(cfg, 'search_space')), Path(cfg.pop('work_dir'))
    landmarks = Landmarks(
        *(cfg, space, tuple(args.input_hw), tuple(args.latency_range), args.per_track, args.seeds, folder),
        device(get_device()),
    )
    table = landmarks.train(args.metric, *args.shard)
    write_json(folder / 'landmarks.json', table)
    number, seeds = truth(table).shape
    print(f'{number} networks of {seeds} seeds: {folder / "landmarks.json"}')
    if number < 4 or seeds < 2:
        return
    curve = next(iter(table['networks'][0]['curves'].values()))
    rows = []
    for scope in SCOPES:
        found = ceiling(table, scope)
        taus = [
            f'{judged_by_training(table, int(steps), images, scope):.2f}'
            for steps, scores in curve['scores'].items()
            for images in scores
        ]
        numbers = (found.spread, found.noise, found.perfect, found.one_training)
        rows.append([scope, *(f'{value:.2f}' for value in numbers), *taus])
    columns = [f'{steps} steps, {images}' for steps, scores in curve['scores'].items() for images in scores]
    headings = ['', 'spread', 'noise', 'perfect judge', 'a training', *columns]
    _print(f"Kendall's tau with {label_of(args.metric)} of trainings of other seeds", headings, rows)


def run_hypervolume(args: argparse.Namespace) -> None:
    from hyctas_mm.engine.configs import load_config
    from hyctas_mm.files import write_json
    from hyctas_mm.studies import hypervolume
    from hyctas_mm.studies.hypervolume_figure import draw_hypervolume
    from hyctas_mm.studies.open_search import OpenSearch

    ideal, reference = _values(args.ideal), _values(args.reference)
    if args.sources[0].endswith('.py'):
        if len(args.sources) > 1:
            raise BadValue(
                f'{len(args.sources)} sources; expected one search config (.py), or finished searches (folders or '
                'archives)'
            )
        cfg = load_config(
            argparse.Namespace(
                config=args.sources[0], data_root=args.data_root, cfg_options=None, work_dir=args.work_dir
            )
        )
        folder = Path(cfg.work_dir) / 'hypervolume'
        search = OpenSearch(cfg, folder / 'logs')
        runs, objectives = hypervolume.compare_on_supernet(
            search, args.supernet, folder, args.seeds, args.budget, args.population
        )
    else:
        folder = Path(args.work_dir or '.')
        runs, objectives = hypervolume.read_runs(args.sources)
    result = hypervolume.summarise(runs, objectives, hypervolume.frame_of(runs, objectives, ideal, reference))
    out = Path(args.out) if args.out else folder / 'hypervolume.png'
    draw_hypervolume(result, out)
    write_json(out.with_suffix('.json'), result)
    marks = [0.25, 0.5, 1.0]
    rows = []
    for name, method in result['methods'].items():
        length = len(method['mean'])
        places = [max(0, round(mark * length) - 1) for mark in marks]
        rows.append([name, str(len(method['curves'])), str(length), *(_band(method, place) for place in places)])
    headings = ['method', 'runs', 'evaluations', *(f'after {mark:.0%}' for mark in marks)]
    _print(f'hypervolume, mean (worst to best run), between {json.dumps(result["frame"])}', headings, rows)
    print(f'{out}, {out.with_suffix(".json")}')


# Tables ---------------------------------------------------------------------------------------------------------------


def _print(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*headings, title=title, title_justify='left')
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _take(cfg: Any, name: str) -> dict[str, Any]:
    """Takes a key out of a config that only this command reads."""
    if name not in cfg:
        raise BadValue(f'{cfg.filename}: no {name}=dict(...); see the configs of configs/evidence that have it')
    return dict(cfg.pop(name).to_dict())


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadValue(f'{text!r}: expected milliseconds, e.g. 8=4') from None


def _values(items: Sequence[str]) -> dict[str, float]:
    found = {}
    for item in items:
        name, _, value = item.partition('=')
        try:
            found[name] = float(value)
        except ValueError:
            raise BadValue(f'{item!r}: expected NAME=VALUE, e.g. mIoU=0') from None
    return found


def _costs(costs: Mapping[str, float]) -> list[str]:
    return [format_value(value) for value in costs.values()]


def _interval(found: Mapping[str, Any]) -> str:
    return f'{_or_dash(found["value"])} [{_or_dash(found["low"])}, {_or_dash(found["high"])}]'


def _or_dash(value: float | None) -> str:
    return '–' if value is None else f'{value:.2f}'


def _spread(found: Mapping[str, Any]) -> str:
    return format_value(found['mean']) + ('' if found['std'] is None else f' ± {format_value(found["std"])}')


def _band(method: Mapping[str, Any], place: int) -> str:
    return f'{method["mean"][place]:.3f} ({method["low"][place]:.3f} to {method["high"][place]:.3f})'


if __name__ == '__main__':
    sys.exit(main())
