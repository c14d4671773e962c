"""Latency tables of devices elsewhere: a kit of networks goes there, measurements come back, the search runs here.

Examples:
    python tools/target_kit.py make SEARCH_CONFIG --out kit.zip            # the target is the config's train_cfg.target
    python tools/target_kit.py make SEARCH_CONFIG --target ncnn --out kit.zip
    python tools/target_kit.py fit kit.zip measured.json --out table.json  # then train_cfg.latency_table='table.json'
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from hyctas_mm import register_all_modules
from hyctas_mm.cli import tells_mistakes
from hyctas_mm.errors import BadValue
from hyctas_mm.files import read_json


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    make = commands.add_parser('make', help='write the kit')
    make.add_argument('config', help='config of a search')
    make.add_argument('--out', type=Path, required=True, help='the kit, a zip file')
    make.add_argument(
        '--target', help='onnxruntime, openvino, ncnn or tensorrt; default: train_cfg.target of the config'
    )
    make.add_argument(
        '--precision', default='fp32', help='with --target: fp32, fp16 (tensorrt) or int8 (default: fp32)'
    )
    make.add_argument('--threads', type=int, default=1, help='with --target: threads on the device (default: 1)')
    make.add_argument('--networks', type=int, default=80, help='networks to measure (default: 80)')
    make.add_argument('--shape', type=int, nargs=2, metavar=('H', 'W'), help='input size; default: train_cfg.input_hw')
    fit = commands.add_parser('fit', help='make the table')
    fit.add_argument('kit', type=Path)
    fit.add_argument('measured', type=Path, help='measured.json from the device')
    fit.add_argument('--out', type=Path, required=True, help='the table')
    return parser.parse_args(argv)


@tells_mistakes
def main(argv: Sequence[str] | None = None) -> None:
    """Writes a kit, or fits a table to what came back."""
    args = parse_args(argv)
    warnings.filterwarnings('ignore')
    register_all_modules()
    from hyctas_mm.costs import Target
    from hyctas_mm.engine.target_kit import fit_kit, make_kit
    from hyctas_mm.measuring.commands import read_handover, read_space

    if args.command == 'fit':
        check = fit_kit(args.kit, args.measured, args.out)
        target = read_json(args.out)['target']
        print(f"{args.out}: {check}; use it by train_cfg.latency_table='{args.out}' and train_cfg.target={target}")
        return
    cfg, space, shape = read_space(args.config, args.shape)
    wanted = args.target or cfg.get('train_cfg', {}).get('target')
    if not wanted:
        raise BadValue(
            f'{args.config}: train_cfg.target is not set; give --target onnxruntime, openvino, ncnn or tensorrt'
        )
    target = Target.read(wanted, args.precision, args.threads)
    make_kit(cfg.model.to_dict(), space, target, shape, args.out, args.networks, read_handover(cfg, space))
    print(
        f'{args.out}: {args.networks} networks for {target}, {args.out.stat().st_size / 1e6:.0f} MB; README.txt in it'
    )


if __name__ == '__main__':
    sys.exit(main())
