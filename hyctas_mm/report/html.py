"""One page with everything a search found: ``report.html``, which needs no other file and no network."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from hyctas_mm.errors import NoSuchFile
from hyctas_mm.report.choices import choice_svgs
from hyctas_mm.report.doubts import doubts
from hyctas_mm.report.draw_arch import draw_arch, sketch_data
from hyctas_mm.report.evolution import cost_svgs, front_svgs, hypervolume_svg, steps_of
from hyctas_mm.report.ops import op_usage
from hyctas_mm.report.pareto import KEY_STRENGTHS, pareto_svg, track_style
from hyctas_mm.report.predictions import read_predictions
from hyctas_mm.report.render import asset, fill, seconds
from hyctas_mm.report.result import SearchResult, cost_order, load_search
from hyctas_mm.report.subnets import Subnet, commands, read_subnets
from hyctas_mm.search.archive import Candidate
from hyctas_mm.search.folder import CHOSEN, RANDOM

MAX_DRAWN = 40
"""Networks of the front that are drawn beside the chosen ones; the others are sketched where they are pointed at."""

_MIN_SCALE = 0.8  # drawings shrink to this before their box scrolls

_POLICY = Markup(
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'sha256-{}'; base-uri 'none'; form-action 'none'"
)
"""The browser itself sees to it that the page asks for nothing and runs our script only, whatever the search holds."""


def write_report(search_dir: str | Path, out: str | Path | None = None) -> Path:
    """Writes the page of a search.

    Args:
        search_dir: ``WORK_DIR/search`` or ``WORK_DIR``.
        out: The file to write, ``report.html`` in the folder of the search if None. It is replaced as a whole, so a
            reader never sees half a page.

    Returns:
        The file.

    Raises:
        FileNotFoundError: If a file of the search or the folder of ``out`` is missing.
        ValueError: If a file of the search cannot be used.
    """
    result = load_search(search_dir)
    path = Path(out) if out is not None else result.path / 'report.html'
    if not (folder := path.parent).is_dir():
        raise NoSuchFile(f'the folder {folder} of the report does not exist; create it or choose another --out')
    link_base = Path(os.path.relpath(result.path, folder)).as_posix()
    page = fill('report.html.j2', **_page(result, read_subnets(result), link_base))
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    temporary.write_text(page, encoding='utf-8')
    os.replace(temporary, path)
    return path


def _page(result: SearchResult, subnets: Sequence[Subnet], link_base: str) -> dict[str, Any]:
    """What the page's template writes.

    Args:
        result: The search.
        subnets: Its exported networks.
        link_base: Way from the page's folder to that of the search, for the links to its files.
    """
    script = asset('report.js')
    score = result.trained_metric
    front = [result.by_id[i] for i in result.front]
    chosen = [s for s in subnets if s.role == CHOSEN]
    return dict(
        policy=_POLICY.format(base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()),
        script=script,
        style=asset('report.css'),
        data=_script_data(result),
        result=result,
        subnets=subnets,
        chosen=chosen,
        warning=doubts({s.folder: s.results for s in subnets if s.role != RANDOM}, score),
        continued=any(s.results.get('inherit') for s in subnets),
        facts=_facts(result),
        best=_best_sentence(front, result),
        front=front,
        undrawn=sum(not c.violations for c in result.candidates) - len(result.scored),
        most_drawn=MAX_DRAWN,
        drawn={*result.chosen, *result.front[:MAX_DRAWN]},
        others=[result.by_id[i] for i in result.front[:MAX_DRAWN] if i not in result.chosen],
        costs=sorted({name for s in subnets for name in s.costs}, key=cost_order),
        inherited=any(score in s.inherited for s in subnets),
        retrained=any(score in s.retrained for s in subnets),
        trainings=max((len(s.by_seed) for s in subnets), default=0),
        predictions=read_predictions(result),
        steps=steps_of(result),
        pareto=pareto_svg(result),
        fronts=front_svgs(result) if result.scored else [],
        other_costs=cost_svgs(result) if result.scored else [],
        hypervolume=hypervolume_svg(result),
        choices=choice_svgs(result),
        usage=fill('op_usage.svg.j2', **op_usage([c.arch for c in front])) if front else '',
        track_style=track_style,
        strengths=KEY_STRENGTHS,
        draw=lambda arch: draw_arch(result.handover.arch(arch), result.handover.base_channels, shrink_to=_MIN_SCALE),
        commands=lambda subnet: commands(result, subnet),
        link=lambda archid, name: quote(f'{link_base}/subnets/{archid}/{name}'.removeprefix('./')),
    )


def _script_data(result: SearchResult) -> dict[str, Any]:
    """What the page's script needs."""
    x, y = result.axes
    archs = {c.archid: c.arch for c in result.scored}
    return sketch_data(list(archs.values())) | {
        'front': sorted(result.front, key=lambda i: result.by_id[i].value(x.name) or 0.0),
        'better': [o.direction for o in (x, y)],
        'last': result.last_generation,
    }


def _facts(result: SearchResult) -> list[tuple[str, Any]]:
    """Where and how long was searched."""
    facts = result.facts
    rejected, given_up = sum(bool(c.violations) for c in result.candidates), facts.get('num_given_up')
    size, supernet = facts.get('input_hw'), facts.get('supernet_base_channels')
    rows = [
        ('Dataset', facts.get('dataset')),
        ('Device', facts.get('device')),
        ('Input', f'{size[0]} × {size[1]}' if isinstance(size, list) and len(size) == 2 else None),
        ('Evaluated', f'{int(facts.get("num_evaluated", len(result.candidates))):,}'),
        ('Of them infeasible', f'{int(facts.get("num_infeasible", rejected)):,}'),
        ('Of them given up on part of the images', f'{int(given_up):,}' if given_up else None),
        ('Evaluation time', seconds(float(facts['seconds'])) if 'seconds' in facts else None),
        ('On the front', len(result.front)),
        ('Base channels', facts.get('base_channels')),
        ('Base channels of the supernet', supernet if supernet != facts.get('base_channels') else None),
        ('Low level in place of the found one', facts.get('low_level')),
        ('Seed', facts.get('seed')),
    ]
    return [(name, value) for name, value in rows if value is not None]


def _best_sentence(front: Sequence[Candidate], result: SearchResult) -> str:
    if not front:
        return 'No feasible network was found.'
    x, y = result.axes
    ends = [min(front, key=lambda c: o.sign * (c.value(o.name) or 0.0)) for o in (x, y)]
    cheap, best = (' at '.join(o.with_value(c.value(o.name)) for o in (y, x)) for c in ends)
    return f'The front reaches from {cheap} to {best}.'
