"""Predictions beside the picture and the truth, in the classes' colours (the paper's Figure 5)."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from hyctas_mm.errors import BadValue
from hyctas_mm.report.pareto import SHORT_ID
from hyctas_mm.report.result import SearchResult
from hyctas_mm.search.folder import read_object

MAX_WIDTH = 480
"""Pixels across; pictures are made small enough to live inside the page."""

MAX_IMAGE_BYTES = 2_500_000
"""Rows of predictions beyond this are left out, so that the page stays small enough to mail."""


class Picture(NamedTuple):
    """A picture of a row.

    Attributes:
        uri: The picture as a ``data:`` address; '' if there is none.
        text: Its column.
        network: Whether the column is a network's.
    """

    uri: str
    text: str
    network: bool


@dataclass(frozen=True)
class Predictions:
    """What the page shows.

    Attributes:
        rows: By name of the image: the image, the truth, each chosen network.
        left_out: Number of rows that are not shown.
        classes: Names of the classes and their colours in CSS.
    """

    rows: dict[str, list[Picture]]
    left_out: int
    classes: list[tuple[str, str]]


def read_predictions(result: SearchResult) -> Predictions | None:
    """Reads ``predictions/`` and ``palette.json``; None if there are no predictions.

    Raises:
        ValueError: If a file is not a picture; it is named.
        SearchFileError: If the palette cannot be used.
    """
    folder = result.path / 'predictions'
    found = sorted(p for p in folder.iterdir() if (p / 'image.png').is_file()) if folder.is_dir() else []
    if not found:
        return None
    columns = [('image', 'image'), ('truth', 'truth'), *((i, i[:SHORT_ID]) for i in result.chosen)]
    columns = [(stem, text) for stem, text in columns if any((row / f'{stem}.png').is_file() for row in found)]
    rows: dict[str, list[Picture]] = {}
    used = 0
    for row in found:
        pictures = [Picture(_data_uri(row / f'{stem}.png'), text, stem in result.chosen) for stem, text in columns]
        used += sum(len(picture.uri) for picture in pictures)
        if rows and used > MAX_IMAGE_BYTES:
            break
        rows[row.name] = pictures
    return Predictions(rows, len(found) - len(rows), _read_classes(result.path / 'palette.json'))


def _data_uri(path: Path) -> str:
    """A JPEG of at most :data:`MAX_WIDTH` pixels across."""
    if not path.is_file():
        return ''
    try:
        with Image.open(path) as image:
            picture = image.convert('RGB')
    except (UnidentifiedImageError, OSError) as error:
        raise BadValue(f'{path}: not a readable picture ({error}); delete it or write it again') from None
    if picture.width > MAX_WIDTH:
        size = MAX_WIDTH, max(1, round(picture.height * MAX_WIDTH / picture.width))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    # full colour resolution: the classes' colours must keep their edges
    picture.save(buffer, format='JPEG', quality=82, subsampling=0, optimize=True)
    return 'data:image/jpeg;base64,' + base64.b64encode(buffer.getvalue()).decode()


def _read_classes(path: Path) -> list[tuple[str, str]]:
    data = read_object(path) if path.is_file() else {}
    items = zip(data.get('classes', []), data.get('palette', []), strict=False)
    return [(str(name), f'rgb({",".join(str(int(v)) for v in rgb)})') for name, rgb in items]
