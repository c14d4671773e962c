"""Looks at a folder of images and labels and writes the configs of a search for it, sized to the data, the device and
a latency budget.

Example:
    python tools/new_search.py --data-root data/camvid --latency-ms 20
    python tools/run_all.py work_dirs/camvid
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyctas_mm import register_all_modules
from hyctas_mm.cli import tells_mistakes
from hyctas_mm.errors import BadValue

if TYPE_CHECKING:
    from hyctas_mm.wizard.data import Data
    from hyctas_mm.wizard.lengths import Speed
    from hyctas_mm.wizard.sizing import Plan

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data-root', type=Path, required=True, help='folder with images and labels')
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help='class names by label index, or a .txt file of them (default DATA_ROOT/classes.txt)',
    )
    parser.add_argument(
        '--like',
        choices=['cityscapes', 'ade20k', 'coco-panoptic'],
        help='take augmentation and crops from there; coco-panoptic: panoptic',
    )
    parser.add_argument('--device', help='cpu, cuda or cuda:N (default: a GPU where there is one)')
    parser.add_argument(
        '--space',
        choices=['paper', 'wide'],
        default='wide',
        help='wide (default): stem, head and low-level fusion are searched too; paper: they are as there',
    )
    parser.add_argument('--latency-ms', type=float, help='the most that a network may take for an image on the device')
    parser.add_argument(
        '--target',
        help='what networks ship to, whose latency is searched by: onnxruntime, openvino, ncnn ... '
        '(default: PyTorch as it is); one that is elsewhere: tools/target_kit.py',
    )
    parser.add_argument('--precision', help="the target's: fp32 (default) or int8")
    parser.add_argument('--threads', type=int, help="the target's threads on a CPU (default 1)")
    parser.add_argument(
        '--hours', type=float, help='time for the whole job (default: what the number of images suggests)'
    )
    parser.add_argument(
        '--quick', action='store_true', help='a try of the whole way in minutes; the networks are worth nothing'
    )
    parser.add_argument('--work-dir', type=Path, help='where configs and results go (default work_dirs/FOLDER)')
    parser.add_argument('--overwrite', action='store_true', help='replace configs that were not run yet')
    folder = parser.add_argument_group('where the folder is not understood')
    folder.add_argument(
        '--train',
        nargs=2,
        metavar=('IMAGES', 'LABELS'),
        help='folders of training images and labels in DATA_ROOT; panoptic: IMAGES JSON',
    )
    folder.add_argument('--val', nargs=2, metavar=('IMAGES', 'LABELS'), help='those of the validation images')
    folder.add_argument('--img-suffix', help='what image names have behind the common stem, e.g. _leftImg8bit.png')
    folder.add_argument('--label-suffix', help='what label names have behind it, e.g. _gtFine_labelTrainIds.png')
    folder.add_argument('--skip-unpaired', action='store_true', help='leave out images without a label')
    folder.add_argument('--reduce-zero-label', action='store_true', help='label 0 is void and 1..n are the classes')
    folder.add_argument('--ignore-index', type=int, default=255, help='the void label (default 255)')
    folder.add_argument(
        '--check',
        type=int,
        default=500,
        metavar='N',
        help='labels to look at, spread over all; 0 for all (default 500)',
    )
    sizes = parser.add_argument_group('sizes')
    sizes.add_argument(
        '--size',
        type=int,
        nargs=2,
        metavar=('H', 'W'),
        help='size to test at, and to measure latency (default: that of the images, limited)',
    )
    sizes.add_argument('--memory-gb', type=float, help='memory to train in (default: what the device has free)')
    args = parser.parse_args(argv)
    for name in ('latency_ms', 'hours', 'memory_gb'):
        if getattr(args, name) is not None and getattr(args, name) <= 0:
            parser.error(f'--{name.replace("_", "-")} {getattr(args, name):g}; expected a number above 0')
    if args.size and min(args.size) < 32:
        parser.error(f'--size {args.size[0]} {args.size[1]}; expected 32 or more each')
    if not args.target and (args.precision or args.threads):
        parser.error('--precision and --threads are those of a --target; give one')
    if args.check < 0:
        parser.error(f'--check {args.check}; expected 0 or more')
    return args


def use_device(device: str | None) -> None:
    """Makes a device the one that mmengine takes, which takes a GPU wherever it sees one; must precede its import.

    Raises:
        ValueError: For a name that is no device.
    """
    if device is None:
        return
    kind, _, index = device.partition(':')
    if kind not in ('cpu', 'cuda') or (index and not (kind == 'cuda' and index.isdigit())):
        raise BadValue(f'--device {device}; expected cpu, cuda or cuda:N')
    visible = [part for part in os.environ.get('CUDA_VISIBLE_DEVICES', '').split(',') if part]
    if kind == 'cpu':
        os.environ['CUDA_VISIBLE_DEVICES'] = ''
    elif index:
        if visible and int(index) >= len(visible):
            raise BadValue(
                f'--device {device}, but CUDA_VISIBLE_DEVICES={",".join(visible)} shows {len(visible)}; give a '
                'smaller index'
            )
        os.environ['CUDA_VISIBLE_DEVICES'] = visible[int(index)] if visible else index


def check_device(device: str | None) -> Any:
    """The device that will be used.

    Raises:
        ValueError: If a GPU was asked for and there is none.
    """
    import torch
    from mmengine.device import get_device

    found = get_device()
    if device and device.startswith('cuda') and found != 'cuda':
        raise BadValue(f'--device {device}, but PyTorch sees no such CUDA device; give --device cpu')
    return torch.device(found if found == 'cuda' else 'cpu')


@tells_mistakes
def main(argv: Sequence[str] | None = None) -> None:
    """Looks, sizes, writes, measures, writes again and tells."""
    args = parse_args(argv)
    warnings.filterwarnings('ignore')
    use_device(args.device)
    new_search(args)


def new_search(args: argparse.Namespace) -> None:
    """The whole of it."""
    device = check_device(args.device)  # imports what use_device must precede, as do these
    register_all_modules()
    from mmengine.config import Config
    from rich.console import Console

    from hyctas_mm.costs import Target
    from hyctas_mm.engine.configs import use_scope
    from hyctas_mm.wizard import lengths as timing
    from hyctas_mm.wizard import sizing, write
    from hyctas_mm.wizard.measure import measure_speed

    target = Target.read(args.target, args.precision or 'fp32', args.threads or 1) if args.target else None
    root = args.data_root.resolve()
    work_dir = args.work_dir or Path('work_dirs') / root.name
    write.check_free(work_dir, args.overwrite)
    console = Console(soft_wrap=True, highlight=False)
    data = look(args, root)
    tell_data(console, data)

    panoptic = args.like == 'coco-panoptic'
    runtime = Config.fromfile(CONFIGS / ('panoptic_runtime.py' if panoptic else 'default_runtime.py'))
    use_scope(runtime)
    base = Config.fromfile(CONFIGS / '_base_' / 'models' / f'hyctas_{"panoptic_" if panoptic else ""}supernet.py')
    machine = sizing.Machine.here(device, args.memory_gb)
    size = tuple(args.size) if args.size else None
    first = len(sizing.SPACES) - 1 if args.quick else None
    while True:
        geometry = sizing.choose_geometry(data.sizes, device.type, args.like, size)
        plan = sizing.choose_plan(
            data,
            geometry,
            machine,
            base.model.to_dict(),
            args.latency_ms,
            first,
            args.space == 'wide',
            partial(sizing.time_network, target=target or 'eager'),
        )
        tell_plan(console, data, plan, machine)
        counts = (len(data.split.select), len(data.split.val), plan.batch, plan.space)
        lengths = timing.QUICK if args.quick else timing.usual_lengths(len(data.split.fit), plan.batch, device.type)
        configs = write.write_configs(work_dir, data, plan, lengths, machine, CONFIGS, args.latency_ms, target)
        with console.status('measuring a few training steps and candidates ...'):
            speed = measure_speed(configs, device)
        if not args.hours or args.quick:
            break
        try:
            lengths = timing.fit_hours(lengths, args.hours, speed, len(data.split.fit), *counts, len(data.classes))
        except timing.TooShort as error:
            size = None if args.size else sizing.smaller(geometry, error.excess)
            if size is None:
                raise
            problem, wanted = str(error).partition(';')[0], error.excess * args.hours + 0.05
            console.print(f'{problem}: images are made smaller; for the size above give --hours {wanted:.1f}')
            continue
        write.write_configs(work_dir, data, plan, lengths, machine, CONFIGS, args.latency_ms, target)
        break
    tell_times(console, timing.estimate(lengths, speed, *counts), speed)
    console.print(f'written: {configs}/supernet.py, search.py, subnet.py (the schedule of retraining), data.py')
    console.print(f'next:    python tools/run_all.py {work_dir}')


def look(args: argparse.Namespace, root: Path) -> Data:
    """The data, found and checked."""
    from hyctas_mm.wizard.lengths import QUICK_SELECT
    from hyctas_mm.wizard.panoptic import look_at_panoptic
    from hyctas_mm.wizard.semantic import look_at_semantic, read_classes

    most_select = dict(most_select=QUICK_SELECT) if args.quick else {}
    train, val = args.train and tuple(args.train), args.val and tuple(args.val)
    if args.like == 'coco-panoptic':
        semantic_only = [
            f'--{n.replace("_", "-")}'
            for n in ('classes', 'img_suffix', 'label_suffix', 'skip_unpaired', 'reduce_zero_label')
            if getattr(args, n)
        ]
        if semantic_only:
            raise BadValue(
                f'{", ".join(semantic_only)} with --like coco-panoptic: names and labels come from the JSON; '
                'leave it out'
            )
        return look_at_panoptic(root, train, val, args.check, **most_select)
    classes, palette = None, None
    if not args.classes and not (root / 'classes.txt').is_file() and args.like:
        from mmseg.registry import DATASETS

        info = DATASETS.get(dict(cityscapes='CityscapesDataset', ade20k='ADE20KDataset')[args.like]).METAINFO
        classes, palette = tuple(info['classes']), info['palette']
    return look_at_semantic(
        root,
        classes or read_classes(args.classes, root),
        palette,
        train,
        val,
        args.img_suffix,
        args.label_suffix,
        args.skip_unpaired,
        args.reduce_zero_label,
        args.ignore_index,
        args.check,
        **most_select,
    )


def tell_data(console: Any, data: Data) -> None:
    """What was found."""
    split, (height, width) = data.split, data.sizes.typical_hw
    names = ', '.join(data.classes[:6]) + ', ...' * (len(data.classes) > 6)
    console.print(f'{data.root}: {len(split.train)} training and {len(split.val)} validation images', markup=False)
    console.print(
        f'  {width}x{height} pixels{"" if data.sizes.one_size else " (median; they differ)"}; {len(data.classes)} '
        f'classes: {names}',
        markup=False,
    )
    console.print(
        f'  {len(split.select)} training images are held out to score candidates: {split.select_by}', markup=False
    )
    if split.val_held_out:
        console.print(
            '  the folder has no validation split: a fifth of the images is held out to judge the result', markup=False
        )
    for note in data.notes:
        console.print(f'  note: {note}', markup=False)


def tell_plan(console: Any, data: Data, plan: Plan, machine: Any) -> None:
    """What was chosen."""
    geometry = plan.geometry
    memory = f'training takes {plan.memory_gb:.2f} of {machine.memory_gb:.1f} GB on {machine.device}'
    console.print(
        f'{plan.space.layers} layers, base channels {plan.space.base_channels}: {plan.space.size():.2g} '
        f'architectures; {memory}'
    )
    crop, test = ('x'.join(map(str, hw)) for hw in (geometry.crop_hw, geometry.input_hw))
    smaller = ' (images are made smaller; --size H W for another size)' if geometry.resize else ''
    console.print(f'  trained on {plan.batch} crops of {crop}, tested at {test}{smaller} (height x width)')
    if plan.latency_ms:
        console.print(f'  latency: smallest network {plan.latency_ms[0]:.1f} ms, median {plan.latency_ms[1]:.1f} ms')


def tell_times(console: Any, estimates: Sequence[Any], speed: Speed) -> None:
    """How long the job will take."""
    from rich.table import Table

    from hyctas_mm.wizard.lengths import duration

    table = Table('step', 'what', 'about')
    for estimate in estimates:
        table.add_row(estimate.step, estimate.what, duration(estimate.seconds))
    table.add_row('all', '', duration(sum(e.seconds for e in estimates)))
    console.print(table)
    console.print(
        f'(measured: {speed.step:.2f} s a training step, {speed.image * 1000:.0f} ms an image scored; --hours sets '
        'the time of the whole job)'
    )


if __name__ == '__main__':
    sys.exit(main())
