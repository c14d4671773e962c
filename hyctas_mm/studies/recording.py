"""What an evaluator says of landmarks, kept in their table."""

from __future__ import annotations

import fcntl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hyctas_mm.archs import Architecture
from hyctas_mm.engine.progress import Progress
from hyctas_mm.errors import BadValue
from hyctas_mm.files import differences, read_json, write_json
from hyctas_mm.search.evaluator import Job
from hyctas_mm.studies.ceiling import complete
from hyctas_mm.studies.judges import JUDGES
from hyctas_mm.studies.open_search import OpenSearch


def record(
    path: Path, search: OpenSearch, name: str, before: float, each: float, changes: Mapping[str, Any] = {}
) -> dict[str, Any]:
    """Lets a search's evaluator judge all landmarks, and writes what it says into their file, one after the other.

    What is there of the same name is kept and completed.

    Args:
        path: The landmarks' JSON.
        search: A search of the landmarks' space; it is to score on images that no landmark's truth is measured on.
        name: What the judge is called there.
        before: Training steps that it takes once, e.g. the supernet's.
        each: Training steps that it takes for a network.
        changes: Of its evaluator's config, e.g. ``dict(calibration_batches=16)``.

    Returns:
        The table.

    Raises:
        ValueError: If another evaluator is recorded under the name, or a landmark is not in the search's space.
        RuntimeError: If the evaluator fails.
    """
    table = read_json(path)
    evaluator = search.loop.build_evaluator(**changes)
    networks = [(Architecture.from_dict(n['arch']), n['costs']) for n in complete(table)]
    if foreign := [arch.archid for arch, _ in networks if search.space.violations(arch)]:
        raise BadValue(
            f'{path}: {len(foreign)} landmarks are not in the search space, e.g. {foreign[0]}; give a search of theirs'
        )
    entry = dict(identity=evaluator.identity(), before=before, each=each)
    there = table.setdefault(JUDGES, {}).setdefault(name, dict(entry, scores={}))
    if differing := differences({key: there.get(key) for key in entry}, entry):
        raise BadValue(f'{path}: the judge {name!r} is another one: {"; ".join(differing)}; give another --name')
    evaluator.observe([])
    progress = Progress(f'judged by {name}', len(networks))
    for done, (arch, costs) in enumerate(networks, 1):
        if arch.archid not in there['scores']:
            (outcome,) = evaluator.evaluate([Job(arch, costs)])
            there['scores'][arch.archid] = outcome.metrics[search.score]
            _keep(path, name, there)
        progress.update(done)
    return read_json(path)


def _keep(path: Path, name: str, judge: Mapping[str, Any]) -> None:
    """Writes one judge into the table as it is by now: another process may write another one."""
    with path.with_suffix('.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        table = read_json(path)
        table.setdefault(JUDGES, {})[name] = judge
        write_json(path, table)
