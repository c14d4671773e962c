"""How a search prices architectures: while it runs, and from its ``search.json`` when it is finished."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import nn

from hyctas_mm.archs import Handover, SearchSpace
from hyctas_mm.costs import FittedTable, LatencyTable, Target
from hyctas_mm.engine.candidate_costs import CandidateCosts
from hyctas_mm.engine.scoring import evaluation_text, load_batches
from hyctas_mm.engine.target_table import build_table
from hyctas_mm.errors import BadValue, NoSuchFile
from hyctas_mm.models.subnet import pad_divisor
from hyctas_mm.search.evaluator import Evaluator
from hyctas_mm.search.folder import POST_PROCESSING_MS, SearchFolder

LATENCY_TABLE = 'latency_table.json'
POST_PROCESSING_BATCHES = 5


@dataclass(frozen=True)
class Pricing:
    """How a search prices architectures.

    Args:
        input_hw: Height and width that costs are measured at.
        names: The objectives and bounds; costs that are dear to know are known only where they are among them.
        latency_table: File of the latency table, kept between searches; default ``WORK_DIR/latency_table.json``.
        latency_seconds: Time to measure each part of the latency table.
        target: What networks ship to, e.g. ``dict(runtime='openvino', precision='int8', threads=1)``, see
            :class:`~hyctas_mm.costs.Target`: ``latency_ms`` is then that on the target, by a table fitted to whole
            networks, see :class:`~hyctas_mm.costs.FittedTable`. None: in eager PyTorch on the search's own device, by a
            table of parts.
        latency_networks: Networks that are measured for the table of a target.
        latency_error: Median error on networks left out above which a table of a target is refused.
        memory_input: For ``memory_gb``: images of a training step and their height and width, e.g. ``(8, (160, 224))``.
        memory_device: For ``memory_gb``: where networks will be trained, ``'cuda'`` or ``'cpu'``.
        post_processing: Whether ``latency_ms`` includes what comes after the network, measured on a few validation
            images.
        handover: ``base_channels`` and ``low_level`` of the networks that will be trained, whose prices these are, e.g.
            ``dict(base_channels=12, low_level='s4')``; None for the supernet's. See
            :class:`~hyctas_mm.archs.Handover`.

    Raises:
        ValueError: For an ``input_hw`` of no size, a ``memory_gb`` without its ``memory_input``, or a wrong target.
    """

    input_hw: Sequence[int]
    names: Collection[str]
    latency_table: str | None = None
    latency_seconds: float = 0.1
    memory_input: Sequence[Any] | None = None
    memory_device: str = 'cuda'
    post_processing: bool = False
    handover: Mapping[str, Any] | None = None
    target: Mapping[str, Any] | None = None
    latency_networks: int = 80
    latency_error: float = 0.1

    def __post_init__(self) -> None:
        if len(self.input_hw) != 2 or min(self.input_hw) < 1:
            raise BadValue(
                f'train_cfg: input_hw={tuple(self.input_hw)}; expected height and width in pixels, e.g. (227, 320)'
            )
        if 'memory_gb' in self.names and self.memory_input is None:
            raise BadValue(
                'memory_gb is an objective or bound: give memory_input=(batch, (height, width)) in train_cfg, those '
                'of the training it is meant for'
            )
        if self.target is not None:
            Target.read(self.target)
            if self.post_processing:
                raise BadValue(
                    'train_cfg.post_processing: what comes after a network is not known on a target; leave it or '
                    'target out'
                )

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Pricing:
        """From the settings of a search."""
        names = {wanted['name'] for key in ('objectives', 'bounds') for wanted in settings[key]}
        # searches of before there were targets have none
        return cls(names=names, **{key: settings[key] for key in (*_NOTED, 'latency_error') if key in settings})

    def settings(self) -> dict[str, Any]:
        """What prices depend on, for ``search.json``."""
        of_target = dict(latency_error=self.latency_error) if self.target else {}
        return {key: getattr(self, key) for key in _NOTED} | of_target

    def trained(self, space: SearchSpace) -> Handover:
        """How networks found in ``space`` will be trained.

        Raises:
            ValueError: If ``handover`` cannot be read, or names the low level that the space searches.
        """
        handover = Handover.read(self.handover, space.base_channels)
        if handover.low_level is not None and len(space.low_levels) > 1:
            raise BadValue(
                f'train_cfg: handover has low_level={handover.low_level!r}, but the space searches the low level '
                f'({", ".join(space.low_levels)}): candidates that differ in it would be one network; leave it out'
            )
        return handover

    def costs(
        self,
        space: SearchSpace,
        folder: Path,
        model_cfg: Mapping[str, Any],
        device: torch.device,
        handover: Handover | None = None,
    ) -> CandidateCosts:
        """Prices architectures, less what comes after the network.

        Args:
            space: The search space.
            folder: Folder of the search; its latency table lies beside it unless another is named.
            model_cfg: Model config of its supernet, or of any of its networks.
            device: Where latency is measured.
            handover: How networks are trained where that is not the search's own way. A target's table does not know
                these, so they get no latency there.

        Raises:
            ValueError: If the latency table was measured under other conditions, or of other networks.
        """
        own = self.trained(space)
        handover = handover or own
        shape = (1, 3, *self.input_hw)
        table: LatencyTable | FittedTable | None = None
        memory: tuple[int, tuple[int, int]] | None = None
        if 'latency_ms' in self.names and (self.target is None or handover == own):
            path = self.latency_table or folder.with_name(LATENCY_TABLE)
            if self.target is None:
                table = LatencyTable(path, device, shape, self.latency_seconds)
            else:
                table = FittedTable(path, Target.read(self.target), shape, own.of(space))
        if 'memory_gb' in self.names and self.memory_input is not None:  # pricing it takes half a second
            batch, (height, width) = self.memory_input
            memory = int(batch), (int(height), int(width))
        ships_in = None
        if {'file_mb', 'run_mb'} & set(self.names):  # takes a tenth of a second
            ships_in = Target.read(self.target).precision if self.target else 'fp32'
        costs = CandidateCosts(model_cfg, shape, table, memory, self.memory_device, handover, ships_in)
        if isinstance(table, FittedTable):
            if not table.weights:
                _log(f'{table.path}: is not there, so {table.target} is measured on this machine')
                options: dict[str, Any] = dict(networks=self.latency_networks, enough=self.latency_error)
                build_table(costs, space, table.target.place(device), say=_log, **options)
            table.require(self.latency_error)
        elif table is not None and table.overhead_ms is None:
            rng = np.random.default_rng(0)
            costs.fit_overhead([space.sample(rng) for _ in range(5)])
        return costs


_NOTED = ('input_hw', 'latency_table', 'memory_input', 'memory_device', 'post_processing', 'target', 'handover')


def _log(text: str) -> None:
    print_log(text, 'current')


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
        raise BadValue(
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
        raise BadValue(
            'train_cfg.post_processing: with several scales or flip the network runs several times, which is no '
            'constant; leave one of them out'
        )
    network = evaluator.network(space.sample(np.random.default_rng(0)))
    if network is None:
        raise BadValue(
            f'train_cfg.post_processing: {type(evaluator).__name__} has no network to measure it with; leave it out'
        )
    loader = runner.val_loop.dataloader
    images = range(min(POST_PROCESSING_BATCHES * loader.batch_size, len(loader.dataset)))
    costs.add_post_processing(network, list(load_batches(loader, images)), evaluation_text(runner.cfg))


def finished_search_costs(
    search: SearchFolder, model_cfg: Mapping[str, Any], handover: Handover | None = None
) -> CandidateCosts:
    """Prices architectures as a finished search did, so that their costs may stand beside those of its archive.

    Args:
        search: The search.
        model_cfg: Model config of one of its networks.
        handover: How networks are trained, if not as the search exports them.

    Raises:
        FileNotFoundError: If its settings cannot be used.
        ValueError: If the latency table was measured under other conditions.
    """
    pricing = Pricing.of(search.settings)
    table = Path(pricing.latency_table or search.path.with_name(LATENCY_TABLE))
    if pricing.target and not table.is_file():
        raise NoSuchFile(f'{table}: the latency table of {search.path} is not there; put it back to compare costs')
    costs = pricing.costs(search.space, search.path, model_cfg, torch.device(get_device()), handover)
    costs.post_processing_ms = search.settings[POST_PROCESSING_MS]
    return costs
