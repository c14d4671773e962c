"""Time to price an architecture in MACs, parameters and latency: from blocks, and by building its network.

python benchmarks/prices.py [--prices 2000] [--built 10] [--shape 227 320] [--threads 1] [--json FILE]

For the paper's space with 20 layers and for the wide space; means, in milliseconds. "First 100" begins with an empty
table of blocks, "last 100" is after all others, "once more" prices those 100 again as if they were new, with all of
their blocks known. Prices and built networks are compared. In the latency table every part takes 1 ms, so that none is
measured.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.cnn.utils import fuse_conv_bn
from mmengine.registry import init_default_scope
from rich.table import Table

from hyctas_mm import register_all_modules
from hyctas_mm.archs import Architecture, SearchSpace
from hyctas_mm.costs import LatencyTable, count
from hyctas_mm.engine.candidate_costs import CandidateCosts, shipped_network
from hyctas_mm.measuring.printing import conditions, report
from hyctas_mm.wizard.sizing import WIDE

SPACES = {"paper's, 20 layers": SearchSpace(layers=20), 'wide, 12 layers': SearchSpace(layers=12, **WIDE)}


class OneMillisecond(dict[str, float]):
    """Knows every part."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> float:
        return 1.0


def measure(space: SearchSpace, shape: tuple[int, ...], prices: int, built: int, folder: Path) -> dict[str, Any]:
    """Milliseconds of a price in one space.

    Raises:
        ValueError: If a price is not that of the built network.
    """
    model_cfg = dict(
        type='EncoderDecoder',
        backbone=dict(type='HyCTASBackbone', search_space=space.to_dict(), outputs='branches'),
        decode_head=dict(
            type='HyCTASHead', search_space=space.to_dict(), num_classes=19, loss_decode=dict(type='CrossEntropyLoss')
        ),
    )
    table = LatencyTable(folder / 'table.json', torch.device('cpu'), shape)
    table.parts = OneMillisecond()
    costs, rng = CandidateCosts(model_cfg, shape, table), np.random.default_rng(0)
    archs = [space.sample(rng) for _ in range(prices + 1)]
    first = milliseconds(costs, archs.pop())
    times = [milliseconds(costs, arch) for arch in archs]
    anew = CandidateCosts(model_cfg, shape, table)
    anew.blocks = costs.blocks
    again = [milliseconds(anew, Architecture.from_dict(arch.to_dict())) for arch in archs[-100:]]
    building = []
    for arch in archs[:built]:
        start = time.perf_counter()
        counts = count(shipped_network(model_cfg, arch), [shape], fuse_conv_bn)
        building.append(1e3 * (time.perf_counter() - start))
        if costs(arch) != dict(
            params_m=counts.params / 1e6, macs_g=counts.macs.total_g, latency_ms=float(len(counts.parts))
        ):
            raise ValueError(f'{arch.archid}: {costs(arch)} from blocks; the built network has {counts.summary()}')
    return dict(
        built=statistics.fmean(building),
        first=first,
        first_100=statistics.fmean(times[:100]),
        last_100=statistics.fmean(times[-100:]),
        once_more=statistics.fmean(again),
        blocks=costs.blocks.num_known,
        seconds=(first + sum(times)) / 1e3,
    )


def milliseconds(costs: CandidateCosts, arch: Architecture) -> float:
    start = time.perf_counter()
    costs(arch)
    return 1e3 * (time.perf_counter() - start)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--prices', type=int, default=2000, help='architectures priced from blocks (default 2000)')
    parser.add_argument(
        '--built', type=int, default=10, help='architectures that are built for comparison (default 10)'
    )
    parser.add_argument(
        '--shape', type=int, nargs=2, default=(227, 320), metavar=('H', 'W'), help='input size (default 227 320)'
    )
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--json', metavar='FILE', type=Path, help='write the numbers to a file')
    args = parser.parse_args()
    warnings.filterwarnings('ignore')
    register_all_modules()
    init_default_scope('mmseg')
    here = conditions('cpu', args.threads)
    with tempfile.TemporaryDirectory() as folder:
        rows = {
            name: measure(space, (1, 3, *args.shape), args.prices, args.built, Path(folder))
            for name, space in SPACES.items()
        }
    table = Table(
        'space', 'built ms', 'first one ms', 'first 100 ms', 'last 100 ms', 'once more ms', 'blocks', 'all prices s'
    )
    for name, row in rows.items():
        numbers = [f'{row[key]:.0f}' for key in ('built', 'first')]
        numbers += [f'{row[key]:.2f}' for key in ('first_100', 'last_100', 'once_more')]
        table.add_row(name, *numbers, str(row['blocks']), f'{row["seconds"]:.1f}')
    report(table, args.json, here, spaces=rows)


if __name__ == '__main__':
    main()
