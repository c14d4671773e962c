"""A search config made ready to score architectures, without searching."""

from __future__ import annotations

import time
from pathlib import Path

from mmengine.config import Config

from hyctas_mm.archs import SearchSpace
from hyctas_mm.engine.candidate_costs import CandidateCosts
from hyctas_mm.engine.checkpoint import load_supernet
from hyctas_mm.engine.cli import build_runner, check_is_search
from hyctas_mm.engine.evidence.score_objective import score_of
from hyctas_mm.engine.hooks.sample_arch_hook import supernet_space
from hyctas_mm.engine.pipeline import quiet_runners
from hyctas_mm.engine.scoring import Scorer
from hyctas_mm.engine.search_loop import NSGA2SearchLoop


class OpenSearch:
    """The parts of a search: space, scorer, costs, and the config its networks are trained with.

    Args:
        cfg: Config of a search.
        folder: Where logs go.

    Attributes:
        loop: The search loop as the config says, not run.
        space: The search space.
        score: Name of the score.
        scorer: Scores with the supernet's weights; see :meth:`load`.

    Raises:
        ValueError: If the config is none of a search, or calibrates on images that it scores on.
    """

    def __init__(self, cfg: Config, folder: Path) -> None:
        check_is_search(cfg)
        cfg = cfg.copy()
        cfg.work_dir = str(folder)
        cfg.experiment_name = f'evidence-{time.monotonic_ns()}'  # mmengine wants one name a runner
        with quiet_runners():
            runner = build_runner(cfg, 'train', 'val')
            self.loop: NSGA2SearchLoop = runner.train_loop
        self.score = score_of(self.loop.objectives).name
        self._model, self._model_cfg = runner.model, cfg.model.to_dict()
        self.space: SearchSpace = supernet_space(runner.model)
        validation, evaluator = runner.val_loop.dataloader, runner.val_loop.evaluator
        self.scorer = Scorer(
            runner.model,
            self._model_cfg,
            self.loop.dataloader,
            validation,
            evaluator,
            self.loop.calibration_batches,
            self.loop.seed,
            amp=self.loop.amp,
        )

    def load(self, supernet: str | Path) -> str:
        """Gives the scorer the weights of a supernet; returns the file's SHA-1."""
        return load_supernet(self._model, supernet, self.space)

    def costs(self) -> CandidateCosts:
        """Prices architectures as the search does."""
        return self.loop.prepare_costs(self.space, self.scorer, self._model_cfg)

    def sizes(self) -> CandidateCosts:
        """Params and MACs of architectures, for which nothing is measured."""
        return CandidateCosts(self._model_cfg, (1, 3, *self.loop.input_hw))
