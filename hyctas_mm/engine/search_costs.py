"""How a search prices architectures: while it runs, and from its ``search.json`` when it is finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.device import get_device
from mmengine.runner import Runner
from torch import nn

from hyctas_mm.archs import SearchSpace
from hyctas_mm.costs import LatencyTable
from hyctas_mm.engine.candidate_costs import CandidateCosts
from hyctas_mm.engine.deploy.whole_net import pad_divisor
from hyctas_mm.engine.scoring import evaluation_text, load_batches
from hyctas_mm.search.evaluator import Evaluator
from hyctas_mm.search.folder import POST_PROCESSING_MS, SearchFolder

LATENCY_TABLE = 'latency_table.json'
POST_PROCESSING_BATCHES = 5


def search_costs(
    settings: Mapping[str, Any], folder: Path, model_cfg: Mapping[str, Any], device: torch.device, seconds: float = 0.1
) -> CandidateCosts:
    """Prices architectures as a search with these settings does, less what comes after the network.

    Args:
        settings: Of them ``search_space``, ``objectives``, ``bounds``, ``input_hw``, ``latency_table``,
            ``memory_input`` and ``memory_device`` count.
        folder: Folder of the search; its latency table lies beside it unless the settings name another.
        model_cfg: Model config of its supernet, or of any of its networks.
        device: Where latency is measured.
        seconds: Time to measure each part that the table lacks.

    Raises:
        ValueError: If the latency table was measured under other conditions.
    """
    shape = (1, 3, *settings['input_hw'])
    table = None
    if 'latency_ms' in {wanted['name'] for key in ('objectives', 'bounds') for wanted in settings[key]}:
        table = LatencyTable(settings['latency_table'] or folder.with_name(LATENCY_TABLE), device, shape, seconds)
    memory = settings['memory_input']
    memory_input = memory and (int(memory[0]), (int(memory[1][0]), int(memory[1][1])))
    costs = CandidateCosts(model_cfg, shape, table, memory_input, settings['memory_device'])
    if table is not None and table.overhead_ms is None:
        space, rng = SearchSpace.from_dict(settings['search_space']), np.random.default_rng(0)
        costs.fit_overhead([space.sample(rng) for _ in range(5)])
    return costs


def check_padding(model: nn.Module, input_hw: Sequence[int]) -> None:
    """Costs at a size that images are padded from would not be those of what ships.

    Args:
        model: A network, with its data preprocessor.
        input_hw: Height and width that costs are asked at.

    Raises:
        ValueError: Naming the size to ask at.
    """
    multiple = pad_divisor(model)
    if any(side % multiple for side in input_hw):
        height, width = (-(-side // multiple) * multiple for side in input_hw)
        raise ValueError(
            f'train_cfg: input_hw={tuple(input_hw)}, but images are padded to multiples of {multiple} '
            f'(data_preprocessor); costs are those of what ships there: give input_hw=({height}, {width})'
        )


def add_post_processing(costs: CandidateCosts, runner: Runner, evaluator: Evaluator, space: SearchSpace) -> None:
    """Adds to the latencies what comes after a network, measured on a few validation images.

    Args:
        costs: Prices architectures.
        runner: Has the validation images.
        evaluator: Gives a network to measure with.
        space: The search space, of which it is a member.

    Raises:
        ValueError: If that is no constant, or there is no network.
    """
    if costs.table is None:
        return
    test_cfg = runner.cfg.model.get('test_cfg') or {}
    if test_cfg.get('flip') or len(test_cfg.get('scales') or (1,)) > 1:
        raise ValueError(
            'train_cfg.post_processing: with several scales or flip the network runs several times, which is no constant; leave one of them out'
        )
    network = evaluator.network(space.sample(np.random.default_rng(0)))
    if network is None:
        raise ValueError(f'train_cfg.post_processing: {type(evaluator).__name__} has no network to measure it with; leave it out')
    loader = runner.val_loop.dataloader
    images = range(min(POST_PROCESSING_BATCHES * loader.batch_size, len(loader.dataset)))
    costs.add_post_processing(network, list(load_batches(loader, images)), evaluation_text(runner.cfg))


def finished_search_costs(search: SearchFolder, model_cfg: Mapping[str, Any]) -> CandidateCosts:
    """Prices architectures as a finished search did, so that their costs may stand beside those of its archive.

    Args:
        search: The search.
        model_cfg: Model config of one of its networks.

    Raises:
        FileNotFoundError: If its settings cannot be used.
        ValueError: If the latency table was measured under other conditions.
    """
    costs = search_costs(search.settings, search.path, model_cfg, torch.device(get_device()))
    costs.post_processing_ms = search.settings[POST_PROCESSING_MS]
    return costs
