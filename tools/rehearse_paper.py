"""Runs every command of docs/reproduce.md at toy size, on a CPU: tiny images in the folders of Cityscapes, ADE20K and
COCO, narrow networks, two steps a training, a few candidates a search, up to so many processes of gloo.

WORK_DIR gets the folders that the commands expect, configs made small, and in lines/ what each command printed. The
commands are the page's own but for options added at the end that make them short. Those that are done are not done
again, so a rehearsal that was stopped, or a command that was mended, goes on by the same command.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

from hyctas_mm import register_all_modules
from hyctas_mm.cli import tells_mistakes
from hyctas_mm.errors import HyctasError, NoSuchFile

if TYPE_CHECKING:
    from mmengine.config import Config

    from hyctas_mm.rehearsal.page import Line

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs' / 'reproduce.md'
LINKS = ('tools', 'tests', 'docs')
"""What commands use as it is."""
BATCH = 8
"""Images of a step, all processes together."""
SHORT = (
    (('tools/benchmark.py', 'build-table'), ('--part-seconds', '0.001', '--rounds', '1', '--samples', '8')),
    (('tools/benchmark.py', 'latency'), ('--shape', '64', '128', '--seconds', '0.02', '--rounds', '1')),
    (('tools/benchmark.py', 'latency', 'hyctas-l'), ('--base-channels', '2')),
    (('tools/retrain.py', '--base-channels'), ('--base-channels', '4')),
    (('tools/evidence.py', 'rank_correlation'), ('--archs', '3', '--iters', '2')),
    (('tools/evidence.py', 'random_baseline'), ('--per-track', '1')),
)
"""Options that are added to commands with these words."""
TAIL = 12
"""Lines of the log of a command that failed."""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/rehearsal'), help='default: %(default)s')
    parser.add_argument(
        '--processes', type=int, default=4, help='at most, where the page has 4 or 8 GPUs: 1, 2, 4 or 8 (default 4)'
    )
    parser.add_argument(
        '--once', action='store_true', help='several processes for the first command of each tool only, to save time'
    )
    args = parser.parse_args()
    if args.processes not in (1, 2, 4, BATCH):
        parser.error(f'--processes {args.processes}; expected 1, 2, 4 or {BATCH}, which divide {BATCH} images')
    return args


def make_small(cfg: Config) -> Config:
    """A config at toy size, whose last checkpoint has the name that the full training's has."""
    from hyctas_mm.rehearsal.shrinking import shrink, shrink_search

    length = {unit: cfg.train_cfg.get(f'max_{unit}s') for unit in ('iter', 'epoch')}
    shrink(cfg)
    if 'objectives' in cfg.train_cfg:
        return shrink_search(cfg)
    cfg.auto_scale_lr.base_batch_size = BATCH
    cfg.default_hooks.logger.interval = 1
    name = next(f'{unit}_{value}.pth' for unit, value in length.items() if value)
    cfg.default_hooks.checkpoint.update(filename_tmpl=name, interval=10**9)
    return cfg


