"""Writes the page of a search: the front, the chosen networks, their drawings and predictions.

Example:
    python tools/report.py work_dirs/search_camvid
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from hyctas_mm.cli import tells_mistakes


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description='Write report.html of a search.')
    parser.add_argument('search_dir', help='folder of the search, or the work directory that holds it as search/')
    parser.add_argument('--out', help='file to write (default: report.html in the folder of the search)')
    return parser.parse_args(argv)


@tells_mistakes
def main(argv: Sequence[str] | None = None) -> None:
    """Writes the page and says where."""
    args = parse_args(argv)
    from hyctas_mm.report.html import write_report

    path = write_report(args.search_dir, args.out)
    print(f'wrote {path} ({path.stat().st_size / 1e6:.2f} MB)')


if __name__ == '__main__':
    sys.exit(main())
