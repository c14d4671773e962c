"""Writing small files whole."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes JSON so that the file is whole at every instant, whatever interrupts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix('.tmp')
    temporary.write_text(json.dumps(content, indent=1), encoding='utf-8')
    os.replace(temporary, path)


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object; empty if there is no such file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}
    return content
