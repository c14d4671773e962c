"""What makes an experiment this one and no other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hyctas_mm.engine.files import read_json, write_json
from hyctas_mm.errors import BadValue


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Notes the settings in a new folder, or checks that those noted there are the same.

    Raises:
        ValueError: Naming each that differs.
    """
    path = folder / 'settings.json'
    there, here = read_json(path), json.loads(json.dumps(settings))
    differing = [f'{key} is {there.get(key)!r} there, {value!r} here' for key, value in here.items() if there and there.get(key) != value]
    if differing:
        raise BadValue(f'{folder} holds another experiment: {"; ".join(differing)}; choose another --work-dir, or delete it')
    write_json(path, here)
