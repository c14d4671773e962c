"""Writes ``deploy/`` beside a network: files for its runtimes, their accuracy and latency, and a README to run them.

Started again it goes on where it was, and keeps what is there of the same weights. See docs/deployment.md.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from hyctas_mm import register_all_modules
from hyctas_mm.cli import tells_mistakes
from hyctas_mm.errors import BadValue, NoSuchFile


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('subnet', type=Path, help='folder of a network, e.g. WORK_DIR/search/subnets/ARCHID')
    runtimes, precisions = ('onnxruntime', 'openvino', 'ncnn'), ('fp32', 'int8')
    parser.add_argument(
        '--targets', nargs='+', choices=runtimes, default=runtimes[:1], help='what it runs in; default: onnxruntime'
    )
    parser.add_argument('--precision', nargs='+', choices=precisions, default=precisions[:1], help='default: fp32')
    parser.add_argument(
        '--shape',
        type=int,
        nargs=2,
        metavar=('H', 'W'),
        help="input height and width; default: those of the files there, else of the search, else of the config's test",
    )
    parser.add_argument('--images', type=int, default=64, help='training images to calibrate int8 on; default 64')
    parser.add_argument('--val-images', type=int, help='validation images to score each file on; default all')
    parser.add_argument('--threads', type=int, default=1, help='threads of the latency measurement; default 1')
    parser.add_argument(
        '--seconds', type=float, default=0.5, help='time for a file in each of three rounds; default 0.5'
    )
    parser.add_argument('--data-root', help="folder of the data, in place of the config's")
    return parser.parse_args()


@tells_mistakes
def main() -> None:
    args = parse_args()
    if not (args.subnet / 'config.py').is_file():
        raise NoSuchFile(
            f'{args.subnet}: no config.py; give the folder of a network, e.g. WORK_DIR/search/subnets/ARCHID'
        )
    for name in ('images', 'val_images'):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise BadValue(f'--{name.replace("_", "-")} {getattr(args, name)}; expected 1 or more')
    register_all_modules()
    from mmengine.logging import MMLogger

    from hyctas_mm.deploy.folder import NOTES, FolderOptions, write_folder
    from hyctas_mm.engine.configs import read_config, set_data_root
    from hyctas_mm.files import read_json
    from hyctas_mm.measuring.network import input_size

    MMLogger.get_instance('deploy', log_level='ERROR')
    logging.disable(logging.WARNING)
    cfg = read_config(args.subnet / 'config.py')
    if args.data_root:
        set_data_root(cfg, args.data_root)
    places = (args.subnet / 'deploy' / NOTES, args.subnet.resolve().parent.parent / 'search.json')
    noted = next((found for place in places if (found := read_json(place).get('input_hw'))), None)
    size = args.shape or noted or (input_size(cfg) or (None,))[0]
    if size is None:
        raise BadValue(f'{args.subnet}: neither its search nor its config says an input size; give --shape H W')
    options = FolderOptions(
        (size[0], size[1]),
        tuple(args.targets),
        tuple(args.precision),
        args.threads,
        args.images,
        args.val_images,
        args.seconds,
    )
    print(write_folder(args.subnet, options, cfg, lambda line: print(line, flush=True)))


if __name__ == '__main__':
    sys.exit(main())
