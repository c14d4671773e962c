"""An evaluator of one's own: untrained networks, judged by how differently their layers see images."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmengine.runner import Runner
from torch import Tensor, nn

from hyctas_mm.archs import Architecture
from hyctas_mm.evaluators import Job, Outcome
from hyctas_mm.models.layers import ConvBN
from hyctas_mm.models.subnet import subnet_model_cfg
from hyctas_mm.registry import EVALUATORS, MODELS
from hyctas_mm.search import Candidate


@EVALUATORS.register_module()
class ActivationPatterns:
    """Which units fire on an image should tell it from others.

    NAS without training: Mellor et al., https://arxiv.org/abs/2006.04647. Gives the metric ``patterns``; larger is
    better.

    Args:
        runner: Its train loop is the search.
        images: How many validation images to look at.
        seed: Seed of the weights.
    """

    def __init__(self, runner: Runner, images: int = 8, seed: int = 0) -> None:
        loader = runner.val_loop.dataloader
        self._batch = loader.collate_fn([loader.dataset[i] for i in range(images)])
        self._device = next(runner.model.parameters()).device
        self._model_cfg, self._seed = runner.cfg.model.to_dict(), seed

    def identity(self) -> dict[str, Any]:
        return dict(images=[sample.img_path for sample in self._batch['data_samples']], seed=self._seed)

    def evaluate(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        for job in jobs:
            torch.manual_seed(self._seed)  # the same architecture is judged the same at any time
            network = MODELS.build(subnet_model_cfg(self._model_cfg, job.arch)).to(self._device)
            code = self._code(network)  # (images, units)
            alike = code @ code.T + (1 - code) @ (1 - code).T
            yield Outcome(dict(patterns=float(torch.linalg.slogdet(alike / code.shape[1]).logabsdet)))

    @torch.no_grad()
    def _code(self, network: nn.Module) -> Tensor:
        """1 where a unit fires on an image, else 0."""
        fired: list[Tensor] = []
        for part in network.modules():
            if isinstance(part, ConvBN):
                part.register_forward_hook(lambda module, inputs, output: fired.append((output > 0).flatten(1)))
        network(network.data_preprocessor(copy.deepcopy(self._batch), False)['inputs'])
        return torch.cat(fired, dim=1).float()

    def network(self, arch: Architecture) -> None:
        """No weights worth exporting: the chosen networks get their config and drawing only."""

    def observe(self, candidates: Sequence[Candidate]) -> None:
        """Nothing is learnt from other candidates."""
