"""A search config made ready to judge architectures, without searching."""

from __future__ import annotations

import time
from pathlib import Path

from mmengine.config import Config

from hyctas_mm.engine.candidate_costs import CandidateCosts
from hyctas_mm.engine.configs import build_runner, check_is_search
from hyctas_mm.engine.progress import quiet_runners
from hyctas_mm.engine.search_loop import SearchLoop
from hyctas_mm.errors import BadValue
from hyctas_mm.search.evaluator import Evaluator
from hyctas_mm.search.objectives import score_of


class OpenSearch:
    """The parts of a search: space, evaluator, costs, and the config its networks are trained with.

    Args:
        cfg: Config of a search.
        folder: Where logs go.

    Attributes:
        loop: The search loop as the config says, not run.
        space: The search space.
        score: Name of the score.

    Raises:
        ValueError: If the config is none of a search, or calibrates on images that it scores on.
    """

    def __init__(self, cfg: Config, folder: Path) -> None:
        check_is_search(cfg)
        cfg = cfg.copy()
        cfg.work_dir = str(folder)
        cfg.experiment_name = f'evidence-{time.monotonic_ns()}'  # mmengine wants one name a runner
        with quiet_runners():
            loop = build_runner(cfg, 'train', 'val').train_loop
        if not isinstance(loop, SearchLoop):
            raise BadValue(f'{cfg.filename}: {type(loop).__name__} is no SearchLoop; derive it from that one')
        self.loop, self.space = loop, loop.space
        self.score = score_of(loop.objectives).name

    def evaluator(self, supernet: str | Path | None = None) -> Evaluator:
        """The search's evaluator, with a supernet in place of the config's if given."""
        return self.loop.build_evaluator(**({} if supernet is None else dict(supernet=supernet)))

    def sizes(self) -> CandidateCosts:
        """Params and MACs of architectures, for which nothing is measured."""
        return CandidateCosts(self.loop.runner.cfg.model.to_dict(), (1, 3, *self.loop.pricing.input_hw))
