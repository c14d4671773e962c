"""Exports a network to ONNX at a fixed size, checked against PyTorch."""

from __future__ import annotations

import argparse
from pathlib import Path

from hyctas_mm.engine.onnx import export_onnx


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of the network')
    parser.add_argument('checkpoint', help='its weights')
    parser.add_argument('--out', help='file to write; default model.onnx beside the checkpoint')
    parser.add_argument('--shape', type=int, nargs=2, metavar=('H', 'W'), required=True, help='input height and width')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    out = args.out or Path(args.checkpoint).with_name('model.onnx')
    result = export_onnx(args.config, args.checkpoint, out, args.shape)
    print(f'{result.path}: differs from PyTorch by {result.max_difference:.1e} of the largest logit')


if __name__ == '__main__':
    main()
