"""How large images, batches and networks may be, by the data, the device and the latency budget."""

from __future__ import annotations

import copy
import os
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.archs.extremes import largest, smallest
from hyctas_mm.costs import Target, measure_latency, predict_training_memory, prepare_call
from hyctas_mm.engine.candidate_costs import network_to_time, training_loss, training_network
from hyctas_mm.errors import BadValue
from hyctas_mm.models.subnet import subnet_model_cfg
from hyctas_mm.wizard.data import Data, PanopticData, Sizes

SPACES = ((16, 8), (12, 8), (8, 6), (6, 4))
"""Layers and base channels, from the largest space to the smallest."""
WIDE = dict(stem_widths=(4, 8, 12), head_widths=(4, 8, 12), low_levels=('none', 's4'), head_attentions=(False, True))
"""What the paper's space keeps fixed.

Stem and head are most of a small network: a search that cannot make them smaller finds no fast ones.
"""
MOST_PIXELS = dict(cpu=180_000, cuda=524_288)
"""Images with more are made smaller: 360x480 on a CPU, 512x1024 on a GPU, the size of the paper's crops of
Cityscapes.
"""
BATCHES = dict(cpu=(8, 4, 2), cuda=(16, 8, 4, 2))
MEMORY_SHARE = 0.8
"""Part of the memory that the prediction may fill: it does not count scratch memory and waste."""
TOO_SLOW = 1.5
"""A space whose median network takes this many times the latency budget is left for a smaller one."""
LEAST_SIDE = 128
"""Below this no image is made smaller for lack of time."""
PAD = 32
"""To multiples of which panoptic images are padded: ``pad_size_divisor`` of their model configs."""
SMALL_THING = 32
"""Side in pixels of things below which panoptic logits are made at stride 4."""


class SizingError(BadValue):
    """Nothing fits the device or the budget."""


