"""The adaptive multi-output decode head, for mmseg."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.utils import SampleList
from torch import Tensor, nn

from hyctas_mm.archs import Architecture, SearchSpace, num_channels
from hyctas_mm.errors import BadValue
from hyctas_mm.models.backbones.hyctas import RELEASE_INIT, BranchFeatures
from hyctas_mm.models.decode_heads.adaptive import AdaptiveHead, Arch, read_space
from hyctas_mm.models.layers import MakeBlock, resize
from hyctas_mm.models.losses import UpsampledCELoss
from hyctas_mm.registry import MODELS

EPSILON = torch.finfo(torch.float32).eps


@MODELS.register_module()
class HyCTASHead(AdaptiveHead, BaseDecodeHead):
    """Aggregates the outputs of any HyCTAS architecture and predicts classes (paper section 3.2), see
    :class:`AdaptiveHead`.

    The head reads the backbone's ``outputs='branches'``.

    Args:
        arch: As in :class:`~hyctas_mm.models.backbones.HyCTASBackbone`.
        search_space: As in :class:`~hyctas_mm.models.backbones.HyCTASBackbone`.
        base_channels: As in :class:`~hyctas_mm.models.backbones.HyCTASBackbone`.
        num_classes: Number of classes.
        aux_weight: Weight of each auxiliary loss; 0 builds no auxiliary heads.
        norm_cfg: Norm layers; ``BN`` or ``SyncBN`` in a supernet.
        dropout_ratio: Dropout before the predictor.
        node_cfg: The fusing node of the aggregation.
        shared_trunk: Of a supernet: whether all output combinations share the trunks behind their aggregations.
        init_cfg: mmengine's initialisation; by default that of the release.
        **kwargs: ``loss_decode``, ``ignore_index``, ``sampler``, ``align_corners`` and so on, see mmseg's
            ``BaseDecodeHead``.

    Raises:
        ValueError: If not exactly one of ``arch`` and ``search_space`` is given, or ``UpsampledCELoss`` is given
            together with other losses or a ``sampler``.
    """

    def __init__(
        self,
        arch: Arch | None = None,
        search_space: Mapping[str, Any] | SearchSpace | None = None,
        base_channels: int = 8,
        *,
        num_classes: int,
        aux_weight: float = 0.2,
        norm_cfg: Mapping[str, Any] = dict(type='BN'),
        dropout_ratio: float = 0.0,
        node_cfg: Mapping[str, Any] = dict(type='HyCTASNode'),
        shared_trunk: bool = False,
        init_cfg: Any = RELEASE_INIT,
        **kwargs: Any,
    ) -> None:
        space = read_space('HyCTASHead', arch, search_space)
        fused = num_channels(8, 12, space.base_channels if space else base_channels)
        init_cfg = [dict(c) for c in init_cfg] if isinstance(init_cfg, tuple) else init_cfg
        BaseDecodeHead.__init__(
            self,
            fused,
            fused,
            num_classes=num_classes,
            norm_cfg=dict(norm_cfg),
            dropout_ratio=dropout_ratio,
            init_cfg=init_cfg,
            **kwargs,
        )
        del self.conv_seg, self.dropout  # each trunk has its own
        kinds = self.loss_decode if isinstance(self.loss_decode, nn.ModuleList) else [self.loss_decode]
        self._small_logits = any(isinstance(loss, UpsampledCELoss) for loss in kinds)
        if self._small_logits and (kinds is self.loss_decode or self.sampler is not None):
            raise BadValue(
                'HyCTASHead: UpsampledCELoss never has logits of full size for other losses or for a sampler; give it '
                "alone, or take mmseg's CrossEntropyLoss"
            )
        tasks = dict(semantic=dict(semantic=self.out_channels))
        self.build_parts(
            *(
                arch,
                space,
                base_channels,
                tasks,
                aux_weight,
                norm_cfg,
                dropout_ratio,
                node_cfg,
                self.align_corners,
                shared_trunk,
            )
        )

    def forward(self, inputs: BranchFeatures) -> Tensor:
        """Logits of the main head, (B, classes, H/8, W/8), at stride 4 with low-level fusion."""
        return self.predict_maps(inputs)['main']['semantic']

    def compose(self, arch: Architecture, features: BranchFeatures, block: MakeBlock) -> Any:
        """What :meth:`forward` does for ``arch``, with shapes for maps; see :class:`~hyctas_mm.costs.Blocks`."""
        return self.compose_maps(arch, features, block)['semantic']

    def loss(self, inputs: BranchFeatures, batch_data_samples: SampleList, train_cfg: Any) -> dict[str, Tensor]:
        """Losses of the main head and, as ``aux16.*`` and ``aux32.*``, of the auxiliary heads times ``aux_weight``."""
        maps = self.predict_maps(inputs)
        losses = self.loss_by_feat(maps.pop('main')['semantic'], batch_data_samples)
        labels = self._stack_batch_gt(batch_data_samples)
        for name, outputs in maps.items():
            extra = self._losses(outputs['semantic'], labels)
            losses.update({f'{name}.{k}': v * self.aux_weight for k, v in extra.items()})
        return losses

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """As mmseg's; its ``acc_seg`` selects pixels by a mask, for which it waits for the device twice a step."""
        labels = self._stack_batch_gt(batch_data_samples)  # (B, 1, H, W)
        if self._small_logits:
            return self._losses(seg_logits, labels)
        seg_logits = resize(seg_logits, labels.shape[2:], self.align_corners)
        losses = self._losses(seg_logits, labels)
        losses['acc_seg'] = pixel_accuracy(seg_logits, labels.squeeze(1), self.ignore_index)
        return losses

    def _losses(self, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Losses of logits (B, classes, h, w) for labels (B, 1, H, W).

        Of the auxiliary heads nothing else is told: their accuracy would cost time.
        """
        if self._small_logits:
            loss = self.loss_decode(logits, labels.squeeze(1), self.align_corners, self.ignore_index)
            return {self.loss_decode.loss_name: loss}
        logits = resize(logits, labels.shape[2:], self.align_corners)
        weight = None if self.sampler is None else self.sampler.sample(logits, labels)
        found: dict[str, Tensor] = {}
        for loss in self.loss_decode if isinstance(self.loss_decode, nn.ModuleList) else [self.loss_decode]:
            value = loss(logits, labels.squeeze(1), weight=weight, ignore_index=self.ignore_index)
            found[loss.loss_name] = found[loss.loss_name] + value if loss.loss_name in found else value
        return found


def pixel_accuracy(logits: Tensor, labels: Tensor, ignore_index: int | None) -> Tensor:
    """Percent of the labelled pixels whose class is right, computed as mmseg's ``accuracy`` but on the device alone.

    Args:
        logits: (B, classes, H, W).
        labels: (B, H, W).
        ignore_index: Label of pixels that do not count.

    Returns:
        (1,).
    """
    right = logits.max(1).indices == labels
    if ignore_index is None:
        return right.float().sum().view(1) * (100.0 / (labels.numel() + EPSILON))
    labelled = labels != ignore_index
    share = (100.0 / (labelled.sum().double() + EPSILON)).float()
    return (right & labelled).float().sum().view(1) * share
