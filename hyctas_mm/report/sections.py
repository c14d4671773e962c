"""The sections of the page, each a function from the search to HTML. Every text from a file is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from statistics import stdev
from urllib.parse import quote

from hyctas_mm.report.doubts import doubts
from hyctas_mm.report.draw_arch import draw_arch
from hyctas_mm.report.evolution import cost_svgs, front_svgs, hypervolume_svg, steps_of
from hyctas_mm.report.op_usage import op_usage_svg
from hyctas_mm.report.pareto import pareto_svg
from hyctas_mm.report.pieces import code, count, number, scroll, table, track_key
from hyctas_mm.report.result import SearchResult, cost_order
from hyctas_mm.report.subnets import Subnet
from hyctas_mm.search.archive import Candidate
from hyctas_mm.search.objectives import label_of

MAX_DRAWN = 40
"""Networks of the front that are drawn beside the chosen ones; the others are sketched where they are pointed at."""

_MIN_SCALE = 0.8  # drawings shrink to this before their box scrolls


def page_title(result: SearchResult) -> str:
    """Heading and window title."""
    return f'Architecture search on {result.facts.get("dataset") or "an unnamed dataset"}'


def headline(result: SearchResult) -> str:
    """Where, how long and for what was searched."""
    facts = result.facts
    rejected = sum(bool(c.violations) for c in result.candidates)
    num = int(facts.get('num_evaluated', len(result.candidates)))
    size = facts.get('input_hw')
    rows = [
        ('Dataset', facts.get('dataset')),
        ('Device', facts.get('device')),
        ('Input', f'{size[0]} × {size[1]}' if isinstance(size, list) and len(size) == 2 else None),
        ('Evaluated', f'{num:,}'),
        ('Of them infeasible', f'{int(facts.get("num_infeasible", rejected)):,}'),
        ('Of them given up on part of the images', f'{int(facts["num_given_up"]):,}' if facts.get('num_given_up') else None),
        ('Search time', format_seconds(float(facts['seconds'])) if 'seconds' in facts else None),
        ('On the front', len(result.front)),
        ('Base channels', facts.get('base_channels')),
        ('Seed', facts.get('seed')),
    ]
    objectives = ' and '.join(f'{o.label}, {"higher" if o.direction == "max" else "lower"} is better' for o in result.objectives)
    cards = ''.join(f'<div><dt>{escape(k)}</dt><dd>{escape(str(v))}</dd></div>' for k, v in rows if v is not None)
    best = _best_sentence(result) if result.front else 'No feasible network was found.'
    lead = f'<p class="lead">Objectives: {escape(objectives)}. {escape(best)}</p>'
    return f'<header><h1>{escape(page_title(result))}</h1>\n{lead}\n<dl class="facts">{cards}</dl></header>'


def front_section(result: SearchResult) -> str:
    """The figure, and the whole front as a table to open."""
    x, y = result.axes
    undrawn = sum(not c.violations for c in result.candidates) - len(result.scored)
    notes = [
        'Every scored network; from faint to strong as the search went on. Lines: the front of each number of branches. Rings: the chosen networks.'
    ]
    if len(result.objectives) > 2:
        rest = ', '.join(o.label for o in result.objectives if o not in (x, y))
        notes.append(f'Of {len(result.objectives)} objectives the figure shows the first two, not {rest}, so a network on the front may lie inside.')
    if undrawn:
        notes.append(f'{undrawn} feasible network(s) lack {x.name} or {y.name} and are not drawn.')
    drawn = {*result.chosen, *result.front[:MAX_DRAWN]}
    rows = [[_link(i, i in drawn), _track_text(result.by_id[i]), *_objective_cells(result.by_id[i], result)] for i in result.front]
    head = ['Network', 'Branches', *(escape(o.label) for o in result.objectives)]
    ids = [f'data-id="{escape(i)}"' for i in result.front]
    whole = table(head, rows, 'The front', ids)
    listed = f'<details><summary>All {len(rows)} networks on the front</summary>{whole}</details>' if rows else ''
    caption = f'<figcaption>{escape(" ".join(notes))}</figcaption>'
    return f'<h2>Pareto front</h2>\n<figure class="front">{track_key(result)}{pareto_svg(result)}{caption}</figure>\n{listed}'


def chosen_section(result: SearchResult, subnets: Sequence[Subnet]) -> str:
    """The exported networks with their facts and scores."""
    if not subnets:
        return '<h2>Chosen networks</h2>\n<p>No network was chosen.</p>'
    score = result.axes[1]
    costs = sorted({name for s in subnets for name in s.costs}, key=cost_order)
    inherited, retrained = (any(score.name in getattr(s, k) for s in subnets) for k in ('inherited', 'retrained'))
    head = ['Network', 'Output strides', 'Branches', 'Cells', *(escape(label_of(c)) for c in costs), escape(f'{score.label} in the search')]
    head += [escape(f'{score.label} inherited weights')] * inherited
    head += [escape(f'{score.label} retrained'), 'Iterations of retraining'] * retrained
    rows = []
    for subnet in subnets:
        arch = subnet.arch
        name = f'{code(arch.archid)} (random)' if subnet.role == 'random' else _link(arch.archid, True)
        row = [name, ' + '.join(map(str, arch.output_strides)), str(len(arch.branches)), str(len(arch.cells))]
        row += [number(subnet.costs.get(c)) for c in costs]
        row.append(number(subnet.record.value(score.name) if subnet.record else None))
        row += [number(subnet.inherited.get(score.name))] * inherited
        row += [_retrained(subnet, score.name), count(subnet.retrained.get('iters'))] * retrained
        rows.append(row)
    notes = ["Scores in the search are those with the supernet's weights."]
    start = "on from the supernet's weights" if any(s.results.get('inherit') for s in subnets) else 'from scratch'
    notes.append(f'Retrained: trained alone {start}.' if retrained else 'No retraining was run.')
    if most := max(len(s.by_seed) for s in subnets):
        notes.append(f'With ±: mean and standard deviation of {most} trainings.' if most > 1 else '')
    if any(s.role == 'random' for s in subnets):
        notes.append('Random: drawn from the space without search, for comparison.')
    attributes = ['class="random"' if s.role == 'random' else f'data-id="{escape(s.arch.archid)}"' for s in subnets]
    text = escape(' '.join(filter(None, notes)))
    warning = doubts({s.arch.archid: s.results for s in subnets if s.role != 'random'}, score.name)
    told = f'<p class="warning">{escape(warning)}</p>\n' if warning else ''
    return f'<h2>Chosen networks</h2>\n{told}{table(head, rows, "Chosen networks", attributes)}\n<p class="soft">{text}</p>'


def drawings_section(result: SearchResult, subnets: Sequence[Subnet], link_base: str) -> str:
    """Each network of the front drawn, the chosen ones with their files and description."""
    if not (result.chosen or result.front):
        return ''
    chosen = [s for s in subnets if s.role != 'random' and s.record is not None]
    parts = ['<h2>Their architectures</h2>']
    parts.append('<p class="soft">A cell stands in the lane of the map it writes; cells that branches share are drawn once.</p>')
    for subnet in chosen:
        files = f'<p>Files: {_links(subnet, link_base)}</p>' if subnet.files else '<p class="soft">Its files were not written.</p>'
        described = f'<details><summary>As text</summary><pre tabindex="0">{escape(subnet.arch.describe())}</pre></details>'
        parts.append(_card(result.by_id[subnet.arch.archid], result, f'<div class="below">{files}{described}</div>'))
    others = [i for i in result.front[:MAX_DRAWN] if i not in result.chosen]
    if others:
        kind = 'The others on the front' if len(result.front) <= MAX_DRAWN else f'{len(others)} of the others on the front'
        cards = '\n'.join(_card(result.by_id[i], result) for i in others)
        parts.append(f'<details class="others"><summary>{kind}, drawn</summary>\n{cards}</details>')
    return '\n'.join(parts)


def evolution_section(result: SearchResult) -> str:
    """The fronts of some generations, and the scores against the other costs."""
    if not result.scored:
        return ''
    x, y = result.axes
    steps = ', '.join(map(str, steps_of(result)))
    caption = f'The front of each number of branches after generations {steps}, from faint to strong; generation 0 is random. Scales differ.'
    parts = ['<h2>Evolution by generation</h2>', _panels(front_svgs(result), '', caption)]
    if figures := cost_svgs(result):
        caption = (
            f'The same networks by what else they cost; lines are what is best by that cost. The search was after {y.label} and {x.label}, '
            'and would have gone elsewhere for another cost.'
        )
        parts.append(_panels(figures, track_key(result), caption))
    return '\n'.join(parts)


def progress_section(result: SearchResult) -> str:
    """Hypervolume over the evaluations."""
    caption = (
        f'Hypervolume of {", ".join(o.label for o in result.objectives)} against the number of scored networks: the share of the box between the '
        'best and the worst values seen that the networks found so far dominate; 1 would be one network with the best of all. Each number of '
        'branches has a line from where its search began. A line that has become flat says that longer search would find little more.'
    )
    key = track_key(result, generations=False, together=True)
    return f'<h2>Progress of the search</h2>\n<figure>{key}{hypervolume_svg(result)}<figcaption>{escape(caption)}</figcaption></figure>'


def ops_section(result: SearchResult) -> str:
    """Which ops the networks of the front are made of."""
    if not result.front:
        return ''
    figure = op_usage_svg([result.by_id[i].arch for i in result.front])
    caption = f'Cells of the {len(result.front)} networks on the front by output stride and layer; the number on a bar is that of its cells.'
    return f'<h2>Which ops, where</h2>\n<figure>{scroll(figure, "Ops by stride and layer")}<figcaption>{escape(caption)}</figcaption></figure>'


def format_seconds(seconds: float) -> str:
    """E.g. ``'2 h 5 min'``, ``'20 min 34 s'``, ``'12 s'``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f'{hours} h {minutes} min'
    return f'{minutes} min {rest} s' if minutes else f'{rest} s'


