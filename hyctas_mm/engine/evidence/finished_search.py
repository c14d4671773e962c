"""A finished search, and what its networks are trained and priced with."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from mmengine.config import Config

from hyctas_mm.archs import Architecture, SearchSpace, load_arch
from hyctas_mm.engine.candidate_costs import CandidateCosts
from hyctas_mm.engine.cli import use_scope
from hyctas_mm.engine.evidence.score_objective import score_of
from hyctas_mm.engine.search_costs import finished_search_costs, read_settings
from hyctas_mm.evaluators.trained_networks import TrainedNetworks
from hyctas_mm.report.result import load_search
from hyctas_mm.search import COSTS


class FinishedSearch:
    """Reads ``WORK_DIR/search``.

    Args:
        path: The work dir, or the folder of the search in it.

    Attributes:
        result: What the search found.
        folder: Folder of the search.
        evidence: Where experiments on it are kept, ``WORK_DIR/evidence``.
        score: Name of the score.
        space: Its search space.

    Raises:
        FileNotFoundError: If there is no search, or it exported no network.
        SearchFileError: If one of its files cannot be used.
    """

    def __init__(self, path: str | Path) -> None:
        self.result = load_search(path)
        self.folder = self.result.path
        self.score = score_of(self.result.objectives).name
        self.evidence = self.folder.with_name('evidence')
        self.space = SearchSpace.from_dict(read_settings(self.folder)['search_space'])

    @cached_property
    def config(self) -> Config:
        """The training config of an exported network."""
        path = next(iter(sorted(self.folder.glob('subnets/*/config.py'))), None)
        if path is None:
            raise FileNotFoundError(f'no network in {self.folder / "subnets"}; let tools/search.py finish')
        cfg = Config.fromfile(path)
        use_scope(cfg)
        return cfg

    @property
    def cost(self) -> str:
        """Name of the first cost that was an objective; MACs if none was."""
        return next((o.name for o in self.result.objectives if o.name in COSTS), 'macs_g')

    def trained_networks(self, iters: int | None) -> TrainedNetworks:
        """Networks of this search's training config; exported ones that were retrained with it are not trained again."""
        folder = self.evidence if iters is None else self.evidence / f'iters_{iters}'
        return TrainedNetworks(folder, self.config, self.space.base_channels, iters, self.folder)

    def costs(self) -> CandidateCosts:
        """Prices architectures as the search did."""
        return finished_search_costs(self.folder, self.config.model.to_dict())

    def arch(self, name: str) -> Architecture:
        """An architecture by its archid in the archive, else by published name or file.

        Raises:
            ValueError: If it is none of those.
        """
        candidate = self.result.by_id.get(name)
        if candidate is not None:
            return candidate.arch
        try:
            return load_arch(name)
        except FileNotFoundError as error:
            known = ', '.join(self.result.chosen)
            raise ValueError(f'--arch {name}: not in the archive of {self.folder} (chosen there: {known}), and {error}') from None
