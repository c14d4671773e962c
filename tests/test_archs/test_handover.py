"""What networks have in place of what their search gave them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hyctas_mm.archs import Handover, load_arch


def test_channels_and_low_level_take_the_place_of_those_that_were_found() -> None:
    arch = load_arch('hyctas-s')
    same, wider = Handover.read(None, 8), Handover.read(dict(base_channels=16, low_level='s4'), 8)
    assert same == Handover(8) and same.arch(arch) == arch and same.keeps(arch, 8) and not same.keeps(arch, 12)
    assert wider.arch(arch) == replace(arch, low_level='s4') and wider.name == 'b16-s4'
    assert not wider.keeps(arch, 16) and wider.keeps(wider.arch(arch), 16)
    assert Handover.read(dict(low_level='none'), 8) == Handover(8, 'none') and Handover(12).name == 'b12'


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(base_channels=0), 'base_channels=0; expected a whole number from 1 up'),
        (dict(base_channels='12'), "base_channels='12'; expected"),
        (dict(low_level='s2'), "low_level='s2'; expected one of none, s4, s4s8"),
        (dict(width=12), 'unknown width; expected'),
    ],
)
def test_what_is_wrong_is_named(cfg: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Handover.read(cfg, 8)
