"""Architectures in the JSON form of the published HyCTAS release."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from hyctas_mm.archs.architecture import Architecture
from hyctas_mm.archs.parts import FULL_WIDTH, MAX_DOWNS, ArchitectureError, Cell

RELEASE_OPS = ('conv_1x1', 'conv', 'lite_conv', 'lite_conv_2x', 'attention')
"""Our names of the release's ops, by its numbers.

NOTE(release): its ``skip``, number 0, is a 1x1 convolution, never the identity.
"""

KEYS = ('ops', 'paths', 'downs', 'widths', 'lasts')


@dataclass(frozen=True)
class ReleaseGenotype:
    """A published architecture.

    Attributes:
        arch: The architecture.
        order: For each branch of the release its index among ours, which are sorted by final stride. The release
            concatenates branches in its own order, so its weights depend on it.
    """

    arch: Architecture
    order: tuple[int, ...]


def read_release(data: Mapping[str, Any], source: str = 'genotype', **settings: Any) -> ReleaseGenotype:
    """Reads a genotype of the release.

    Args:
        data: ``ops``, ``paths``, ``downs``, ``widths`` and ``lasts``, one list for each branch.
        source: Named in errors, e.g. the file.
        **settings: ``stem_width``, ``head_width``, ``low_level`` and ``head_attention`` of the architecture, which the
            release's JSON lacks.

    Raises:
        ArchitectureError: Naming everything that is wrong.
    """
    problems = list(_form_problems(data))
    if not problems:
        for index in range(len(data['ops'])):
            problems += _branch_problems(index, *(data[key][index] for key in KEYS))
    if problems:
        raise ArchitectureError(problems, source)
    head_width = settings.get('head_width', FULL_WIDTH)
    branches = []
    for ops, downs, widths in zip(data['ops'], data['downs'], data['widths'], strict=True):
        twelfths = [*(_twelfths(w) for w in widths), head_width]
        branches.append(
            tuple(
                Cell(RELEASE_OPS[op], width, bool(down)) for op, width, down in zip(ops, twelfths, downs, strict=True)
            )
        )
    try:
        arch = Architecture(tuple(branches), **settings)
    except ArchitectureError as error:
        raise ArchitectureError(error.problems, source) from None
    lasts = sorted(data['lasts'])
    return ReleaseGenotype(arch, tuple(lasts.index(last) for last in data['lasts']))


def _twelfths(width: float) -> int:
    """A width as twelfths, 0 if it is no multiple of 1/12."""
    if not math.isfinite(width):
        return 0
    twelfths = Fraction(width).limit_denominator(1000) * FULL_WIDTH
    return int(twelfths) if twelfths.denominator == 1 else 0


def _form_problems(data: Any) -> Iterator[str]:
    if not isinstance(data, Mapping):
        yield f'expected an object with {", ".join(KEYS)}, got {type(data).__name__}'
        return
    missing = [key for key in KEYS if key not in data]
    if missing:
        yield f'{", ".join(missing)} missing; a genotype of the release has {", ".join(KEYS)}'
        return
    lengths = {key: len(data[key]) if isinstance(data[key], list) else None for key in KEYS}
    if None in lengths.values() or len(set(lengths.values())) > 1 or not lengths['ops']:
        yield f'expected one entry for each branch in each of the lists, got {lengths}'
    elif any(not isinstance(branch, list) for key in KEYS[:-1] for branch in data[key]):
        yield f'the entries of {", ".join(KEYS[:-1])} must be lists, one value a cell'


def _branch_problems(
    index: int, ops: list[Any], paths: list[Any], downs: list[Any], widths: list[Any], last: Any
) -> Iterator[str]:
    where, layers = f'branch {index}', len(paths)
    if not layers or (len(ops), len(downs), len(widths)) != (layers, layers, layers - 1):
        yield (
            f'{where}: {layers} paths need as many ops and downs and one width less, got {len(ops)} ops, {len(downs)} '
            f'downs, {len(widths)} widths'
        )
        return
    for layer, op in enumerate(ops):
        if type(op) is not int or not 0 <= op < len(RELEASE_OPS):
            yield f'{where} layer {layer}: op {op!r}; expected 0..{len(RELEASE_OPS) - 1}'
    if (
        any(type(path) is not int for path in paths)
        or paths[0] != 0
        or any(b - a not in (0, 1) for a, b in pairwise(paths))
    ):
        yield f'{where}: paths {paths}; expected 0 at first, then steps of 0 or 1'
        return
    wanted = [*(b - a for a, b in pairwise(paths)), 0]
    if list(downs) != wanted:
        yield f'{where}: downs {downs} do not match its paths, which go down as {wanted}'
    if last != paths[-1] or last > MAX_DOWNS:
        yield f'{where}: lasts {last!r}; its paths end at {paths[-1]}, at most {MAX_DOWNS} is possible'
    for layer, width in enumerate(widths):
        if not isinstance(width, (int, float)) or not 1 <= _twelfths(width) <= FULL_WIDTH:
            yield f'{where} layer {layer}: width {width!r}; expected a multiple of 1/12 up to 1'
    for layer, (op, down) in enumerate(zip(ops, wanted, strict=True)):
        if op == 0 and down:
            yield (
                f'{where} layer {layer}: a skip goes down. The release ignores its stride and mistakes the resolution '
                'of every later cell, '
                'so there is nothing to convert; use another op there'
            )
