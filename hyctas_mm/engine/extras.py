"""What retraining may add to the config of a network: averaged weights, a teacher, weights to begin with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from hyctas_mm.engine.transfer import begin_with
from hyctas_mm.errors import BadValue

LEAST_MOMENTUM, MOST_MOMENTUM = 0.0002, 0.1


@dataclass(frozen=True)
class Extras:
    """What retraining adds.

    Attributes:
        ema: Momentum of the exponential average of weights that is validated, tested and kept, below 1; 0 for an
            average over about a sixth of the training, None for the weights of the last step.
        teacher: Config and checkpoint of a network to learn from, see
            :class:`~hyctas_mm.engine.distilled_segmentor.DistilledSegmentor`.
        init: Another job, training or file whose weights it begins with, see
            :class:`~hyctas_mm.engine.transfer.TransferHook`.
    """

    ema: float | None = None
    teacher: tuple[Path, Path] | None = None
    init: Path | None = None

    def __post_init__(self) -> None:
        if self.ema is not None and not 0 <= self.ema < 1:
            raise BadValue(f'--ema {self.ema:g}; expected a momentum below 1, e.g. 0.02 for an average of 50 steps')

    def add_to(self, cfg: Config) -> None:
        """Changes a training config in place.

        Raises:
            ValueError: If the training has no length to choose the momentum by, or the network is no plain semantic
                one, which a teacher wants.
            FileNotFoundError: If there are no weights to begin with.
        """
        if self.ema is not None:
            momentum = self.ema or _momentum(cfg)
            others = [hook for hook in cfg.get('custom_hooks') or () if hook['type'] != 'EMAHook']
            # statistics of batch norm are averaged too: those of the last step are of other weights
            cfg.custom_hooks = [*others, dict(type='EMAHook', momentum=momentum, update_buffers=True)]
        if self.init is not None:
            begin_with(cfg, self.init)
        if self.teacher is not None:
            if cfg.model.type != 'EncoderDecoder':
                raise BadValue(
                    f'--teacher: the network is a {cfg.model.type}, and only semantic networks (EncoderDecoder) have '
                    'teachers; leave it out'
                )
            config, checkpoint = (str(path.resolve()) for path in self.teacher)
            cfg.model.update(type='DistilledSegmentor', teacher=dict(config=config, checkpoint=checkpoint))

    def noted(self) -> dict[str, Any]:
        """What differs from plain retraining, for ``results.json``."""
        found: dict[str, Any] = {} if self.ema is None else dict(ema=self.ema)
        found |= {} if self.teacher is None else dict(teacher=[str(path) for path in self.teacher])
        return found if self.init is None else found | dict(init=str(self.init))


PLAIN = Extras()
"""Nothing is added."""


def _momentum(cfg: Config) -> float:
    steps = cfg.train_cfg.get('max_iters')
    if not steps:
        raise BadValue('--ema: the training counts epochs; give a momentum, e.g. --ema 0.0002')
    return min(MOST_MOMENTUM, max(LEAST_MOMENTUM, 6 / int(steps)))