# Pieces -----------------------------------------------------------------------------------------------------------------------


def _card(candidate: Candidate, result: SearchResult, below: str = '') -> str:
    """One network: its id, values and drawing."""
    drawing = draw_arch(candidate.arch, result.base_channels)
    width = int(drawing.split('width="', 1)[1].split('"', 1)[0])
    fitted = drawing.replace('<svg ', f'<svg style="width:100%;max-width:{width}px;min-width:{round(width * _MIN_SCALE)}px" ', 1)
    facts = escape(', '.join(o.with_value(candidate.value(o.name)) for o in result.objectives))
    archid = escape(candidate.archid)
    box = scroll(fitted, f'Drawing of {candidate.archid}')
    return f'<section class="card" id="{archid}"><h3>{code(candidate.archid)} <span class="soft">{facts}</span></h3>{box}{below}</section>'


def _panels(figures: Sequence[str], key: str, caption: str) -> str:
    """Small figures side by side, or below one another on a narrow page."""
    return f'<figure>{key}<div class="panels">{"".join(figures)}</div><figcaption>{escape(caption)}</figcaption></figure>'


def _link(archid: str, drawn: bool) -> str:
    return f'<a href="#{escape(archid)}">{code(archid)}</a>' if drawn else code(archid)


def _retrained(subnet: Subnet, name: str) -> str:
    """The score after retraining, with the standard deviation over seeds."""
    scores = [seed[name] for seed in subnet.by_seed if name in seed]
    spread = f' ± {stdev(scores):.2f}' if len(scores) > 1 else ''
    return number(subnet.retrained.get(name)) + spread


def _best_sentence(result: SearchResult) -> str:
    x, y = result.axes
    front = [result.by_id[i] for i in result.front]
    front = [c for c in front if c.value(x.name) is not None and c.value(y.name) is not None]
    if not front:
        return ''
    best = min(front, key=lambda c: y.sign * (c.value(y.name) or 0.0))
    cheap = min(front, key=lambda c: x.sign * (c.value(x.name) or 0.0))
    return f'The front reaches from {_pair(cheap, result)} to {_pair(best, result)}.'


def _pair(candidate: Candidate, result: SearchResult) -> str:
    x, y = result.axes
    return ' at '.join(o.with_value(candidate.value(o.name)) for o in (y, x))


def _objective_cells(candidate: Candidate, result: SearchResult) -> list[str]:
    return [number(candidate.value(o.name)) for o in result.objectives]


def _track_text(candidate: Candidate) -> str:
    return str(len(candidate.arch.branches))


def _links(subnet: Subnet, link_base: str) -> str:
    base = f'{Path(link_base).as_posix()}/subnets/{subnet.arch.archid}'.removeprefix('./')
    return ' · '.join(f'<a href="{escape(quote(f"{base}/{name}"))}">{escape(name)}</a>' for name in subnet.files)
