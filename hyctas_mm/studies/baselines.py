"""Scores of networks that nobody trained: what any way of judging must be better than."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from hyctas_mm.archs import Architecture
from hyctas_mm.engine.configs import use_scope
from hyctas_mm.engine.progress import Progress
from hyctas_mm.engine.scoring import load_batches, seeded
from hyctas_mm.models.subnet import build_subnet

RELU = {F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}


def naswot(network: nn.Module, images: Tensor) -> float:
    """How differently the ReLUs see the images of a batch (Mellor et al., https://arxiv.org/abs/2006.04647).

    The logarithm of the determinant of the matrix that counts, for each two images, at how many places the ReLUs are on
    for both or off for both.

    Args:
        network: As it is initialised; its batch norm uses the batch.
        images: (N, 3, H, W), as the network takes them.
    """
    network = copy.deepcopy(network).train()
    codes = _Codes(len(images))
    with codes, torch.no_grad():
        network(images)
    return float(np.linalg.slogdet(codes.alike)[1])


def synflow(network: nn.Module, images: Tensor) -> float:
    """Logarithm of the product of weights along all paths, summed (Tanaka et al., https://arxiv.org/abs/2006.05467).

    The sum over parameters of value times gradient of the outputs' sum, with all parameters made positive and an image
    of ones; the batch norm is in eval mode.

    Args:
        network: As it is initialised.
        images: For their size only.
    """
    network = copy.deepcopy(network).double().eval()
    with torch.no_grad():
        for value in network.parameters():
            value.abs_()
    total = sum(output.sum() for output in _tensors(network(torch.ones_like(images[:1], dtype=torch.double))))
    parameters = [p for p in network.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    flow = sum(float((p * g).abs().sum()) for p, g in zip(parameters, gradients, strict=True) if g is not None)
    return float(np.log(flow))


BASELINES: dict[str, Callable[[nn.Module, Tensor], float]] = {'NASWOT': naswot, 'synflow': synflow}
"""By name; the logarithms of parameters and MACs need no network."""


def measure_baselines(
    recipe: Config, networks: list[Mapping[str, Any]], base_channels: int, known: Mapping[str, Mapping[str, float]] = {}
) -> dict[str, dict[str, float]]:
    """Baselines of landmarks, each built with the same seed and shown the same training images.

    Args:
        recipe: Training config of any fixed network.
        networks: Entries of landmarks.
        base_channels: The filter multiplier.
        known: What is known already.

    Returns:
        Scores by name and archid.
    """
    found = {name: dict(known.get(name, {})) for name in BASELINES}
    todo = [n for n in networks if any(n['archid'] not in scores for scores in found.values())]
    if not todo:
        return found
    use_scope(recipe)
    loader = Runner.build_dataloader(dict(recipe.train_dataloader.to_dict(), num_workers=0, persistent_workers=False))
    with seeded(0):
        batch = next(load_batches(loader, range(loader.batch_size)))
    progress = Progress('baselines', len(todo))
    for done, entry in enumerate(todo, 1):
        with seeded(0):
            network = build_subnet(recipe.model, Architecture.from_dict(entry['arch']), base_channels)
            network.init_weights()
        images = network.data_preprocessor(copy.deepcopy(batch), True)['inputs']
        for name, baseline in BASELINES.items():
            with seeded(0):
                found[name][entry['archid']] = baseline(network, images)
        progress.update(done)
    return found


class _Codes(TorchFunctionMode):
    """Watches ReLUs, as functions and in modules; counts where two images are alike."""

    def __init__(self, images: int) -> None:
        super().__init__()
        self.alike = np.zeros((images, images))

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if function in RELU:
            on = (result > 0).flatten(1).float()
            if len(on) == len(self.alike):
                self.alike += (on @ on.T + (1 - on) @ (1 - on).T).double().numpy(force=True)
        return result


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    else:
        for part in output.values() if isinstance(output, Mapping) else output:
            yield from _tensors(part)
