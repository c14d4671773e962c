"""Exports a semantic or panoptic network to ONNX, checked against PyTorch. See docs/deployment.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hyctas_mm import register_all_modules
from hyctas_mm.cli import tells_mistakes


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of the network')
    parser.add_argument('checkpoint', help='its weights')
    parser.add_argument('--out', help='file to write; default model.onnx beside the checkpoint')
    parser.add_argument('--shape', type=int, nargs=2, metavar=('H', 'W'), required=True, help='input height and width')
    parser.add_argument(
        '--dynamic', nargs='+', choices=('batch', 'size'), default=[], help='what may vary; default: nothing'
    )
    outputs = ('logits', 'probabilities', 'classes')
    parser.add_argument(
        '--outputs', choices=outputs, default='logits', help='how much comes after the network (default: nothing)'
    )
    parser.add_argument(
        '--preprocess',
        choices=('rgb', 'bgr'),
        help='the file takes uint8 images of this order, normalises and pads them',
    )
    parser.add_argument('--layout', choices=('nhwc', 'nchw'), default='nhwc', help='of uint8 images; default nhwc')
    parser.add_argument(
        '--tolerance',
        type=float,
        default=1e-3,
        help='largest difference to PyTorch, relative to the largest value of a map',
    )
    parser.add_argument(
        '--images', type=int, default=4, help='validation images to compare on, beside random ones; default 4'
    )
    parser.add_argument('--data-root', help="folder of the data, in place of the config's")
    return parser.parse_args()


@tells_mistakes
def main() -> None:
    args = parse_args()
    register_all_modules()
    from hyctas_mm.deploy.export import ExportOptions, export_onnx
    from hyctas_mm.engine.configs import read_config, set_data_root

    cfg = read_config(args.config)
    if args.data_root:
        set_data_root(cfg, args.data_root)
    out = Path(args.out or Path(args.checkpoint).with_name('model.onnx'))
    options = ExportOptions(
        dynamic=tuple(args.dynamic),
        outputs=args.outputs,
        preprocessing=args.preprocess is not None,
        layout=args.layout,
        channel_order=args.preprocess or 'rgb',
        tolerance=args.tolerance,
        images=args.images,
    )
    result = export_onnx(cfg, args.checkpoint, out, args.shape, options)
    real = (
        f'{result.real_images} real images'
        if result.real_images
        else f'no real image ({result.why_no_images or "--images 0"})'
    )
    print(
        f'{result.path}: differs from PyTorch by {result.max_difference:.1e} of the largest value '
        f'({result.random_inputs} random inputs, {real})'
    )
    print(f'input: {result.description.accepted}; outputs: {", ".join(result.description.output_names)}')


if __name__ == '__main__':
    sys.exit(main())
