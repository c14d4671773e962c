"""What makes an experiment this one and no other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hyctas_mm.files import differences, read_json, write_json


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Notes the settings in a new folder, or checks that those noted there are the same.

    Raises:
        ValueError: Naming each that differs.
    """
    path = folder / 'settings.json'
    there, here = read_json(path), json.loads(json.dumps(settings))
    if there and (differing := differences({key: there.get(key) for key in here}, here)):
        raise ValueError(f'{folder} holds another experiment: {"; ".join(differing)}; choose another --work-dir, or delete it')
    write_json(path, here)
