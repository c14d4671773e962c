"""The sections of the page, each a function from the search to HTML. Every text from a file is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from hyctas_mm.report.draw_arch import draw_arch
from hyctas_mm.report.images import data_uri
from hyctas_mm.report.op_usage import op_usage_svg
from hyctas_mm.report.pareto import SHORT_ID, pareto_svg, progress_svg
from hyctas_mm.report.result import SearchResult, read_object
from hyctas_mm.report.subnets import Subnet
from hyctas_mm.search.archive import Candidate
from hyctas_mm.search.objectives import format_value, label_of

MAX_IMAGE_BYTES = 2_500_000
"""Rows of predictions beyond this are left out, so that the page stays small enough to mail."""

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
        ('Networks evaluated', f'{num:,}'),
        ('of them infeasible', f'{int(facts.get("num_infeasible", rejected)):,}'),
        *([('of them given up on part of the images', f'{int(facts["num_given_up"]):,}')] if facts.get('num_given_up') else []),
        ('Search time', format_seconds(float(facts['seconds'])) if 'seconds' in facts else None),
        ('Networks on the front', len(result.front)),
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
        'Every scored network; from faint to strong as the search went on. Lines: the front of each number of branches. '
        'Rings: the chosen networks.'
    ]
    if len(result.objectives) > 2:
        rest = ', '.join(o.label for o in result.objectives if o not in (x, y))
        notes.append(f'Of {len(result.objectives)} objectives the figure shows the first two, not {rest}, so a network on the front may lie inside.')
    if undrawn:
        notes.append(f'{undrawn} feasible network(s) lack {x.name} or {y.name} and are not drawn.')
    rows = [[_code(i), _track_text(result.by_id[i]), *_objective_cells(result.by_id[i], result)] for i in result.front]
    head = ['Network', 'Branches', *(escape(o.label) for o in result.objectives)]
    table = f'<details><summary>All {len(rows)} networks on the front</summary>{_table(head, rows)}</details>' if rows else ''
    return f'<h2>Pareto front</h2>\n<figure>{_scroll(pareto_svg(result))}<figcaption>{escape(" ".join(notes))}</figcaption></figure>\n{table}'


def chosen_section(result: SearchResult, subnets: Sequence[Subnet]) -> str:
    """The exported networks with their facts and scores."""
    if not subnets:
        return '<h2>Chosen networks</h2>\n<p>No network was chosen.</p>'
    score = result.axes[1]
    costs = sorted({name for s in subnets for name in s.costs}, key=_cost_order)
    inherited, retrained = (any(score.name in getattr(s, k) for s in subnets) for k in ('inherited', 'retrained'))
    head = ['Network', 'Output strides', 'Branches', 'Cells', *(escape(label_of(c)) for c in costs), escape(f'{score.label} in the search')]
    head += [escape(f'{score.label} inherited weights')] * inherited
    head += [escape(f'{score.label} retrained'), 'Iterations of retraining'] * retrained
    rows = []
    for subnet in subnets:
        arch = subnet.arch
        name = f'{_code(arch.archid)} (random)' if subnet.role == 'random' else f'<a href="#{escape(arch.archid)}">{_code(arch.archid)}</a>'
        row = [name, ' + '.join(map(str, arch.output_strides)), str(len(arch.branches)), str(len(arch.cells))]
        row += [_number(subnet.costs.get(c)) for c in costs]
        row.append(_number(subnet.record.value(score.name) if subnet.record else None))
        row += [_number(subnet.inherited.get(score.name))] * inherited
        row += [_number(subnet.retrained.get(score.name)), _count(subnet.retrained.get('iters'))] * retrained
        rows.append(row)
    notes = ["Scores in the search are those with the supernet's weights."]
    notes.append('Retrained: trained alone from scratch.' if retrained else 'No retraining was run.')
    if any(s.role == 'random' for s in subnets):
        notes.append('Random: drawn from the space without search, for comparison.')
    classes = ['random' if s.role == 'random' else '' for s in subnets]
    return f'<h2>Chosen networks</h2>\n{_table(head, rows, classes)}\n<p class="soft">{escape(" ".join(notes))}</p>'


def drawings_section(result: SearchResult, subnets: Sequence[Subnet], link_base: str) -> str:
    """Each chosen network drawn, with its files and its description."""
    if not result.chosen:
        return ''
    parts = ['<h2>Their architectures</h2>']
    parts.append('<p class="soft">A cell stands in the lane of the map it writes; cells that branches share are drawn once.</p>')
    for subnet in subnets:
        if subnet.role == 'random' or subnet.record is None:
            continue
        arch, record = subnet.arch, subnet.record
        drawing = draw_arch(arch, result.base_channels)
        width = int(drawing.split('width="', 1)[1].split('"', 1)[0])
        fitted = drawing.replace('<svg ', f'<svg style="width:100%;max-width:{width}px;min-width:{round(width * _MIN_SCALE)}px" ', 1)
        facts = ', '.join(o.with_value(record.value(o.name)) for o in result.objectives)
        parts.append(f'<h3 id="{escape(arch.archid)}">{_code(arch.archid)} <span class="soft">{escape(facts)}</span></h3>')
        parts.append(f'<figure>{_scroll(fitted, framed=True)}</figure>')
        parts.append(f'<p>Files: {_links(subnet, link_base)}</p>' if subnet.files else '<p class="soft">Its files were not written.</p>')
        parts.append(f'<details><summary>As text</summary><pre tabindex="0">{escape(arch.describe())}</pre></details>')
    return '\n'.join(parts)


def predictions_section(result: SearchResult) -> str:
    """A row per picture: the picture, the truth, each chosen network."""
    folder = result.path / 'predictions'
    rows = sorted(p for p in folder.iterdir() if (p / 'image.png').is_file()) if folder.is_dir() else []
    if not rows:
        return ''
    columns = [('image', 'image'), ('truth', 'truth'), *((i, i[:SHORT_ID]) for i in result.chosen)]
    columns = [(stem, text) for stem, text in columns if any((row / f'{stem}.png').is_file() for row in rows)]
    body, used, shown = [], 0, 0
    for row in rows:
        cells = [_picture(row / f'{stem}.png', f'{row.name}: {text}') for stem, text in columns]
        used += sum(map(len, cells))
        if shown and used > MAX_IMAGE_BYTES:
            break
        shown += 1
        body.append('<tr>' + ''.join(f'<td>{c}</td>' for c in cells) + '</tr>')
    head = ''.join(f'<th>{escape(text)}</th>' for _, text in columns)
    left = f'<p class="soft">{len(rows) - shown} more in <code>predictions/</code>.</p>' if shown < len(rows) else ''
    grid = _scroll(f'<table class="grid" style="--columns:{len(columns)}"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>')
    return f'<h2>Predictions</h2>\n{grid}\n{_class_legend(result.path / "palette.json")}{left}'


def progress_section(result: SearchResult) -> str:
    """Hypervolume over the evaluations."""
    x, y = result.axes
    caption = (
        f'Hypervolume of {y.label} and {x.label} against the number of scored networks: the share of the plane that the networks found so far '
        'dominate. The reference point holds the worst values that were seen in any track; 1 would be one network with the best of both '
        'values seen. A line that has become flat says that longer search would find little more.'
    )
    return f'<h2>Progress of the search</h2>\n<figure>{_scroll(progress_svg(result))}<figcaption>{escape(caption)}</figcaption></figure>'


def ops_section(result: SearchResult) -> str:
    """Which ops the networks of the front are made of."""
    if not result.front:
        return ''
    figure = op_usage_svg([result.by_id[i].arch for i in result.front])
    caption = f'Cells of the {len(result.front)} networks on the front by output stride and layer; a bar\'s height is the number of cells.'
    return f'<h2>Which ops, where</h2>\n<figure>{_scroll(figure)}<figcaption>{escape(caption)}</figcaption></figure>'


def usage_section(result: SearchResult) -> str:
    """Commands for the first chosen network."""
    if not result.chosen:
        return ''
    folder = f'subnets/{result.chosen[0]}'
    shape = ' '.join(map(str, result.facts.get('input_hw') or ('HEIGHT', 'WIDTH')))
    commands = [
        ('Evaluate it with the weights from the supernet', f'mim test mmseg {folder}/config.py --checkpoint {folder}/weights.pth'),
        ('Train it alone', f'mim train mmseg {folder}/config.py'),
        ('Export it', f'python REPOSITORY/tools/export_onnx.py {folder}/config.py {folder}/weights.pth --shape {shape}'),
    ]
    blocks = [f'<p>{escape(t)}:</p><pre class="copy" tabindex="0">{escape(c)}</pre>' for t, c in commands]
    code = f"from hyctas_mm.archs import load_arch\narch = load_arch('{folder}/arch.json')"
    blocks.append(f'<p>Or use its description in Python:</p><pre class="copy" tabindex="0">{escape(code)}</pre>')
    intro = 'In the folder of the search; the first chosen network stands for any of them. A click selects a whole command.'
    return f'<h2>Use it</h2>\n<p class="soft">{intro}</p>\n' + '\n'.join(blocks)


def format_seconds(seconds: float) -> str:
    """E.g. ``'2 h 5 min'``, ``'20 min 34 s'``, ``'12 s'``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f'{hours} h {minutes} min'
    return f'{minutes} min {rest} s' if minutes else f'{rest} s'


