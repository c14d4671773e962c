"""A distribution over the architectures of a space, whose parameters are learned by gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.archs.genes import HEADER, SETTINGS, GeneLayout, Genes, width_of
from hyctas_mm.archs.ops import SKIP
from hyctas_mm.engine.graph_guide import GraphGuide
from hyctas_mm.errors import BadValue
from hyctas_mm.models.alternatives import Alternative, Alternatives

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Draw:
    """What was drawn.

    Attributes:
        genes: A choice for each gene, (G,); those of ops compute.
        seconds: Another choice for each gene, (G,), the same where there is only one.
        stops: Where a branch would end, (blocks, layers).
        arch: The architecture.
    """

    genes: Genes
    seconds: Genes
    stops: Bools
    arch: Architecture


@dataclass(frozen=True)
class Neighbour:
    """An architecture that differs from a drawn one in one choice.

    Attributes:
        place: Index of the gene, or (branch, layer) of a stop.
        choice: The other value.
        arch: The architecture.
    """

    place: int | tuple[int, int]
    choice: int
    arch: Architecture


class Choices(nn.Module):
    """Independent categorical choices, one for each gene of a space (:mod:`hyctas_mm.archs.genes`).

    An op gene chooses among the ops that compute. Whether a branch ends before a layer is a choice of its own, at first
    such that every number of cells is equally likely: so the cell that computes n-th in its branch, which is the
    supernet's layer n, always has the n-th genes. What is drawn is repaired as all genes are.

    Args:
        space: The search space.
        num_branches: Of the networks, None for all numbers.
        shared: Whether all cells have the same op and width.
        guide: Whether neighbouring cells tell each other their choices, see
            :class:`~hyctas_mm.engine.graph_guide.GraphGuide`.

    Raises:
        ValueError: If cells that share their choices are to be guided.
    """

    allowed: Tensor

    def __init__(
        self, space: SearchSpace, num_branches: int | None = None, shared: bool = False, guide: bool = False
    ) -> None:
        super().__init__()
        if shared and guide:
            raise BadValue('train_cfg: guide=True, shared_choices=True; a guide is for cells that choose, take one out')
        self.space, self.num_branches, self.shared = space, num_branches, shared
        self.layout = GeneLayout(space, num_branches)
        counts = np.array(self.layout.upper()) + 1
        blocks, layers = self.layout.blocks, space.layers
        self.ops = np.array([[self.layout.op_gene(b, n) for n in range(layers)] for b in range(blocks)])
        self.widths = self.ops + 1
        allowed = torch.arange(int(counts.max())) < torch.tensor(counts)[:, None]
        if SKIP in space.ops:
            allowed[self.ops.ravel(), space.ops.index(SKIP)] = False
        self.register_buffer('allowed', allowed, persistent=False)
        self.logits = nn.Parameter(torch.zeros(allowed.shape))
        left = layers - torch.arange(1, layers, dtype=torch.float32)  # cells that may still come, the next one included
        self.stop = nn.Parameter(-left.log().expand(blocks, -1).clone())
        self.guide = GraphGuide(2 * allowed.shape[1]) if guide else None

    # The distribution ----

    def scores(self) -> Tensor:
        """Log-odds of the choices, (G, C), infinitely low where there is none."""
        logits = self.logits
        for genes in (self.ops, self.widths) if self.shared else ():
            logits = logits.index_copy(0, torch.from_numpy(genes.ravel()), logits[genes[0, :1]].expand(genes.size, -1))
        if self.guide is not None:
            cells = torch.cat([logits[self.ops], logits[self.widths]], dim=-1)
            ops, widths = self.guide(cells).chunk(2, dim=-1)
            logits = logits.index_copy(0, torch.from_numpy(self.ops.ravel()), ops.flatten(0, 1))
            logits = logits.index_copy(0, torch.from_numpy(self.widths.ravel()), widths.flatten(0, 1))
        return logits.masked_fill(~self.allowed, -torch.inf)

    def stop_odds(self) -> Tensor:
        """Log-odds that a branch ends before layers 1, 2, ..., (blocks, layers - 1)."""
        return self.stop if SKIP in self.space.ops else torch.full_like(self.stop, -torch.inf)

    @torch.no_grad()
    def draw(self, rng: np.random.Generator) -> Draw:
        """Draws an architecture, and a second choice for each gene from what is left."""
        scores = self.scores().double().numpy()
        noise = rng.gumbel(size=scores.shape)
        for genes in (self.ops, self.widths) if self.shared else ():
            noise[genes.ravel()] = noise[genes[0, 0]]
        order = np.argsort(-(scores + noise), axis=1, kind='stable')
        genes, seconds = order[:, 0], order[:, 1] if order.shape[1] > 1 else order[:, 0]
        seconds = np.where(np.isfinite(np.take_along_axis(scores, seconds[:, None], 1)[:, 0]), seconds, genes)
        odds = self.stop_odds().sigmoid().double().numpy()
        stops = np.zeros(self.ops.shape, dtype=bool)
        stops[:, 1:] = rng.random(odds.shape) < odds
        return Draw(genes, seconds, stops, self._arch(genes, stops))

    @torch.no_grad()
    def likeliest(self) -> Architecture:
        """The likeliest choice of each gene; a branch has its likeliest number of cells."""
        stops = np.zeros(self.ops.shape, dtype=bool)
        ends = self.stop_odds().sigmoid().double().numpy()
        for block, end in enumerate(ends):
            goes_on = np.concatenate([[1.0], np.cumprod(1 - end)])
            lengths = goes_on * np.append(end, 1.0)  # of 1, 2, ... cells
            if (length := int(lengths.argmax()) + 1) < len(stops[block]):
                stops[block, length] = True
        return self._arch(self.scores().argmax(1).numpy(), stops)

    def _arch(self, genes: Genes, stops: Bools) -> Architecture:
        return self.space.decode(self._closed(genes, stops), self.num_branches)

    def _closed(self, genes: Genes, stops: Bools) -> Genes:
        """Genes with skips from where each branch ends."""
        if not stops.any():
            return genes
        genes = genes.copy()
        genes[self.ops[np.logical_or.accumulate(stops, axis=1)]] = self.space.ops.index(SKIP)
        return genes

    # Gradients ----

    def log_prob(self, draw: Draw, places: set[int | tuple[int, int]]) -> Tensor:
        """Log-probability of some of the choices of a draw."""
        genes = sorted(place for place in places if isinstance(place, int))
        log_probs = self.scores()[genes].log_softmax(1)
        total = log_probs[torch.arange(len(genes)), torch.from_numpy(draw.genes[genes])].sum()
        odds = self.stop_odds()
        for place in sorted(place for place in places if isinstance(place, tuple)):
            block, layer = place
            total = total + nn.functional.logsigmoid(odds[block, layer - 1] * (1 if draw.stops[place] else -1))
        return total

    def alternatives(self, draw: Draw, other_ops: bool = True) -> Alternatives:
        """The second choices of the cells of a draw, with weights whose expected gradient is that of the expected loss.

        For a choice s with probability p_s whose second choice is t, the weight is ``(1 - p_s) / 2`` times the
        difference of their log-odds: each pair is seen in both orders, and pairs come p_s p_t / (1 - p_s) often. A
        wider width than the drawn one cannot be seen, so each pair of widths is seen in one order, and counts twice.

        Args:
            draw: What was drawn.
            other_ops: Whether second ops are computed.
        """
        scores, genes = self.scores(), draw.genes
        closed = self._closed(genes, draw.stops)
        found = {}
        for placed in draw.arch.cells:
            block, layer = placed.branches[0], placed.layer
            op, width = int(self.ops[block, layer]), int(self.widths[block, layer])
            options: dict[str, object] = {}
            if other_ops and closed[op] == genes[op] != draw.seconds[op]:  # not put there by a repair
                options |= dict(op=self.space.ops[draw.seconds[op]], op_weight=_pair_weight(scores[op], draw, op) / 2)
            narrower = width_of(self.space, int(draw.seconds[width]), placed.stride_out)
            is_last = layer == len(draw.arch.branches[block]) - 1  # whose width is the head's
            if not is_last and narrower < placed.cell.width:
                options |= dict(width=narrower, width_weight=_pair_weight(scores[width], draw, width))
            found[placed.name] = Alternative(**options)  # type: ignore[arg-type]
        return Alternatives(found)

    def neighbours(self, draw: Draw) -> Iterator[Neighbour]:
        """Every architecture that one other choice would have made; choices that cannot matter are left out."""
        cells = {(c.branches[0], c.layer) for c in draw.arch.cells}
        blocks = len(draw.arch.branches)
        cell_genes = {int(g): (b, n) for (b, n), g in np.ndenumerate(self.ops)}
        cell_genes |= {gene + 1: place for gene, place in cell_genes.items()}
        size = HEADER + 2 * self.space.layers
        unused = range(SETTINGS + blocks * size, SETTINGS + self.layout.blocks * size)
        for gene, allowed in enumerate(self.allowed.numpy()):
            if gene in unused or (gene in cell_genes and (self.shared or cell_genes[gene] not in cells)):
                continue
            for choice in np.flatnonzero(allowed):
                if choice != draw.genes[gene]:
                    yield self._changed(draw, gene, int(choice), [gene])
        for genes in (self.ops, self.widths) if self.shared else ():
            for choice in np.flatnonzero(self.allowed[genes[0, 0]].numpy()):
                if choice != draw.genes[genes[0, 0]]:
                    yield self._changed(draw, int(genes[0, 0]), int(choice), genes.ravel())
        for block in range(blocks if SKIP in self.space.ops else 0):
            for layer in range(1, self.space.layers):
                stops = draw.stops.copy()
                stops[block, layer] ^= True
                yield Neighbour((block, layer), int(stops[block, layer]), self._arch(draw.genes, stops))
                if draw.stops[block, layer]:
                    break  # it has ended: what comes after does not matter

    def _changed(self, draw: Draw, place: int, choice: int, genes: list[int] | Genes) -> Neighbour:
        changed = draw.genes.copy()
        changed[genes] = choice
        return Neighbour(place, choice, self._arch(changed, draw.stops))

    def expected(self, draw: Draw, price: Callable[[Architecture], float]) -> tuple[Tensor, set[int | tuple[int, int]]]:
        """The price of a draw, with the gradient of the expected price of all that may be drawn.

        For each choice the expectation over its values is exact, with the others as they were drawn.

        Returns:
            The price, and the places of the choices on which the architecture depends.
        """
        own, places = price(draw.arch), set()
        probs, ends = self.scores().softmax(1), self.stop_odds().sigmoid()
        more, more_ended = np.zeros(probs.shape, dtype=np.float32), np.zeros(ends.shape, dtype=np.float32)
        for neighbour in self.neighbours(draw):
            if neighbour.arch == draw.arch:
                continue
            places.add(neighbour.place)
            difference = price(neighbour.arch) - own
            if isinstance(neighbour.place, int):
                more[neighbour.place, neighbour.choice] = difference
            else:  # of ending against going on
                block, layer = neighbour.place
                more_ended[block, layer - 1] = difference if neighbour.choice else -difference
        expected = (probs * torch.from_numpy(more)).sum() + (ends * torch.from_numpy(more_ended)).sum()
        return own + expected - expected.detach(), places

    @torch.no_grad()
    def entropy(self, places: set[int | tuple[int, int]]) -> float:
        """Mean entropy of choices as part of the most that each may have: 1 undecided, 0 decided."""
        probs, ends = self.scores().double().softmax(1), self.stop_odds().double().sigmoid()
        found = []
        for place in places:
            if isinstance(place, int):
                row = probs[place][self.allowed[place]]
            else:
                end = ends[place[0], place[1] - 1]
                row = torch.stack([end, 1 - end])
            found.append(float(torch.special.entr(row).sum() / np.log(len(row))))
        return float(np.mean(found)) if found else 0.0


def _pair_weight(scores: Tensor, draw: Draw, gene: int) -> Tensor:
    """The difference of the log-odds of the second and the first choice, times what is left beside the first."""
    first, second = int(draw.genes[gene]), int(draw.seconds[gene])
    return (1 - scores.softmax(0)[first]).detach() * (scores[second] - scores[first])
