"""Latency of networks, measured in interleaved rounds while trainings of other processes wait, and the memory that they
take.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from hyctas_mm.costs import (
    Latency,
    PeakMemory,
    Target,
    in_fresh_process,
    measure_interleaved,
    measure_training_memory,
    predict_training_memory,
    prepare_call,
)
from hyctas_mm.deploy.inference import fuse_norms
from hyctas_mm.engine.candidate_costs import training_loss, training_network
from hyctas_mm.files import alone
from hyctas_mm.measuring.network import Network

Prepared = tuple[Callable[[], object], float | None]
"""A call and its memory in 1e6 bytes."""


def time_all(networks: Sequence[Network], device: torch.device, seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Latency of each network; the rounds visit all of them in turn, so that what slows the machine slows them
    alike.
    """
    nets = [fuse_norms(network.build(torch.device('cpu'))).to(device) for network in networks]
    inputs = [torch.rand(*network.input_shape, device=device) for network in networks]
    calls = [partial(net, x) for net, x in zip(nets, inputs, strict=True)]
    with alone():
        times = measure_interleaved(calls, device, seconds, rounds)
    medians = [[statistics.median(found) for found in network] for network in times]
    return [dict(latency_ms=statistics.median(found), rounds_ms=found) for found in medians]


def prepare(network: Network, device: torch.device, target: Target | str) -> Prepared:
    """The network as a call, and the memory of a pass in 1e6 bytes: its weights and the rise while it runs, None where
    that is not known.
    """
    wanted = Target.read(target, threads=torch.get_num_threads())
    net = fuse_norms(network.build(torch.device('cpu'))).to(device)
    x = torch.rand(*network.input_shape, device=device)
    weights = sum(p.numel() * p.element_size() for p in net.parameters())
    if wanted.mode == 'cudagraph':  # a recorded pass takes its memory while it is recorded, and none later
        with PeakMemory(device) as peak:
            call = prepare_call(net, x, wanted)
    else:
        call = prepare_call(net, x, wanted)
        # the first pass: ONNX Runtime keeps what it takes there
        with PeakMemory(device) as peak, torch.inference_mode():
            call()
    if peak.bytes is None or (wanted.runtime != 'pytorch' and device.type == 'cuda'):  # which PyTorch does not count
        return call, None
    return call, (weights + peak.bytes) / 1e6


def read_targets(names: Sequence[str], precisions: Sequence[str] = ('fp32',)) -> list[Target]:
    """Targets by name in each precision that they have, with as many threads as PyTorch has.

    Raises:
        ValueError: For an unknown name, or one that has none of the precisions.
    """
    targets = []
    for name in names:
        known = Target.read(name).software.precisions
        has = [precision for precision in precisions if precision in known]
        targets += [Target.read(name, precision, torch.get_num_threads()) for precision in has or precisions[:1]]
    return targets


def time_by_target(
    networks: Sequence[Network],
    targets: Sequence[Target],
    device: torch.device,
    seconds: float,
    rounds: int,
    clock: str = 'wall',
) -> tuple[list[dict[str, Any]], list[str]]:
    """Latency of each network in each target, measured in one interleaved run.

    Returns:
        A row for each pair, with the latency over all rounds, its percentiles, the median of each round and the memory;
        and what did not work, in words.
    """
    prepared, rows, problems = [], [], []
    for network, target in itertools.product(networks, targets):
        try:
            prepared.append(prepare(network, device, target))
        except (RuntimeError, ValueError, ImportError) as error:
            problems.append(f'{network.name}, {target}: {str(error).splitlines()[0]}')
        else:
            rows.append(dict(network=network.name, input=network.input_hw, input_from=network.size_from))
            rows[-1]['target'] = str(target)
    found = measure(prepared, device, seconds, rounds, clock)
    return [row | numbers for row, numbers in zip(rows, found, strict=True)], problems


def measure(
    prepared: Sequence[Prepared], device: torch.device, seconds: float, rounds: int, clock: str = 'wall'
) -> list[dict[str, Any]]:
    """Latency of what :func:`prepare` gave, in one interleaved run, and its memory."""
    rows = []
    with alone():
        found = measure_interleaved([call for call, _ in prepared], device, seconds, rounds, clock=clock)
    for times, (_, megabytes) in zip(found, prepared, strict=True):
        latency = Latency.of(list(itertools.chain.from_iterable(times)))
        numbers: dict[str, Any] = dict(
            latency_ms=latency.median_ms,
            p10_ms=latency.p10_ms,
            p90_ms=latency.p90_ms,
            runs=latency.runs,
            fps=latency.fps,
        )
        rows.append(
            numbers
            | dict(rounds_ms=[statistics.median(times_of_round) for times_of_round in times], memory_mb=megabytes)
        )
    return rows


def training_memory(network: Network, batch: int, device: torch.device, check: bool) -> dict[str, Any]:
    """Predicted memory of a training step, and the measured one if ``check``."""
    build = partial(training_network, network.model.to_dict(), network.scope, network.imports)
    loss = partial(training_loss, batch=batch, crop_hw=network.input_hw)
    with torch.device('meta'):
        net = build()
    predicted = predict_training_memory(net, loss, device.type)
    row: dict[str, Any] = dict(batch=batch, memory_gb=predicted.total_gb, **vars(predicted))
    if check:
        measured = in_fresh_process(measure_training_memory, build, loss, device)
        row |= dict(measured_gb=None if measured is None else measured / 1e9)
    return row
