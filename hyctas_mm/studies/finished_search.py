"""A finished search, and what its networks are trained and priced with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mmengine.config import Config

from hyctas_mm.archs import Architecture, load_arch
from hyctas_mm.engine.candidate_costs import CandidateCosts
from hyctas_mm.engine.configs import use_scope
from hyctas_mm.engine.search_costs import finished_search_costs
from hyctas_mm.errors import BadValue
from hyctas_mm.evaluators.trained_networks import TrainedNetworks
from hyctas_mm.report.result import load_search
from hyctas_mm.search.folder import SearchFolder


class FinishedSearch:
    """A search as experiments on its networks want it.

    Args:
        path: The work dir, or the folder of the search in it.

    Attributes:
        files: Its folder.
        result: What the search found.
        score: Name of the score.
        cost: Name of the cost that networks are compared at.
        handover: How its networks are trained.
        space: Its search space, of networks as they are trained.
        config: The training config of an exported network.
        evidence: Where experiments on it are kept, ``WORK_DIR/evidence``.

    Raises:
        FileNotFoundError: If there is no search, or it exported no network.
        SearchFileError: If one of its files cannot be used.
    """

    def __init__(self, path: str | Path) -> None:
        self.files = SearchFolder.find(path)
        self.result = load_search(self.files.path)
        self.evidence = self.files.path.with_name('evidence')
        self.config = Config.fromfile(self.files.chosen()[0] / 'config.py')  # first, as it may import a user's own ops
        use_scope(self.config)
        self.score, self.cost, self.handover = self.files.score, self.files.cost, self.files.handover
        low_levels = (self.handover.low_level,) if self.handover.low_level else self.files.space.low_levels
        self.space = replace(self.files.space, base_channels=self.handover.base_channels, low_levels=low_levels)

    def trained_networks(self, iters: int | None) -> TrainedNetworks:
        """Networks of this search's training config; exported ones retrained with it are not trained again."""
        folder = self.evidence if iters is None else self.evidence / f'iters_{iters}'
        return TrainedNetworks(folder, self.config, self.space.base_channels, iters, self.files.path)

    def costs(self) -> CandidateCosts:
        """Prices architectures as the search did."""
        return finished_search_costs(self.files, self.config.model.to_dict())

    def arch(self, name: str) -> Architecture:
        """An architecture, as it is trained, by its archid in the archive, else by published name or file.

        Raises:
            ValueError: If it is none of those.
        """
        candidate = self.result.by_id.get(name)
        if candidate is not None:
            return self.handover.arch(candidate.arch)
        try:
            return load_arch(name)
        except FileNotFoundError as error:
            known = ', '.join(self.result.chosen)
            raise BadValue(
                f'--arch {name}: not in the archive of {self.files.path} (chosen there: {known}), and {error}'
            ) from None
