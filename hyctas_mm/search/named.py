"""Building what a config names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from hyctas_mm.errors import BadValue

T = TypeVar('T')


def build_named(known: Mapping[str, Callable[..., T]], cfg: Mapping[str, Any], where: str, first: Any) -> T:
    """Calls what ``type`` names with the other entries of a config.

    Args:
        known: What may be named.
        cfg: The config, e.g. ``dict(type='NSGA2', mutation_prob=0.05)``.
        where: Where the config stands, for errors.
        first: Given as the first argument.

    Raises:
        ValueError: If ``type`` is not known, or does not take the other entries.
    """
    options = dict(cfg)
    name = options.pop('type', None)
    if name not in known:
        raise BadValue(f'{where}: type={name!r}; expected one of {", ".join(sorted(known))}, or register your own')
    try:
        inspect.signature(known[name]).bind(first, **options)
    except TypeError as error:
        raise BadValue(f'{where}: {name}: {error}; its docstring lists its arguments') from None
    return known[name](first, **options)
