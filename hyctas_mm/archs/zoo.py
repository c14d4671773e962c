"""Architectures by name or file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hyctas_mm.archs.architecture import Architecture
from hyctas_mm.archs.parts import ArchitectureError
from hyctas_mm.errors import NoSuchFile

ZOO = Path(__file__).with_name('zoo')


def zoo_names() -> list[str]:
    """Names that :func:`load_arch` knows."""
    return sorted(p.stem for p in ZOO.glob('*.json'))


def load_arch(arch: str | Path | Mapping[str, Any] | Architecture) -> Architecture:
    """Resolves everything a config may say for an architecture.

    Args:
        arch: A zoo name (``'hyctas-m'``), the path of a JSON file, the plain dict form, or an :class:`Architecture`.

    Raises:
        FileNotFoundError: If it is neither a zoo name nor a file.
        ArchitectureError: If the file or dict is not a valid architecture; the file is named.
    """
    if isinstance(arch, Architecture):
        return arch
    if isinstance(arch, Mapping):
        return Architecture.from_dict(arch)
    path = ZOO / f'{arch}.json' if str(arch) in zoo_names() else Path(arch)
    if not path.is_file():
        raise NoSuchFile(
            f'no architecture {str(arch)!r}: neither a file nor a published name ({", ".join(zoo_names())}); give one '
            'of these'
        )
    try:
        data = json.loads(path.read_text(encoding='utf-8'))
    except (ValueError, RecursionError) as error:  # the latter of lists in thousands of lists
        raise ArchitectureError(
            [f'not a JSON file ({error}); expected an arch.json as tools/search.py writes it'], str(path)
        ) from None
    return Architecture.from_dict(data, source=str(path))
