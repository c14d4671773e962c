"""The commands of ``tools/evidence.py``; each takes its parsed arguments."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hyctas_mm.errors import BadValue
from hyctas_mm.search.objectives import Objective, label_of
from hyctas_mm.studies.printing import (
    band_at,
    costs_of,
    interval,
    number,
    or_dash,
    read_table,
    show,
    spread,
    take,
    values_of,
)

if TYPE_CHECKING:
    from hyctas_mm.studies.hypervolume import Runs


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
                *costs_of(arch['costs']),
                *(f'{value:.2f}' for value in (*scores, arch['accuracy'])),
            ]
        )
    supernets = [s['supernet'] for s in result['supernets']]
    costs = [label_of(name) for name in result['archs'][0]['costs']]
    show(
        f'{result["score"]} of random architectures', ['network', 'branches', *costs, *supernets, 'from scratch'], rows
    )
    rows = []
    for entry in result['supernets']:
        rows.append([entry['supernet'], *(interval(entry['correlation'][name]) for name in MEASURES)])
        if 'better_than_first' in entry:
            rows.append(['  less the first', *(interval(entry['better_than_first'][name]) for name in MEASURES)])
    if result['between_seeds']:
        rows.append(['two trainings from scratch', *(or_dash(result['between_seeds'][name]) for name in MEASURES)])
    show('correlation with training from scratch [95 % bootstrap interval]', ['supernet', *MEASURES], rows)


def run_random_baseline(args: argparse.Namespace) -> None:
    from hyctas_mm.studies.finished_search import FinishedSearch
    from hyctas_mm.studies.random_baseline import measure_random_baseline

    search = FinishedSearch(args.work_dir)
    result = measure_random_baseline(search, args.per_track, args.iters, args.seeds, args.sample_seed)
    rows, names = [], list(result['tracks'][0]['searched']['costs'])
    for track in result['tracks']:
        for group in ('random', 'searched'):
            found = track[group]
            costs = [spread(found['costs'][name]) for name in names]
            rows.append([f'{group}-{track["branches"]}', str(len(found['networks'])), *costs, spread(found['score'])])
    show(
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
                [row['name'], *costs_of(row['costs']), spread(row['score']), f'{row["difference"]:+.2f}', row['note']]
            )
        else:
            rows.append([row['name'], *['–'] * len(names), '–', '–', row['note']])
    show(
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
    spaces, folder = take(cfg, 'spaces'), Path(cfg.pop('work_dir'))
    latencies = {number(ms): int(base) for ms, base in values_of(args.latencies).items()}
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
            spread(row) if row['networks'] else '–',
            f'{row["best"]:.2f}' if row['networks'] else '–',
            f'{row["gain"]:+.2f} [{row["interval"][0]:+.2f}, {row["interval"][1]:+.2f}]' if 'gain' in row else '–',
        ]
        for row in result['rows']
    ]
    label = label_of(args.metric)
    columns = ['latency (ms)', 'space', 'networks', f'mean {label}', 'best', 'more than the space above [95 %]']
    show(f'random networks, {label}', columns, rows)


def run_landmarks(args: argparse.Namespace) -> None:
    from mmengine.device import get_device
    from torch import device

    from hyctas_mm.archs import SearchSpace
    from hyctas_mm.engine.configs import load_config
    from hyctas_mm.files import read_json, write_json
    from hyctas_mm.studies.baselines import BASELINES, measure_baselines
    from hyctas_mm.studies.ceiling import SCOPES, ceiling, judged_by_training, truth
    from hyctas_mm.studies.judges import JUDGES
    from hyctas_mm.studies.landmarks import Landmarks

    cfg = load_config(args)
    space, folder = SearchSpace.from_dict(take(cfg, 'search_space')), Path(cfg.pop('work_dir'))
    ends = args.latency_range
    if len(ends) % 2:
        raise BadValue(f'--latency-range: {len(ends)} numbers; expected pairs, LOW HIGH')
    ranges = [*zip(ends[::2], ends[1::2], strict=True)]
    landmarks = Landmarks(
        *(cfg, space, tuple(args.input_hw), ranges, args.per_track, args.seeds, folder),
        device(get_device()),
    )
    path, table = folder / 'landmarks.json', landmarks.train(args.metric, *args.shard)
    table[JUDGES] = read_json(path).get(JUDGES, {})  # what others said of them
    known = {name: table[JUDGES].get(name, {}).get('scores', {}) for name in BASELINES}
    for name, said in measure_baselines(cfg, table['networks'], space.base_channels, known).items():
        table[JUDGES][name] = dict(before=0, each=0, scores=said)
    write_json(path, table)
    count, seeds = truth(table).shape
    print(f'{count} networks of {seeds} seeds: {path}')
    if count < 4 or seeds < 2:
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
    show(f"Kendall's tau with {label_of(args.metric)} of trainings of other seeds", headings, rows)


def run_judges(args: argparse.Namespace) -> None:
    from mmengine.config import Config

    from hyctas_mm.engine.configs import load_config
    from hyctas_mm.files import write_json
    from hyctas_mm.studies.open_search import OpenSearch
    from hyctas_mm.studies.recording import record
    from hyctas_mm.studies.replay import replay

    path = Path(args.table)
    table = read_table(path)
    if args.record:
        options = dict(config=args.record, data_root=args.data_root, cfg_options=None, work_dir=args.work_dir)
        cfg = load_config(argparse.Namespace(**options))
        search = OpenSearch(cfg, Path(cfg.work_dir) / 'judges')
        changes = Config(dict(args.evaluator)).to_dict()
        name = args.name or changes.get('type', search.loop.evaluator_cfg['type'])
        table = record(path, search, name, args.steps_before, args.steps_each, changes)
    result = replay(table, args.budgets, args.bins, args.window)
    write_json(path.with_name('judges.json'), result)
    budgets = list(map(str, args.budgets))
    rows = [
        [
            row['judge'],
            f'{row["before"]:g} + {row["each"]:.3g}',
            *(_with_error(row['gain'].get(b)) for b in budgets),
            *(_with_error(row['over'].get(b)) for b in budgets),
            'stays' if row['stays'] else '',
        ]
        for row in result['rows']
    ]
    gains = [f'gain, {b} steps' for b in budgets]
    headings = ['judge', 'steps once + each', *gains, *(f'over training fully, {b}' for b in budgets), '']
    told = f'{result["networks"]} landmarks of {result["seeds"]} seeds in {result["bins"]} latency bins'
    show(f'{label_of(result["metric"])} of the pick over a random network ± standard error, {told}', headings, rows)
    rows = [
        [row['judge'], *(_agreement(row[name][scope]) for name in ('tau', 'rho') for scope in row[name])]
        for row in result['rows']
        if 'tau' in row
    ]
    scopes = list(result['rows'][0]['tau'])
    headings = ['judge', *(f'{name} {scope}' for name in ('tau', 'rho') for scope in scopes)]
    show("Kendall's tau and Pearson's rho with the truth (share of the ceiling)", headings, rows)
    for budget, name in result['best'].items():
        print(f'best for {budget} steps: {name}')
    print(path.with_name('judges.json'))


def run_proof(args: argparse.Namespace) -> None:
    from mmengine.config import Config

    from hyctas_mm.costs import Target
    from hyctas_mm.engine.configs import use_scope
    from hyctas_mm.files import write_json
    from hyctas_mm.studies.finished_search import FinishedSearch
    from hyctas_mm.studies.proof import Proof

    table, folder = read_table(Path(args.table)), Path(args.work_dir)
    recipe = Config.fromfile(args.recipe)
    recipe.pop('search_space', None)
    searches = {str(path): FinishedSearch(path) for path in args.searches}
    chosen = {name: [found.arch(archid) for archid in found.result.chosen] for name, found in searches.items()}
    use_scope(recipe)
    target = Target.read(args.target, args.precision, 1) if args.target else None
    result = Proof(table, recipe, chosen, args.seeds, folder, target).run()
    out = folder / (f'proof_{target}.json'.replace(' ', '_') if target else 'proof.json')
    write_json(out, result)
    columns = ['search', 'network', 'branches', 'latency (ms)', label_of(result['metric']), 'more than landmarks']
    rows = [
        [
            *(row['search'], row['archid'], str(row['branches'])),
            *(f'{row["latency_ms"]:.1f}', f'{row["score"]:.2f}', f'{row["gain"]:+.2f}'),
        ]
        for row in result['networks']
    ]
    show(f'{result["landmarks"]} landmarks, {result["steps"]} steps', columns, rows)
    low, high = result['interval']
    print(
        f'{result["gain"]:+.2f} ± {result["se"]:.2f} [{low:+.2f}, {high:+.2f}], {result["above"]} of {result["count"]} '
        f'above (p {result["p"]:.3g}): {out}'
    )
    shares = ', '.join(f'{name} {share:.3f}' for name, share in result['volumes'].items())
    print(f'share of the box of all networks that is dominated: {shares}')


def run_optimisers(args: argparse.Namespace) -> None:
    from hyctas_mm.studies.optimisers import compare_optimisers

    path = Path(args.table)
    runs, objectives = compare_optimisers(
        read_table(path), args.seeds, args.budget, args.population, args.mutation_probs
    )
    _show_volumes(runs, objectives, Path(args.out) if args.out else path.with_name('optimisers.png'))


def run_hypervolume(args: argparse.Namespace) -> None:
    from hyctas_mm.engine.configs import load_config
    from hyctas_mm.studies import hypervolume
    from hyctas_mm.studies.open_search import OpenSearch

    ideal, reference = values_of(args.ideal), values_of(args.reference)
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
    out = Path(args.out) if args.out else folder / 'hypervolume.png'
    _show_volumes(runs, objectives, out, ideal, reference)


def _show_volumes(
    runs: Runs,
    objectives: Sequence[Objective],
    out: Path,
    ideal: Mapping[str, float] = {},
    reference: Mapping[str, float] = {},
) -> None:
    from hyctas_mm.files import write_json
    from hyctas_mm.studies import hypervolume
    from hyctas_mm.studies.hypervolume_figure import draw_hypervolume

    result = hypervolume.summarise(runs, objectives, hypervolume.frame_of(runs, objectives, ideal, reference))
    draw_hypervolume(result, out)
    write_json(out.with_suffix('.json'), result)
    marks = [0.25, 0.5, 1.0]
    rows = []
    for name, method in result['methods'].items():
        length = len(method['mean'])
        places = [max(0, round(mark * length) - 1) for mark in marks]
        rows.append([name, str(len(method['curves'])), str(length), *(band_at(method, place) for place in places)])
    headings = ['method', 'runs', 'evaluations', *(f'after {mark:.0%}' for mark in marks)]
    show(f'hypervolume, mean (worst to best run), between {json.dumps(result["frame"])}', headings, rows)
    print(f'{out}, {out.with_suffix(".json")}')


def _with_error(found: Mapping[str, float] | None) -> str:
    return '–' if found is None else f'{found["value"]:+.2f} ± {found["se"]:.2f}'


def _agreement(found: Mapping[str, float | None]) -> str:
    share = found['share']
    return or_dash(found['value']) + ('' if share is None else f' ({share:.0%})')
