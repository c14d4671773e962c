"""Pictures small enough to live inside the page."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from hyctas_mm.errors import BadValue

MAX_WIDTH = 480


def data_uri(path: Path, max_width: int = MAX_WIDTH) -> str:
    """A JPEG of at most ``max_width`` pixels across as a ``data:`` address.

    Raises:
        ValueError: If the file is not a picture; it is named.
    """
    try:
        with Image.open(path) as image:
            picture = image.convert('RGB')
    except (UnidentifiedImageError, OSError) as error:
        raise BadValue(f'{path}: not a readable picture ({error}); delete it or write it again') from None
    if picture.width > max_width:
        size = max_width, max(1, round(picture.height * max_width / picture.width))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    # full colour resolution: the classes' colours must keep their edges
    picture.save(buffer, format='JPEG', quality=82, subsampling=0, optimize=True)
    return 'data:image/jpeg;base64,' + base64.b64encode(buffer.getvalue()).decode()
