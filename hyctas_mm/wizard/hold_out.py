"""Images held out of the training images, the same ones on every machine and at every call."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from hyctas_mm.wizard.data import MIN_IMAGES, DataError, Split

_MIN_GROUPS = 3
_LAST_NUMBER = re.compile(r'[_\-. ]?\d+$')


def hold_out(names: Sequence[str], wanted: int) -> tuple[list[str], str]:
    """Chooses images by a hash of their names, whole recordings where the names tell.

    Neighbouring frames of a recording are nearly equal, so a held-out frame whose neighbour was trained on tells
    little. A recording is a sub-folder, or all names that differ in their last number only (``0001TP_006690``).

    Args:
        names: Stems of the images, perhaps with sub-folders.
        wanted: Number of images; of whole recordings up to three times as many, but at most three tenths of all.

    Returns:
        The chosen ones, sorted, and how they were chosen, in words.
    """
    for what, group_of in (('sub-folders', _folder), ('recordings (names but for their last number)', _recording)):
        groups: dict[str, list[str]] = {}
        for name in names:
            groups.setdefault(group_of(name), []).append(name)
        if _MIN_GROUPS <= len(groups) < len(names):
            most = min(3 * wanted, 3 * len(names) // 10)
            chosen: list[str] = []
            taken = 0
            for group in sorted(groups, key=_hash):
                if len(chosen) < wanted and len(chosen) + len(groups[group]) <= most:
                    chosen += groups[group]
                    taken += 1
            if 2 * len(chosen) >= wanted:
                return sorted(chosen), f'{taken} of {len(groups)} {what}'
    return sorted(sorted(names, key=_hash)[:wanted]), 'by a hash of the names'


def make_split(train: Sequence[str], val: Sequence[str] | None, most_select: int = 256, most_val: int = 1000) -> Split:
    """Deals the training images out.

    A tenth (at most ``most_select``) is held out to score candidates on. Without validation images a fifth is held out
    before.

    Raises:
        DataError: For fewer training images than make sense.
    """
    train, val_held_out = list(train), val is None
    if len(train) < MIN_IMAGES:
        raise DataError([f'{len(train)} training images; expected {MIN_IMAGES} or more'])
    if val is None:
        val = hold_out(train, min(most_val, max(4, len(train) // 5)))[0]
        kept = set(val)
        train = [name for name in train if name not in kept]
    select, how = hold_out(train, min(most_select, max(4, len(train) // 10)))
    held = set(select)
    return Split(tuple(sorted(set(train) - held)), tuple(select), tuple(sorted(val)), how, val_held_out)


def _folder(name: str) -> str:
    return name.rpartition('/')[0]


def _recording(name: str) -> str:
    return _LAST_NUMBER.sub('', name)


def _hash(name: str) -> str:
    return hashlib.sha1(name.encode()).hexdigest()
