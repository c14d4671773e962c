"""What a finished search came to, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich import box
from rich.table import Column, Table

from hyctas_mm.engine.retraining import arch_of, metric
from hyctas_mm.files import read_json
from hyctas_mm.report.result import load_search
from hyctas_mm.search.folder import SearchFolder
from hyctas_mm.search.objectives import format_value

_HEADERS = dict(params_m='params M', macs_g='GMACs', file_mb='file MB', run_mb='run MB', latency_ms='latency ms')


def results_table(search_dir: Path) -> Table:
    """The exported networks, cheapest first as in ``front.json``, then those added to compare with."""
    found = load_search(search_dir)
    score = found.trained_metric
    rows = [(folder, read_json(folder / 'results.json')) for folder in SearchFolder(found.path).subnets()]
    costs = [_costs(found, folder.name, results) for folder, results in rows]
    names = [name for name in _HEADERS if any(name in cost for cost in costs)]
    headers = ['role', 'strides', *(_HEADERS[name] for name in names), f'{score} search', f'{score} retrained']
    table = Table(Column('network', no_wrap=True), *headers, box=box.SIMPLE)
    for (folder, results), cost in zip(rows, costs, strict=True):
        record = found.by_id.get(folder.name)
        searched = record.metrics.get(score) if record and 'costs' not in results else None
        table.add_row(
            folder.name,
            results.get('role', 'chosen'),
            '+'.join(map(str, arch_of(folder).output_strides)),
            *(format_value(cost[name]) if name in cost else '-' for name in names),
            '-' if searched is None else f'{searched:.1f}',
            _retrained(results, score),
        )
    return table


def _costs(found: Any, archid: str, results: dict[str, Any]) -> dict[str, float]:
    if 'costs' in results:  # of a network that was added
        return dict(results['costs'])
    return dict(found.by_id[archid].costs) if archid in found.by_id else {}


def _retrained(results: dict[str, Any], score: str) -> str:
    """Mean over the seeds, with their range if there are several."""
    values = [metric(metrics, score) for metrics in results.get('by_seed', {}).values()]
    if not values:
        return '-'
    several = f' ({min(values):.1f}..{max(values):.1f})' if len(values) > 1 else ''
    return f'{sum(values) / len(values):.1f}{several}'
