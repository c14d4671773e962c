"""Makes the latency table of a target for a search space: chooses networks, writes and measures them, fits."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.cnn.utils import fuse_conv_bn
from torch import nn

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.archs.extremes import largest, smallest
from hyctas_mm.costs import FitCheck, FittedTable, Sample, Target, choose, device_name
from hyctas_mm.costs.latency_table import materialise
from hyctas_mm.costs.targets import FileRuntime
from hyctas_mm.costs.targets.on_device import Call, clock_for, measure, warnings_about
from hyctas_mm.engine.candidate_costs import CandidateCosts
from hyctas_mm.errors import BadValue
from hyctas_mm.files import alone, lock_folder, read_json, write_json

LEFT_OUT = 0.25
"""Share of the networks that a table is checked on. They are random; the others are chosen to tell much."""
POOL = 3
"""Networks to choose from, as a multiple of those chosen."""
LEAST = 24
"""Networks that a table takes at least."""
ROUNDS, SECONDS = 2, 0.3
"""Rounds that visit all networks, and the time for a network in each."""
BUILDING = 'measured.json'
"""What of a table that is being built is known, in a folder beside the table."""
Say = Callable[[str], None]


def choose_networks(costs: CandidateCosts, space: SearchSpace, count: int) -> dict[str, tuple[Architecture, bool]]:
    """Networks to measure, in the order in which they are: by archid the architecture, and whether it is left out.

    Args:
        costs: Prices architectures; its table learns all parts seen.
        space: The search space.
        count: How many.

    Raises:
        ValueError: For fewer than :data:`LEAST`, or more than the space has.
    """
    if count < LEAST:
        raise BadValue(f'{count} networks for a latency table; expected {LEAST} or more, 80 are usual')
    assert isinstance(costs.table, FittedTable)
    rng = np.random.default_rng(0)
    drawn: dict[str, Architecture] = {}
    for arch in itertools.islice((space.sample(rng) for _ in itertools.count()), 20 * POOL * count):
        drawn[arch.archid] = arch
        if len(drawn) == POOL * count:
            break
    left_out = list(drawn)[: round(LEFT_OUT * count)]
    pool = {arch.archid: arch for arch in (smallest(space), largest(space))}
    pool |= {archid: arch for archid, arch in drawn.items() if archid not in left_out}
    if len(pool) + len(left_out) < count:
        raise BadValue(f'the space has few more than {len(drawn)} architectures; expected {count} for a latency table')
    rows = [costs.table.row(costs.parts(arch)) for arch in pool.values()]
    names = [list(pool)[place] for place in choose(rows, count - len(left_out))]
    found = {name: (pool[name], False) for name in names} | {name: (drawn[name], True) for name in left_out}
    order = rng.permutation(len(found))
    return {name: found[name] for name in (list(found)[place] for place in order)}


def build_table(
    costs: CandidateCosts,
    space: SearchSpace,
    device: torch.device,
    networks: int = 80,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
    enough: float = 0.1,
    say: Say = print,
) -> FitCheck:
    """Measures networks of a space on the target of the table, here, fits the table and writes it.

    A table whose error is larger than ``enough`` is measured once more before it is given up. Networks written and
    rounds measured are kept in a folder beside the table until it is there: an interrupted measurement goes on.

    Args:
        costs: Prices architectures by the table, a :class:`~hyctas_mm.costs.FittedTable`.
        space: The search space.
        device: Where it runs.
        networks: How many networks to measure, those left out included.
        rounds: Rounds that visit all networks.
        seconds: Time for a network in a round.
        enough: Median error that is good enough.
        say: Tells how far it is, and what a person must know.

    Raises:
        ValueError: If the runtime cannot run a network (the layer is named), or for too few networks.
        ImportError: If it is not installed here.
        BlockingIOError: If another process builds the same table.
    """
    table = costs.table
    assert isinstance(table, FittedTable)
    runtime = table.target.software(table.target)  # refuses at once where it is not installed
    chosen = choose_networks(costs, space, networks)
    say(f'latency table of {table.target}: {len(chosen)} networks are written and measured')
    clock = clock_for(table.target.threads, device.type)
    here = dict(device=device_name(device), clock=clock, software=runtime.versions())
    asked = dict(here, target=table.target.to_dict(), input_shape=list(costs.input_shape), made_for=table.made_for)
    folder = table.path.with_suffix('.building')
    with contextlib.closing(lock_folder(folder)), _threads(table.target.threads):
        known = _begin(folder, asked | dict(networks=list(chosen), seconds=seconds))
        found, opens = known['rounds_ms'], {}
        if found:
            say(f'goes on with {sum(map(len, found.values()))} measurements of before')
        for name, (arch, _) in chosen.items():
            net, written = shipped(costs, arch), known['written']
            opens[name] = opener(table.target, net, costs.input_shape, device, folder, name, written)
            write_json(folder / BUILDING, known)
        for repeated in (1, 2):
            with alone():
                for told in measure(opens, found, clock, repeated * rounds, seconds):
                    write_json(folder / BUILDING, known)
                    if told:
                        say(told)
            check = table.fit(samples_of(costs, chosen, found), here)
            for told in warnings_about(found):
                say(f'warning: {told}')
            say(f'latency table of {table.target}: {check}')
            if check.median_error <= enough:
                break
            if repeated == 1:
                say(f'that is above {enough:.0%}: measured again')
        table.save()
        shutil.rmtree(folder)
    return check


def _begin(folder: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What is known from before of the same measurement, else a beginning in an empty folder."""
    asked = json.loads(json.dumps(asked))
    known: dict[str, Any] = read_json(folder / BUILDING)
    if known.get('asked') != asked:
        for path in (path for path in folder.iterdir() if path.name != '.lock'):
            path.unlink()
        known = dict(asked=asked, written={}, rounds_ms={})
    return known