# Pieces -----------------------------------------------------------------------------------------------------------------------


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


def _cost_order(name: str) -> tuple[int, str]:
    order = ['params_m', 'macs_g', 'memory_gb', 'latency_ms']
    return (order.index(name) if name in order else len(order), name)


def _objective_cells(candidate: Candidate, result: SearchResult) -> list[str]:
    return [_number(candidate.value(o.name)) for o in result.objectives]


def _track_text(candidate: Candidate) -> str:
    return str(len(candidate.arch.branches))


def _number(value: float | None) -> str:
    return '–' if value is None else format_value(value)


def _count(value: float | None) -> str:
    return '–' if value is None else f'{value:,.0f}'


def _code(text: str) -> str:
    return f'<code>{escape(text)}</code>'


def _links(subnet: Subnet, link_base: str) -> str:
    base = f'{Path(link_base).as_posix()}/subnets/{subnet.arch.archid}'.removeprefix('./')
    return ' · '.join(f'<a href="{escape(quote(f"{base}/{name}"))}">{escape(name)}</a>' for name in subnet.files)


def _scroll(content: str, framed: bool = False) -> str:
    """A box that scrolls by itself, so that the page never does sideways."""
    return f'<div class="scroll{" framed" if framed else ""}" tabindex="0">{content}</div>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], classes: Sequence[str] = ()) -> str:
    """Cells are HTML already."""
    body = []
    for index, row in enumerate(rows):
        kind = f' class="{classes[index]}"' if classes and classes[index] else ''
        body.append(f'<tr{kind}>' + ''.join(f'<td>{cell}</td>' for cell in row) + '</tr>')
    header = ''.join(f'<th scope="col">{cell}</th>' for cell in head)
    return _scroll(f'<table><thead><tr>{header}</tr></thead><tbody>{"".join(body)}</tbody></table>')


def _picture(path: Path, text: str) -> str:
    return f'<img src="{data_uri(path)}" alt="{escape(text)}" title="{escape(text)}">' if path.is_file() else '–'


def _class_legend(path: Path) -> str:
    if not path.is_file():
        return ''
    data = read_object(path)
    items = zip(data.get('classes', []), data.get('palette', []), strict=False)
    entries = [f'<li><i style="background:rgb({",".join(str(int(v)) for v in rgb)})"></i>{escape(str(name))}</li>' for name, rgb in items]
    return f'<ul class="classes">{"".join(entries)}</ul>\n'