@dataclass
class Rehearsal:
    """Runs commands of a page.

    Args:
        folder: Where, absolute.
        processes: Processes of a command at most.
        once: Whether only the first command of each tool gets several.
        launched: Tools that were started in several processes. Only the very first is started by torchrun itself, as
            new processes import everything anew, which takes longer than their work.
    """

    folder: Path
    processes: int
    once: bool = False
    launched: set[str] = field(default_factory=set)

    def prepare(self) -> None:
        """Makes the folder what a checkout with data is."""
        from hyctas_mm.datasets.panoptic.toy_layouts import toy_cityscapes_panoptic, toy_coco_panoptic
        from hyctas_mm.datasets.toy.layouts import toy_ade20k

        (self.folder / 'lines').mkdir(parents=True, exist_ok=True)
        (self.folder / 'work_dirs').mkdir(exist_ok=True)
        for name in LINKS:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(ROOT / name)
        data = self.folder / 'data'
        if not data.is_dir():
            part = self.folder / 'data.part'
            toy_cityscapes_panoptic(part / 'cityscapes', num_train=BATCH)
            toy_ade20k(part / 'ade' / 'ADEChallengeData2016', num_train=BATCH)
            toy_coco_panoptic(part / 'coco', num_train=BATCH)
            part.rename(data)

    def run(self, line: Line, name: str) -> str:
        """Runs a command.

        Args:
            line: The command.
            name: Of its log.

        Returns:
            How it ended: ``'done'``, ``'was done'``, or what went wrong.
        """
        from hyctas_mm.rehearsal.processes import run_python, run_torchrun

        log, mark = (self.folder / 'lines' / f'{name}.{suffix}' for suffix in ('txt', 'done'))
        try:
            words = self.words(line)
        except HyctasError as error:
            return str(error)
        told = ' '.join(words)
        if mark.is_file() and mark.read_text(encoding='utf-8') == told:
            return 'was done'
        for word in words:
            if word.startswith('configs/'):
                self.write_config(word)
        if log.exists() and not mark.exists() and {'tools/train.py', 'tools/search.py'} & {*words}:
            words.append('--resume')
        for old in (log, mark):
            old.unlink(missing_ok=True)
        if words[0] == 'python':
            status = run_python(words[1:], self.folder, log)
        else:
            count, words = min(self.processes, int(words[1].split('=')[1])), words[2:]
            if not self.launched:
                status = run_torchrun(words, self.folder, log, min(2, count), ROOT)
            else:
                status = run_python(words, self.folder, log, 1 if self.once and words[0] in self.launched else count)
            self.launched.add(words[0])
        if status:
            tail = log.read_text(encoding='utf-8', errors='replace').splitlines()[-TAIL:]
            return '\n    '.join([f'FAILED with status {status}, {log}', *tail])
        mark.write_text(told, encoding='utf-8')
        return 'done'

    def words(self, line: Line) -> list[str]:
        """A command's words, with those that make it short."""
        from hyctas_mm.rehearsal.page import PLACEHOLDER
        from hyctas_mm.search.folder import SearchFolder

        networks: list[str] = []
        if any(PLACEHOLDER in text for text in line.definitions):
            (work_dir,) = replace(line, text='python $W').arguments()[1:]
            chosen = [folder.name for folder in SearchFolder.find(self.folder / work_dir).chosen()]
            networks = list(islice(cycle(chosen), 3))
        words = line.arguments(networks)
        for given, options in SHORT:
            if all(word in words for word in given):
                words.extend(options)
        return words

    def write_config(self, name: str) -> None:
        """Writes a config at toy size, and that of the networks that a search exports."""
        from mmengine.config import Config

        target = self.folder / name
        cfg = make_small(Config.fromfile(ROOT / name))
        if 'subnet_config' in cfg.train_cfg:
            self.write_config(str(Path(name).with_name(cfg.train_cfg.subnet_config)))
        target.parent.mkdir(parents=True, exist_ok=True)
        content = (f'{key} = {value!r}\n' for key, value in cfg.to_dict().items())
        target.write_text(f'# {name} at toy size\n{"".join(content)}', encoding='utf-8')


@tells_mistakes
def main() -> int:
    args = parse_args()
    if not PAGE.is_file():
        raise NoSuchFile(f'{PAGE}: the page is not here; run it in a checkout of the project')
    os.environ |= dict(CUDA_VISIBLE_DEVICES='', OMP_NUM_THREADS='1', MPLBACKEND='agg')
    warnings.filterwarnings('ignore')
    register_all_modules()
    from hyctas_mm.rehearsal import processes
    from hyctas_mm.rehearsal.page import read_lines

    rehearsal, lines, failed = Rehearsal(args.work_dir.absolute(), args.processes, args.once), read_lines(PAGE), 0
    rehearsal.prepare()
    processes.prepare()
    for number, line in enumerate(lines, 1):
        start = time.monotonic()
        how = rehearsal.run(line, f'{number:02d}')
        failed += how not in ('done', 'was done')
        print(f'[{number}/{len(lines)}] {line.text}\n    {time.monotonic() - start:.1f} s, {how}', flush=True)
    print(f'{len(lines) - failed} of {len(lines)} commands done; the tables: {rehearsal.folder / "work_dirs/paper.md"}')
    return int(failed > 0)


if __name__ == '__main__':
    sys.exit(main())
