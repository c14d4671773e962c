"""The names of candidate ops.

``archs`` knows ops by name only; what they compute is in :mod:`hyctas_mm.models.ops`. A user's own op is declared here
by the same decorator that registers its class, so that files naming it can be read.
"""

from __future__ import annotations

from hyctas_mm.errors import BadValue

SKIP = 'skip'
"""The identity. It may stand at equal stride only and vanishes from the canonical form."""

_names: set[str] = {SKIP}


def declare_op(name: str) -> None:
    """Makes ``name`` a known op for architectures and search spaces.

    Raises:
        ValueError: If the name is not an identifier (it becomes part of parameter names).
    """
    if not name.isidentifier():
        raise BadValue(f'op name {name!r} is not an identifier; use letters, digits and underscores, e.g. "my_conv"')
    _names.add(name)


for _name in (
    *('attention', 'conv', 'conv_1x1', 'conv_2x', 'hrvit_attn', 'inverted_residual', 'inverted_residual_6x'),
    *('lite_conv', 'lite_conv_2x', 'mixcfn', 'zoom_conv', 'zoom_conv_2x'),
):
    declare_op(_name)


def known_ops() -> list[str]:
    """All declared op names, sorted."""
    return sorted(_names)
