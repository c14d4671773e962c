"""The costs of a candidate, known before it is evaluated."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from mmcv.cnn.utils import fuse_conv_bn
from torch import nn

from hyctas_mm.archs import Architecture
from hyctas_mm.costs import LatencyTable, count_macs, count_params, measure_latency
from hyctas_mm.models.subnet import drop_training_parts, subnet_model_cfg
from hyctas_mm.registry import MODELS


def shipped_network(model_cfg: Mapping[str, Any], arch: Architecture) -> nn.Module:
    """The network that would ship, on the meta device: fixed, in eval mode, without auxiliary heads, batch norm not yet fused."""
    with torch.device('meta'):
        model: nn.Module = MODELS.build(subnet_model_cfg(model_cfg, arch))
    return drop_training_parts(model).eval()


class CandidateCosts:
    """Params and MACs of architectures, and their latency where a table is given; each architecture is priced once.

    Args:
        model_cfg: The supernet's model config.
        input_shape: Shape of the input, (1, 3, H, W).
        table: Latency table, or None to leave the latency out.
    """

    def __init__(self, model_cfg: Mapping[str, Any], input_shape: Sequence[int], table: LatencyTable | None = None) -> None:
        self.model_cfg, self.input_shape, self.table = model_cfg, tuple(input_shape), table
        self._known: dict[str, dict[str, float]] = {}
        self._post_processing_ms = 0.0

    def __call__(self, arch: Architecture) -> dict[str, float]:
        """``params_m``, ``macs_g`` and, with a table, ``latency_ms``."""
        if arch.archid not in self._known:
            self._known[arch.archid] = self._price(arch)
        return self._known[arch.archid]

    def _price(self, arch: Architecture) -> dict[str, float]:
        model = shipped_network(self.model_cfg, arch)
        costs = dict(params_m=count_params(model) / 1e6, macs_g=count_macs(model, self.input_shape).total_g)
        if self.table is not None:
            costs['latency_ms'] = self.table.predict(fuse_conv_bn(model)) + self._post_processing_ms
        return costs

    def add_post_processing(self, model: nn.Module, batches: Sequence[Mapping[str, Any]]) -> None:
        """Adds to every latency what comes after the network: upsampling, classes, and grouping into instances.

        That depends on images, not on architectures, so it is one number: the median over images of whole prediction less network.

        Args:
            model: Any network of the space, in eval mode.
            batches: Validation batches.
        """
        if self.table is None:
            return
        if self.table.post_processing_ms is None:
            self.table.post_processing_ms = self._measure_post_processing(self.table, model, batches)
            self.table.save()
        self._post_processing_ms = self.table.post_processing_ms

    @staticmethod
    def _measure_post_processing(table: LatencyTable, model: nn.Module, batches: Sequence[Mapping[str, Any]]) -> float:
        times = []
        for batch in batches:
            data = model.data_preprocessor(copy.deepcopy(batch), False)
            whole = measure_latency(partial(model, **data, mode='predict'), table.device, table.seconds, table.seconds / 4)
            network = measure_latency(partial(model, data['inputs']), table.device, table.seconds, table.seconds / 4)
            times.append((whole.median_ms - network.median_ms) / len(data['inputs']))
        return max(0.0, statistics.median(times))

    def fit_overhead(self, archs: Sequence[Architecture]) -> None:
        """Fits the table's constant on whole networks."""
        if self.table is not None:
            self.table.fit_overhead([fuse_conv_bn(shipped_network(self.model_cfg, arch)) for arch in archs])