def samples_of(
    costs: CandidateCosts, chosen: Mapping[str, tuple[Architecture, bool]], found: Mapping[str, Sequence[float]]
) -> list[Sample]:
    """Measured networks as a table is fitted to them."""
    return [Sample(name, costs.parts(arch), tuple(found[name]), left_out) for name, (arch, left_out) in chosen.items()]


def shipped(costs: CandidateCosts, arch: Architecture) -> nn.Module:
    """The network of an architecture as it ships, batch norm fused, on the meta device."""
    return fuse_conv_bn(costs.network(arch))


def opener(
    target: Target,
    net: nn.Module,
    shape: Sequence[int],
    device: torch.device,
    folder: Path,
    name: str,
    written: dict[str, str],
) -> Callable[[], Call]:
    """What makes a network a call, for :func:`~hyctas_mm.costs.targets.on_device.measure`. Files are written once;
    PyTorch's networks are made each time, to save memory.

    Args:
        target: What runs it.
        net: The network on the meta device, batch norm fused.
        shape: Of its input, (1, 3, H, W).
        device: Where it runs.
        folder: Where files go.
        name: Of its file, without suffix.
        written: Names of files by ``name``; those that are there are not written again, a new one is noted.
    """
    runtime = target.software(target)
    x = torch.rand(*shape, device=device)
    if not isinstance(runtime, FileRuntime):
        return lambda: _whole(runtime.prepare(materialise(net, device), x), device)
    if name not in written:
        written[name] = runtime.write(materialise(net, device), x, folder, name).name
    path = folder / written[name]
    return lambda: _whole(runtime.open(path, x), device)


def _whole(call: Call, device: torch.device) -> Call:
    """A call that lasts until the device has done its work."""

    def whole() -> Any:
        with torch.inference_mode():
            result = call()
            if device.type == 'cuda':
                torch.cuda.synchronize(device)
        return result

    return whole


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """PyTorch with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
