"""Quantises an exported network to INT8, calibrated on training images, and reports what it loses and gains.

See docs/deployment.md.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from hyctas_mm import register_all_modules
from hyctas_mm.cli import tells_mistakes
from hyctas_mm.errors import BadValue


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('model', help='float file of tools/export_onnx.py')
    parser.add_argument('config', help='config that it was exported from, for the images and the metric')
    parser.add_argument('--out', help='file to write; default MODEL.int8.onnx')
    parser.add_argument('--images', type=int, default=64, help='training images to calibrate on; default 64')
    parser.add_argument('--val-images', type=int, help='validation images to score both files on; default all')
    parser.add_argument('--attention', action='store_true', help="quantise attention's products too")
    parser.add_argument(
        '--predictors', action='store_true', help='quantise the last convolutions and what follows them too'
    )
    parser.add_argument(
        '--signed', action='store_true', help='symmetric int8 activations, for TensorRT; default uint8, for CPUs'
    )
    parser.add_argument(
        '--keep',
        nargs='*',
        metavar='LAYER',
        help="layers that stay float32; default: of panoptic files the centres' tower",
    )
    parser.add_argument('--threads', type=int, default=1, help='threads of the latency measurement; default 1')
    parser.add_argument('--data-root', help="folder of the data, in place of the config's")
    return parser.parse_args()


@tells_mistakes
def main() -> None:
    args = parse_args()
    register_all_modules()
    import torch
    from mmengine.logging import MMLogger

    from hyctas_mm.deploy import OnnxNet, QuantizeOptions, compare_latency, quantize, score
    from hyctas_mm.deploy.images import open_dataset, spread_images
    from hyctas_mm.engine.configs import read_config, set_data_root, use_scope

    MMLogger.get_instance('quantize', log_level='ERROR')
    logging.disable(logging.WARNING)
    cfg = read_config(args.config)
    if args.data_root:
        set_data_root(cfg, args.data_root)
    use_scope(cfg)
    source, out = Path(args.model), Path(args.out or Path(args.model).with_suffix('.int8.onnx'))
    description = OnnxNet(source).description
    if args.images < 1:
        raise BadValue(f'--images {args.images}: quantisation needs calibration images, 32 to 256 of them')
    images = spread_images(open_dataset(cfg, 'train', pipeline_of='val'), args.images, description)
    options = QuantizeOptions(
        args.attention, args.predictors, args.signed, None if args.keep is None else tuple(args.keep)
    )
    count = quantize(source, out, images, options)
    metrics = {path: score(path, cfg, args.val_images) for path in (source, out)}
    torch.set_num_threads(args.threads)
    latency = dict(zip((source, out), compare_latency((source, out), description.input_hw, args.threads), strict=True))
    name = 'PQ' if 'PQ' in metrics[source] else 'mIoU'
    print(f'{out}: calibrated on {count} training images')
    print(f'{"":8} {name:>7} {"MB":>7} {"ms":>7}   p10 to p90, {args.threads} thread(s)')
    for label, path in (('float', source), ('int8', out)):
        times = latency[path]
        spread = f'{times.p10_ms:.1f} to {times.p90_ms:.1f}'
        print(
            f'{label:8} {metrics[path][name]:7.2f} {path.stat().st_size / 1e6:7.2f} {times.median_ms:7.1f}   {spread}'
        )
    loss, ratio = metrics[source][name] - metrics[out][name], latency[out].median_ms / latency[source].median_ms
    print(f'{name} lost: {loss:.2f}; latency: {ratio:.2f} times that of float, measured in turns')
    result = dict(
        metrics={p.name: m for p, m in metrics.items()}, latency_ms={p.name: t.median_ms for p, t in latency.items()}
    )
    out.with_suffix('.json').write_text(
        json.dumps(result | dict(calibration_images=count, torch=torch.__version__), indent=1), encoding='utf-8'
    )


if __name__ == '__main__':
    sys.exit(main())
