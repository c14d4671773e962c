"""The costs of a candidate, known before it is evaluated."""

from __future__ import annotations

import copy
import hashlib
import logging
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import torch
from mmcv.cnn.utils import fuse_conv_bn
from mmengine.logging import print_log
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement, PixelData
from mmengine.utils import import_modules_from_strings
from torch import Tensor, nn

from hyctas_mm.archs import Architecture, Handover
from hyctas_mm.costs import (
    Blocks,
    Counts,
    FittedTable,
    LatencyTable,
    count,
    measure_latency,
    predict_training_memory,
    shipped_size,
)
from hyctas_mm.costs.latency_table import materialise
from hyctas_mm.errors import BadValue
from hyctas_mm.models.subnet import drop_training_parts, subnet_model_cfg
from hyctas_mm.registry import MODELS
from hyctas_mm.search.objectives import declare_cost

CostFunction = Callable[[nn.Module, tuple[int, ...]], float]
"""Prices a network: on the meta device, in eval mode, as it ships; and the shape of its input, (1, 3, H, W)."""

_own_costs: dict[str, CostFunction] = {}


def register_cost(name: str, unit: str = '') -> Callable[[CostFunction], CostFunction]:
    """Registers a cost of your own under the name that objectives and bounds use.

    Every candidate is then priced with it before it is evaluated.

    Args:
        name: With the unit in it, as ``params_m``; smaller is better.
        unit: For a person.

    Raises:
        ValueError: If there is a metric or cost of this name.

    Example:
        >>> @register_cost('weights_mb', 'MB')
        ... def weights_mb(network, input_shape):
        ...     return sum(p.numel() for p in network.parameters()) / 1e6
    """

    def register(function: CostFunction) -> CostFunction:
        declare_cost(name, unit)
        _own_costs[name] = function
        return function

    return register


def shipped_network(model_cfg: Mapping[str, Any], arch: Architecture, base_channels: int | None = None) -> nn.Module:
    """The network that would ship, on the meta device: fixed, in eval mode, without auxiliary heads, batch norm not
    yet fused.
    """
    with torch.device('meta'):
        model: nn.Module = MODELS.build(subnet_model_cfg(model_cfg, arch, base_channels))
    return drop_training_parts(model).eval()


def network_to_time(model_cfg: Mapping[str, Any], arch: Architecture, device: torch.device) -> nn.Module:
    """The network that would ship on a device, batch norm fused, with random weights."""
    return materialise(fuse_conv_bn(shipped_network(model_cfg, arch)), device)


def training_network(model_cfg: Mapping[str, Any], scope: str | None = None, imports: Sequence[str] = ()) -> nn.Module:
    """The network that would be trained, on the default device, in training mode, with its auxiliary heads.

    Args:
        model_cfg: The config of a fixed network.
        scope: Registry in which the types are looked up, if not the present one.
        imports: Modules to import before.

    Raises:
        ValueError: If :func:`training_loss` has no labels for it.
    """
    import_modules_from_strings(list(imports))
    with DefaultScope.overwrite_default_scope(scope):
        # takes the same memory, and runs on every device
        model: nn.Module = revert_sync_batchnorm(MODELS.build(model_cfg))
    if not hasattr(model, 'decode_head') and not hasattr(model, 'panoptic_head'):
        raise BadValue(
            f'{type(model).__name__}: expected a semantic segmentor or a panoptic network of ours, for which labels '
            'can be made '
            'up; leave memory_gb out'
        )
    return model.train()


def training_loss(model: nn.Module, batch: int, crop_hw: tuple[int, int]) -> Tensor:
    """The summed loss of a training step on blank images and labels, made on the default device.

    Args:
        model: By :func:`training_network`.
        batch: Number of images.
        crop_hw: Height and width in pixels.
    """
    labels = torch.zeros(1, *crop_hw, dtype=torch.long)
    maps = {name: torch.zeros(1, *crop_hw) for name in ('center', 'center_weight', 'offset_weight', 'semantic_weight')}
    maps['offset'] = torch.zeros(2, *crop_hw)
    samples = [
        BaseDataElement(
            gt_sem_seg=PixelData(data=labels.clone(), sem_seg=labels.clone()), gt_panoptic_maps=PixelData(**maps)
        )
        for _ in range(batch)
    ]
    losses = model.loss(torch.zeros(batch, 3, *crop_hw), samples)
    return sum((value for name, value in losses.items() if 'loss' in name), torch.zeros(()))