@dataclass(frozen=True)
class Machine:
    """Where the search will run.

    Attributes:
        device: ``cpu`` or a CUDA device.
        memory_gb: Memory to train in, in 1e9 bytes.
        cores: CPU cores that this process may use.
    """

    device: torch.device
    memory_gb: float
    cores: int

    @classmethod
    def here(cls, device: torch.device, memory_gb: float | None = None) -> Machine:
        """This machine; ``memory_gb`` in place of what is free now."""
        return cls(device, memory_gb or _free_gb(device), len(os.sched_getaffinity(0)))

    @property
    def workers(self) -> int:
        """Processes that load images."""
        return min(4, max(1, self.cores // 2))


@dataclass(frozen=True)
class Geometry:
    """Sizes in pixels, (height, width).

    Attributes:
        input_hw: What networks compute on, latency is measured at and an exported file takes. Images are fitted into
            it, their ratio kept; panoptic ones are then padded to multiples of 32, the usual ones to just this.
        crop_hw: What they are trained on.
        resize: Whether images are made smaller to fit into ``input_hw``.
        scale_wh: What ``RandomResize`` takes before cropping, (width, height).
        ratio_range: Its range.
    """

    input_hw: tuple[int, int]
    crop_hw: tuple[int, int]
    resize: bool
    scale_wh: tuple[int, int]
    ratio_range: tuple[float, float]


@dataclass(frozen=True)
class Plan:
    """What was chosen.

    Attributes:
        geometry: Sizes of images.
        space: The search space.
        batch: Images of a training step.
        memory_gb: Predicted memory of training the largest architecture.
        latency_ms: Of the smallest and the median architecture, where a budget was given.
    """

    geometry: Geometry
    space: SearchSpace
    batch: int
    memory_gb: float
    latency_ms: tuple[float, float] | None = None


def choose_geometry(
    sizes: Sizes, device_type: str, like: str | None = None, size: tuple[int, int] | None = None
) -> Geometry:
    """Sizes for a device.

    Args:
        sizes: Of the images.
        device_type: ``'cpu'`` or ``'cuda'``.
        like: Whose augmentation to take: ``'cityscapes'``, ``'ade20k'``, ``'coco-panoptic'``, or None for crops of two
            thirds of the sides.
        size: Height and width to test at, in place of what the device allows.
    """
    height, width = sizes.typical_hw
    panoptic = like == 'coco-panoptic'
    share = 1.0
    if size:
        share = min(1.0, size[0] / height, size[1] / width)
    elif height * width > 1.2 * MOST_PIXELS[device_type]:
        share = (MOST_PIXELS[device_type] / (height * width)) ** 0.5
    resize = share < 1
    if resize and panoptic:  # the longer side fills what is padded
        share = _floor32(round(max(height, width) * share)) / max(height, width)
        height, width = (max(1, round(side * share)) for side in (height, width))
    elif resize:
        height, width = (max(32, round(side * share / 8) * 8) for side in (height, width))
    short = min(height, width)
    input_hw = (_ceil32(height), _ceil32(width)) if panoptic else (height, width)
    if panoptic or like == 'ade20k':
        crop = (_floor32(short), _floor32(short))
        return Geometry(input_hw, crop, resize, (4 * short, short), (0.5, 2.0))
    if like == 'cityscapes':
        return Geometry((height, width), (_floor32(height), _floor32(width)), resize, (width, height), (0.5, 2.0))
    return Geometry(
        (height, width), (_floor32(height * 2 / 3), _floor32(width * 2 / 3)), resize, (width, height), (0.75, 1.5)
    )


def smaller(geometry: Geometry, excess: float) -> tuple[int, int] | None:
    """A size at which a job that takes ``excess`` times its hours may fit into them; None if that is too small to be
    worth it.

    Time goes with the pixels. In one step the sides are at most halved.
    """
    share = max(0.5, min(0.9, excess**-0.5))
    height, width = (round(side * share) for side in geometry.input_hw)
    return (height, width) if min(height, width) >= LEAST_SIDE else None


def choose_plan(
    data: Data,
    geometry: Geometry,
    machine: Machine,
    base_model: Mapping[str, Any],
    latency_ms: float | None = None,
    largest_space: int | None = None,
    wide: bool = False,
    measure: Callable[[Mapping[str, Any], Architecture, Geometry, torch.device], float] | None = None,
) -> Plan:
    """The largest space that the device's memory holds and that is not too slow for the budget.

    Args:
        data: The data.
        geometry: Sizes of images.
        machine: Where it runs.
        base_model: The supernet's model config, whose space and classes are replaced.
        latency_ms: The budget.
        largest_space: Index into :data:`SPACES` to begin with; by default by device and number of images.
        wide: Whether stem, head and low-level fusion are searched too (:data:`WIDE`), or as in the paper fixed.
        measure: Gives the latency of an architecture in milliseconds; by default it is measured.

    Raises:
        SizingError: If not even the smallest space fits.
    """
    kind = machine.device.type
    if largest_space is None:
        largest_space = 2 if kind == 'cpu' else 0 if len(data.split.fit) >= 2000 else 1
    reason = ''
    for layers, base in SPACES[largest_space:]:
        genes: dict[str, Any] = dict(WIDE) if wide else {}
        if _needs_stride_4(data):
            genes['low_levels'] = ('s4',)
        space = SearchSpace(layers=layers, base_channels=base, **genes)
        model = supernet_model(base_model, data, space)
        fitting = _largest_batch(model, space, geometry, machine, len(data.split.fit) // 2)
        if fitting is None:
            reason = f'{machine.memory_gb:.1f} GB of memory do not hold a batch of two crops of {_hw(geometry.crop_hw)}'
            continue
        if latency_ms is None:
            return Plan(geometry, space, *fitting)
        latencies = _latencies(model, space, geometry, machine.device, measure or time_network)
        last = (layers, base) == SPACES[-1]
        if latencies[0] <= latency_ms and (latencies[1] <= TOO_SLOW * latency_ms or last):
            return Plan(geometry, space, *fitting, latencies)
        fastest = f'the smallest network takes {latencies[0]:.1f} ms at {_hw(geometry.input_hw)} on {machine.device}'
        reason = f'{fastest}; --latency-ms {latency_ms:g} was asked for'
    more = ', or a larger --latency-ms' if latency_ms else ''
    raise SizingError(f'no search space fits: {reason}; give --size H W with smaller images{more}')


def supernet_model(base_model: Mapping[str, Any], data: Data, space: SearchSpace) -> dict[str, Any]:
    """The supernet's model config with the data's classes and a space."""
    model: dict[str, Any] = copy.deepcopy(dict(base_model))
    model['backbone']['search_space'] = space.to_dict()
    if isinstance(data, PanopticData):
        model['panoptic_head'] |= dict(
            search_space=space.to_dict(), num_things_classes=len(data.things), num_stuff_classes=len(data.stuff)
        )
    else:
        model['decode_head'] |= dict(search_space=space.to_dict(), num_classes=len(data.classes))
    return model


def time_network(
    model: Mapping[str, Any],
    arch: Architecture,
    geometry: Geometry,
    device: torch.device,
    target: Target | str = 'eager',
) -> float:
    """Latency of an architecture as it ships, in milliseconds, from a third of a second."""
    device = Target.read(target).place(device)
    net = network_to_time(model, arch, device)
    call = prepare_call(net, torch.rand(1, 3, *geometry.input_hw, device=device), target)
    return float(measure_latency(call, device, 0.2, 0.1).median_ms)


def _latencies(
    model: Mapping[str, Any],
    space: SearchSpace,
    geometry: Geometry,
    device: torch.device,
    measure: Callable[[Mapping[str, Any], Architecture, Geometry, torch.device], float],
) -> tuple[float, float]:
    """Of the smallest architecture, and the median of random ones."""
    rng = np.random.default_rng(0)
    return (
        measure(model, smallest(space), geometry, device),
        statistics.median(measure(model, space.sample(rng), geometry, device) for _ in range(5)),
    )


def _largest_batch(
    model: Mapping[str, Any], space: SearchSpace, geometry: Geometry, machine: Machine, most: int
) -> tuple[int, float] | None:
    """The largest batch with which the largest architecture and the supernet's weights fit, and the memory it takes."""
    with torch.device('meta'):
        network = training_network(subnet_model_cfg(model, largest(space)))
        supernet = training_network(model)
    kind = machine.device.type
    two, four = (
        predict_training_memory(network, partial(training_loss, batch=batch, crop_hw=geometry.crop_hw), kind).total_gb
        for batch in (2, 4)
    )
    # with gradients and momentum
    weights_gb = 3 * sum(p.numel() * p.element_size() for p in supernet.parameters()) / 1e9
    for batch in BATCHES[kind]:
        needed = two + (batch - 2) * (four - two) / 2 + weights_gb
        if needed <= MEMORY_SHARE * machine.memory_gb and (batch <= most or batch == BATCHES[kind][-1]):
            return batch, needed
    return None


def _needs_stride_4(data: Data) -> bool:
    return isinstance(data, PanopticData) and 0 < data.thing_side < SMALL_THING


def _floor32(side: float) -> int:
    return max(32, int(side) // 32 * 32)


def _ceil32(side: int) -> int:
    return -(-side // PAD) * PAD


def _hw(hw: tuple[int, int]) -> str:
    return f'{hw[0]}x{hw[1]}'


def _free_gb(device: torch.device) -> float:
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0] / 1e9
    info = Path('/proc/meminfo')
    if info.is_file():
        free = next(line for line in info.read_text(encoding='ascii').splitlines() if line.startswith('MemAvailable:'))
        return int(free.split()[1]) * 1024 / 1e9
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9
