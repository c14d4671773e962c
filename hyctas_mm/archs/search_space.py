"""The set of architectures that a search may visit, and how to move in it.

An architecture is encoded as a vector of whole numbers ("genes"). Decoding repairs: *every* vector within the bounds
decodes to a valid architecture, so sampling, mutation and crossover are valid by construction and none of them ever
rejects.

Genes: ``[ends, stem width, head width, low level, head attention]``, then one block per branch
``[fork, first down, second down, op 0, width 0, op 1, width 1, ...]``, then with ``nodes`` one gene for each layer but
the last and each ordered pair of branches, 1 for an open gate. Genes that a network does not use are ignored (and 0 in
:meth:`SearchSpace.encode`).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from hyctas_mm.archs.architecture import Architecture
from hyctas_mm.archs.genes import HEADER, decode_branch, encode_branch
from hyctas_mm.archs.ops import SKIP
from hyctas_mm.archs.parts import (
    FULL_WIDTH,
    STEM_STRIDE,
    STRIDES,
    ArchitectureError,
    Branch,
    Gate,
)
from hyctas_mm.archs.problems import membership_problems, space_problems
from hyctas_mm.archs.space_size import count_branches
from hyctas_mm.errors import BadValue

Genes = npt.NDArray[np.int64]

_SETTINGS = 5  # genes before the branches' blocks


@dataclass(frozen=True)
class SearchSpace:
    """A multi-branch space (paper sections 3.2 to 3.4).

    NOTE(paper): it describes convolution, light convolution, attention and skip, but lists neither ops nor widths. The
    default ops are those that the release's genotypes can name, the default widths those that they have.

    Args:
        layers: Longest branch, 4..20 cells. Depth is searched through ``skip``.
        ops: Candidate ops by name. Without ``'skip'`` every branch has exactly ``layers`` cells.
        widths: Candidate output widths in twelfths.
        max_branches: 1..3.
        base_channels: The paper's filter multiplier; full width at stride 8 is ``8 * base_channels`` channels.
        stem_widths: Candidate widths of the stem; one value in the paper's space.
        head_widths: Candidate widths of the head; one value in the paper's space.
        low_levels: Candidate low-level fusions of the head.
        head_attentions: Whether the head has its attention block, which is the release's and always there.
        branch_probs: Probability of 1, 2, 3 branches in :meth:`sample` (paper section 4.2).
        nodes: Whether gates between branches are searched (paper section 3.2). NOTE(release): it has none.
        gate_prob: Probability with which :meth:`sample` opens a gate.

    Raises:
        ValueError: Naming the argument, its value and what was expected.
    """

    layers: int = 12
    ops: tuple[str, ...] = (SKIP, 'conv', 'lite_conv', 'lite_conv_2x', 'attention')
    widths: tuple[int, ...] = (4, 6, 8, 10, 12)
    max_branches: int = 3
    base_channels: int = 8
    stem_widths: tuple[int, ...] = (FULL_WIDTH,)
    head_widths: tuple[int, ...] = (FULL_WIDTH,)
    low_levels: tuple[str, ...] = ('none',)
    head_attentions: tuple[bool, ...] = (True,)
    branch_probs: tuple[float, ...] = (0.2, 0.3, 0.5)
    nodes: bool = False
    gate_prob: float = 0.25

    def __post_init__(self) -> None:
        for field in fields(self):
            if isinstance(value := getattr(self, field.name), list):
                object.__setattr__(self, field.name, tuple(value))
        for problem in space_problems(self):
            raise BadValue(f'search_space: {problem}')

    @property
    def computing(self) -> tuple[str, ...]:
        """The ops but for the skip."""
        return tuple(op for op in self.ops if op != SKIP)

    # The plain form ---------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, for configs and checkpoints."""
        absent = [
            f.name for f in fields(self) if f.name in ('nodes', 'gate_prob') and getattr(self, f.name) == f.default
        ]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items() if k not in absent}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any] | SearchSpace) -> SearchSpace:
        """Reads a config's dict.

        Raises:
            ValueError: For an unknown key or a wrong value.
        """
        if isinstance(data, SearchSpace):
            return data
        known = [f.name for f in fields(cls)]
        unknown = [k for k in data if k not in known]
        if unknown:
            raise BadValue(f'search_space: unknown key(s) {unknown}; expected some of {", ".join(known)}')
        options: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return cls(**options)

    # Random architectures ---------------------------------------------------------------------------------------------

    def sample(self, rng: np.random.Generator, num_branches: int | None = None) -> Architecture:
        """Draws an architecture from the paper's prior (section 3.4).

        The number of branches follows ``branch_probs`` unless given; each other gene is uniform over its choices.
        NOTE(paper): "uniform" is per decision, not per architecture: the latter would make nearly all samples as deep
        as possible.
        """
        if num_branches is None:
            probs = np.asarray(self.branch_probs[: self.max_branches])
            num_branches = 1 + int(rng.choice(self.max_branches, p=probs / probs.sum()))
        return self.decode(self._draw(rng, num_branches), num_branches)

    def _draw(self, rng: np.random.Generator, num_branches: int | None) -> Genes:
        lower, upper = self.bounds(num_branches)
        genes = rng.integers(lower, upper + 1)
        if self.nodes:
            gates = self._gate_genes(genes, num_branches)
            gates[:] = rng.random(gates.shape) < self.gate_prob
        return genes

    def mutate(
        self, arch: Architecture, rng: np.random.Generator, prob: float = 0.02, joint: bool = False
    ) -> Architecture:
        """Draws each gene anew with probability ``prob``; the number of branches stays unless ``joint``."""
        num_branches = None if joint else len(arch.branches)
        genes = self.encode(arch, num_branches)
        fresh = self._draw(rng, num_branches)
        return self.decode(np.where(rng.random(len(genes)) < prob, fresh, genes), num_branches)

    def crossover(
        self, a: Architecture, b: Architecture, rng: np.random.Generator
    ) -> tuple[Architecture, Architecture]:
        """Two-point crossover of the genes; two children. Parents may differ in their number of branches."""
        num_branches = len(a.branches) if len(a.branches) == len(b.branches) else None
        x, y = self.encode(a, num_branches), self.encode(b, num_branches)
        start, stop = sorted(rng.integers(0, len(x) + 1, size=2))
        inside = np.zeros(len(x), dtype=bool)
        inside[start:stop] = True
        return self.decode(np.where(inside, y, x), num_branches), self.decode(np.where(inside, x, y), num_branches)

    @property
    def tracks(self) -> tuple[int, ...]:
        """Numbers of branches, which the paper searches one by one (section 4.2)."""
        return tuple(range(1, self.max_branches + 1))

    def track_of(self, arch: Architecture) -> int:
        """The track that an architecture belongs to."""
        return len(arch.branches)

    # Genes ------------------------------------------------------------------------------------------------------------

    def end_combinations(self, num_branches: int | None = None) -> list[tuple[int, ...]]:
        """Final strides that a net of ``num_branches`` (any number if None) may have, e.g. ``[(8,), (16,), (32,)]``."""
        if num_branches is not None and not 1 <= num_branches <= self.max_branches:
            raise BadValue(
                f'num_branches={num_branches}; expected 1..{self.max_branches}, the max_branches of the search_space'
            )
        counts = self.tracks if num_branches is None else [num_branches]
        return [c for n in counts for c in itertools.combinations(STRIDES, n)]

    def bounds(self, num_branches: int | None = None) -> tuple[Genes, Genes]:
        """Smallest and largest value of each gene, both inclusive; ``None`` for a joint search over all numbers of
        branches.
        """
        blocks = self.max_branches if num_branches is None else num_branches
        choices = (
            self.end_combinations(num_branches),
            self.stem_widths,
            self.head_widths,
            self.low_levels,
            self.head_attentions,
        )
        upper = [len(c) - 1 for c in choices]
        for index in range(blocks):
            upper += [self.layers - 1 if index else 0, self.layers - 1, self.layers - 1]
            upper += [len(self.ops) - 1, len(self.widths) - 1] * self.layers
        upper += [1] * self._num_gate_genes(blocks)
        return np.zeros(len(upper), dtype=np.int64), np.asarray(upper, dtype=np.int64)

    def decode(self, genes: Sequence[int] | Genes, num_branches: int | None = None) -> Architecture:
        """The architecture of a gene vector within :meth:`bounds`; never fails for one.

        Raises:
            ValueError: If the vector has another length or leaves the bounds.
        """
        lower, upper = self.bounds(num_branches)
        vector = np.asarray(genes)
        if vector.shape != upper.shape or (vector < lower).any() or (vector > upper).any():
            count = num_branches or 'any number of'
            raise BadValue(
                f'genes of shape {vector.shape} do not fit the bounds of {len(upper)} genes for {count} branches'
            )
        values: list[int] = vector.astype(np.int64).tolist()
        ends = self.end_combinations(num_branches)[values[0]]
        size = HEADER + 2 * self.layers
        head_width = self.head_widths[values[2]]
        branches: list[Branch] = []
        for index, end in enumerate(ends):
            block = values[_SETTINGS + index * size : _SETTINGS + (index + 1) * size]
            branches.append(decode_branch(self, block, end.bit_length() - STEM_STRIDE.bit_length(), branches))
        settings = (
            self.stem_widths[values[1]],
            head_width,
            self.low_levels[values[3]],
            self.head_attentions[values[4]],
        )
        arch = Architecture(tuple(branches), *settings)
        if not self.nodes:
            return arch
        return arch.with_gates(Gate(*where) for where in np.argwhere(self._gate_genes(vector, num_branches)).tolist())

    def _num_gate_genes(self, blocks: int) -> int:
        return (self.layers - 1) * blocks * blocks if self.nodes else 0

    def _gate_genes(self, genes: Genes, num_branches: int | None) -> Genes:
        """A view of the genes of gates, (layers - 1, blocks, blocks): after a layer, from a branch, to a branch."""
        blocks = num_branches or self.max_branches
        return genes[len(genes) - self._num_gate_genes(blocks) :].reshape(self.layers - 1, blocks, blocks)

    def encode(self, arch: Architecture, num_branches: int | None = None) -> Genes:
        """Genes that decode to ``arch``.

        Args:
            arch: A member of the space.
            num_branches: The layout: that of nets with this number of branches, or the joint one if None.

        Raises:
            ArchitectureError: If the architecture is not in the space, naming why.
        """
        problems = self.violations(arch)
        if num_branches is not None and num_branches != len(arch.branches):
            problems.append(f'it has {len(arch.branches)} branches, the layout is for {num_branches}')
        if problems:
            raise ArchitectureError(problems, f'architecture {arch.archid} is not in this search space')
        size, blocks = HEADER + 2 * self.layers, num_branches or self.max_branches
        genes = np.zeros(_SETTINGS + size * blocks + self._num_gate_genes(blocks), dtype=np.int64)
        genes[:_SETTINGS] = (
            self.end_combinations(num_branches).index(arch.output_strides),
            self.stem_widths.index(arch.stem_width),
            self.head_widths.index(arch.head_width),
            self.low_levels.index(arch.low_level),
            self.head_attentions.index(arch.head_attention),
        )
        taken: set[int] = set()
        for index, branch in enumerate(arch.branches):
            fork = arch.shared_prefix(index, index - 1) if index else 0
            start = _SETTINGS + index * size
            genes[start : start + size] = encode_branch(self, branch, fork, taken)
            taken |= {n for n, c in enumerate(branch) if c.down}
        for gate in arch.gates:
            self._gate_genes(genes, num_branches)[gate.layer, gate.source, gate.target] = 1
        return genes

    # Membership and size ----------------------------------------------------------------------------------------------

    def violations(self, arch: Architecture | Mapping[str, Any]) -> list[str]:
        """Every reason why ``arch`` is not in the space, one sentence each; empty if it is."""
        if not isinstance(arch, Architecture):
            try:
                arch = Architecture.from_dict(arch)
            except ArchitectureError as error:
                return error.problems
        return list(membership_problems(self, arch))

    def size(self, num_branches: int | None = None) -> int:
        """Exact number of different architectures with ``num_branches`` (in all if None)."""
        settings = len(self.stem_widths) * len(self.head_widths) * len(self.low_levels) * len(self.head_attentions)
        choices = (self.layers, SKIP in self.ops, len(self.computing), len(self.widths), self.nodes)
        return settings * sum(count_branches(ends, *choices) for ends in self.end_combinations(num_branches))