class CandidateCosts:
    """Params and MACs of architectures, and where asked for latency, training memory and sizes as shipped; each
    architecture is priced once.

    The first network is built, the others are counted from their blocks, see :class:`~hyctas_mm.costs.Blocks`. Built
    all the same are networks with a part that the latency table lacks, those that the training memory, sizes or a cost
    of :func:`register_cost` are asked of, and all of them where a backbone or head does not say what its blocks are.

    Args:
        model_cfg: The supernet's model config.
        input_shape: Shape of the input, (1, 3, H, W).
        table: Latency table, of this machine or of a target, or None to leave the latency out.
        memory_input: Images of a training step and their height and width, ``(batch, (H, W))``, or None to leave the
            memory out.
        memory_device: Where the networks will be trained, ``'cuda'`` or ``'cpu'``.
        ships_in: Precision of the file that ships, see :func:`~hyctas_mm.costs.shipped_size`, or None to leave its
            sizes out.
        handover: How they will be trained: what is priced is that; None for networks as they are found.

    Attributes:
        post_processing_ms: Part of every latency; 0 before :meth:`add_post_processing`.
        blocks: The blocks known so far; None before the first price.
    """

    def __init__(
        self,
        model_cfg: Mapping[str, Any],
        input_shape: Sequence[int],
        table: LatencyTable | FittedTable | None = None,
        memory_input: tuple[int, tuple[int, int]] | None = None,
        memory_device: str = 'cuda',
        handover: Handover | None = None,
        ships_in: str | None = None,
    ) -> None:
        self.model_cfg, self.input_shape, self.table = model_cfg, tuple(input_shape), table
        self.memory_input, self.memory_device = memory_input, memory_device
        self.handover, self.ships_in = handover, ships_in
        self._known: dict[str, dict[str, float]] = {}
        self.post_processing_ms = 0.0
        self.blocks: Blocks | None = None

    def __call__(self, arch: Architecture) -> dict[str, float]:
        """``params_m``, ``macs_g``, all of :func:`register_cost`, with a table ``latency_ms``, with a ``memory_input``
        ``memory_gb`` (1e9 bytes), with ``ships_in`` ``file_mb`` and ``run_mb`` (1e6 bytes).
        """
        if arch.archid not in self._known:
            self._known[arch.archid] = self._price(self._trained(arch))
        return self._known[arch.archid]

    def _trained(self, arch: Architecture) -> Architecture:
        return self.handover.arch(arch) if self.handover else arch

    @property
    def _base_channels(self) -> int | None:
        return self.handover.base_channels if self.handover else None

    def network(self, arch: Architecture) -> nn.Module:
        """What will be trained and shipped where ``arch`` was found, see :func:`shipped_network`."""
        return shipped_network(self.model_cfg, self._trained(arch), self._base_channels)

    def _price(self, arch: Architecture) -> dict[str, float]:
        network = cache(partial(self.network, arch))  # built where it is needed
        own = {name: float(cost(network(), self.input_shape)) for name, cost in _own_costs.items()}
        counts = self._count(arch, network)  # may fuse the network
        costs = dict(params_m=counts.params / 1e6, macs_g=counts.macs.total_g) | own
        if self.table is not None:
            latency = self.table.look_up(counts.parts)
            latency = self.table.predict(fuse_conv_bn(network())) if latency is None else latency
            costs['latency_ms'] = latency + self.post_processing_ms
        if self.ships_in is not None:
            costs |= vars(shipped_size(fuse_conv_bn(network()), self.input_shape, self.ships_in))
        if self.memory_input is not None:
            batch, crop_hw = self.memory_input
            with torch.device('meta'):
                trained = training_network(subnet_model_cfg(self.model_cfg, arch, self._base_channels))
            loss = partial(training_loss, batch=batch, crop_hw=crop_hw)
            costs['memory_gb'] = predict_training_memory(trained, loss, self.memory_device).total_gb
        return costs

    def _count(self, arch: Architecture, network: Callable[[], nn.Module]) -> Counts:
        ship = fuse_conv_bn if self.table is not None else None
        learn = self.table.learn if isinstance(self.table, FittedTable) else None
        if self.blocks is None:
            self.blocks = Blocks(network(), arch, self.input_shape, ship, learn)
            if self.blocks.problem:
                text = f'every candidate is built to be counted, which takes long: {self.blocks.problem}'
                print_log(text, 'current', logging.WARNING)
            return self.blocks.first
        if self.blocks.problem:
            return count(network(), [self.input_shape], ship, learn)
        return self.blocks.count(arch)

    @property
    def measured_on(self) -> str | None:
        """In words, the target whose latency is priced and its device; None where that is the search's own."""
        if not isinstance(self.table, FittedTable):
            return None
        return f'{self.table.measured_on["device"]}, {self.table.target}, {self.table.target.threads} threads'

    def parts(self, arch: Architecture) -> tuple[str, ...]:
        """Keys of the parts of an architecture's network, in their order; a table of a target learns them."""
        return self._count(self._trained(arch), cache(partial(self.network, arch))).parts

    def add_post_processing(self, model: nn.Module, batches: Sequence[Mapping[str, Any]], settings: str = '') -> None:
        """Adds to every latency what comes after the network: upsampling, classes, and grouping into instances.

        That depends on images, not on architectures, so it is one number: the median over images of whole prediction
        less network.

        Args:
            model: Any network of the space, in eval mode.
            batches: Validation batches.
            settings: Whatever else it depends on; the table keeps one number for each.
        """
        if not isinstance(self.table, LatencyTable):
            return
        sizes = [tuple(image.shape) for batch in batches for image in batch['inputs']]
        key = hashlib.sha1(f'{settings} {sizes}'.encode()).hexdigest()[:12]
        if key not in self.table.post_processing_ms:
            self.table.post_processing_ms[key] = self._measure_post_processing(self.table, model, batches)
            self.table.save()
        self.post_processing_ms = self.table.post_processing_ms[key]

    @staticmethod
    def _measure_post_processing(table: LatencyTable, model: nn.Module, batches: Sequence[Mapping[str, Any]]) -> float:
        times = []
        for batch in batches:
            data = model.data_preprocessor(copy.deepcopy(batch), False)
            whole = measure_latency(
                partial(model, **data, mode='predict'), table.device, table.seconds, table.seconds / 4
            )
            network = measure_latency(partial(model, data['inputs']), table.device, table.seconds, table.seconds / 4)
            times.append((whole.median_ms - network.median_ms) / len(data['inputs']))
        return max(0.0, statistics.median(times))

    def fit_overhead(self, archs: Sequence[Architecture]) -> None:
        """Fits the table's constant on whole networks."""
        if isinstance(self.table, LatencyTable):
            self.table.fit_overhead([fuse_conv_bn(self.network(arch)) for arch in archs])
