"""Convert a checkpoint of the published HyCTAS release: SRC.pth -> DST.pth in mmengine's layout, and beside it DST.py,
a complete config.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hyctas_mm import register_all_modules
from hyctas_mm.cli import tells_mistakes

if TYPE_CHECKING:
    from mmengine.config import Config

    from hyctas_mm.release.network import ReleaseNetwork

CONFIGS = Path(__file__).parents[2] / 'configs'
BASES = {
    (False, 19): 'hyctas/cityscapes/hyctas-m_4xb8-186k_cityscapes-512x1024.py',
    (False, 150): 'hyctas/ade20k/hyctas-m_4xb4-160k_ade20k-640x640.py',
    (False, 171): 'hyctas/coco_stuff164k/hyctas-m_4xb4-320k_coco-stuff164k-640x640.py',
    (True, 19): 'panoptic/cityscapes/hyctas-m_4xb8-186k_cityscapes-panoptic-512x1024.py',
    (True, 133): 'panoptic/coco/hyctas-l_8xb8-200k_coco-panoptic-640x640.py',
}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source', help="the release's .pth")
    parser.add_argument('destination', help='the .pth to write')
    parser.add_argument('--genotype', required=True, help="the release's JSON of the architecture")
    parser.add_argument(
        '--base',
        help='config whose data, schedule and runtime the new config takes; default by task and number of classes',
    )
    parser.add_argument(
        '--num-things',
        type=int,
        help='panoptic: the first so many classes have instances; known for 19 (Cityscapes) and 133 (COCO)',
    )
    parser.add_argument(
        '--align-corners',
        action='store_true',
        help="the release's flag of that name, which leaves no trace in a checkpoint",
    )
    return parser.parse_args(argv)


def base_config(name: str | None, network: ReleaseNetwork) -> Config:
    """The config named, else one of this repository with data of as many classes, else the runtime alone."""
    from hyctas_mm.engine.configs import read_config

    runtime = 'panoptic_runtime.py' if network.panoptic else 'default_runtime.py'
    return read_config(name or CONFIGS / BASES.get((network.panoptic, network.num_classes), runtime))


@tells_mistakes
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    register_all_modules()
    from hyctas_mm.engine.configs import use_scope
    from hyctas_mm.release.checkpoint import read_release_checkpoint, write_converted
    from hyctas_mm.release.network import infer_network, read_genotype

    genotype, state = read_genotype(args.genotype), read_release_checkpoint(args.source)
    network = infer_network(state, genotype, args.source)
    base = base_config(args.base, network)
    use_scope(base)
    unused = write_converted(state, network, base, args.destination, args.source, args.num_things, args.align_corners)
    arch = network.genotype.arch
    heads = 'semantic and instance' if network.panoptic else 'semantic'
    print(arch.describe())
    print(
        f'base channels {network.base_channels}, {network.num_classes} classes, {heads} '
        f'head{", auxiliary heads" * network.auxiliary}'
    )
    for reason, count in Counter(unused.values()).items():
        print(f'{count} tensors not converted, {reason}:')
        print('  ' + ' '.join(name for name, why in unused.items() if why == reason))
    if not base.get('test_dataloader'):
        print(
            f'no config here has data of {network.num_classes} classes: the new one is without; --base CONFIG adds them'
        )
    print(f'wrote {args.destination} and {Path(args.destination).with_suffix(".py")}')


if __name__ == '__main__':
    sys.exit(main())
