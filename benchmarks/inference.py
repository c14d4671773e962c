"""What each step towards a fast network gives: auxiliary parts dropped, batch norm fused, channels-last, compiled.

python benchmarks/inference.py [hyctas-s CONFIG ...] [--shape 512 1024] [--compile] [--seconds 3] [--rounds 5]
[--threads 1] [--device cpu]

All variants of all networks are timed in one interleaved run; the difference of their outputs to the first is relative
to its largest value. Weights are random. --compile takes minutes a network.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import warnings
from functools import partial
from pathlib import Path

import torch
from mmengine.device import get_device
from mmengine.registry import DefaultScope
from rich.table import Table
from torch import nn

from hyctas_mm import register_all_modules
from hyctas_mm.archs import zoo_names
from hyctas_mm.costs import measure_interleaved
from hyctas_mm.deploy.inference import fuse_norms, prepare_for_inference
from hyctas_mm.files import alone
from hyctas_mm.measuring import Network, from_config, published
from hyctas_mm.measuring.printing import conditions, report
from hyctas_mm.models.subnet import drop_training_parts
from hyctas_mm.registry import MODELS


def variants(network: Network, compiled: bool) -> dict[str, nn.Module]:
    """The network as it is trained, and with one step after another."""
    with DefaultScope.overwrite_default_scope(network.scope):
        net: nn.Module = MODELS.build(network.model).eval()
    for module in net.modules():
        # as if it had been trained: fusing must not be trivial
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    found = {'as trained': net, 'without auxiliary heads': drop_training_parts(copy.deepcopy(net))}
    found['batch norm fused'] = fuse_norms(drop_training_parts(copy.deepcopy(net)))
    found['channels-last'] = prepare_for_inference(copy.deepcopy(net))
    if compiled:
        found['compiled'] = prepare_for_inference(copy.deepcopy(net), compile_mode='default')
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'networks', nargs='*', default=['hyctas-s', 'hyctas-m'], help='published names or configs of fixed networks'
    )
    parser.add_argument('--shape', type=int, nargs=2, default=(512, 1024), metavar=('H', 'W'))
    parser.add_argument('--compile', action='store_true')
    parser.add_argument('--seconds', type=float, default=3.0, help='time to measure each variant (default 3)')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--threads', type=int)
    parser.add_argument('--device', default=get_device())
    parser.add_argument('--json', type=Path, metavar='FILE')
    args = parser.parse_args()
    warnings.filterwarnings('ignore')
    register_all_modules()
    torch.manual_seed(0)
    here, device, shape = (
        conditions(args.device, args.threads),
        torch.device(args.device),
        (args.shape[0], args.shape[1]),
    )
    names, nets = [], []
    for name in args.networks:
        network = published(name, shape, None, None, 19) if name in zoo_names() else from_config(name, shape)
        for variant, net in variants(network, args.compile).items():
            names.append((name, variant))
            nets.append(net.to(device))
    x = torch.rand(1, 3, *shape, device=device)
    with torch.inference_mode():
        outputs = [net(x) for net in nets]
    with alone():
        found = measure_interleaved([partial(net, x) for net in nets], device, args.seconds, args.rounds)
    medians = [[statistics.median(times) for times in rounds] for rounds in found]
    table, rows = Table('network', 'variant', 'ms', 'by the first', 'of each round', 'difference'), []
    for place, (name, variant) in enumerate(names):
        first = names.index((name, 'as trained'))
        ratios = [now / then for now, then in zip(medians[place], medians[first], strict=True)]
        apart = float((outputs[place] - outputs[first]).abs().max() / outputs[first].abs().max())
        row = dict(
            network=name,
            variant=variant,
            latency_ms=statistics.median(medians[place]),
            ratio=statistics.median(ratios),
            difference=apart,
        )
        rows.append(row)
        spread = f'{min(ratios):.2f}..{max(ratios):.2f}'
        table.add_row(
            name,
            variant,
            f'{row["latency_ms"]:.1f}',
            f'{row["ratio"]:.2f}',
            spread,
            f'{apart:.0e}',
            end_section=place + 1 == len(names),
        )
    report(table, args.json, here | dict(input_hw=shape), networks=rows)


if __name__ == '__main__':
    main()
