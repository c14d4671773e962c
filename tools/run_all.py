"""Runs a whole job: supernet, search, retraining, test, files that ship, report.

Started again after an interruption, it goes on where it was.

Example:
    python tools/new_search.py --data-root data/camvid
    python tools/run_all.py work_dirs/camvid
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from new_search import check_device, use_device

from hyctas_mm import register_all_modules
from hyctas_mm.cli import add_batch_arguments, add_init_argument, add_retraining_arguments, mistake, tells_mistakes
from hyctas_mm.errors import BadValue


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'work_dir', type=Path, help='what tools/new_search.py wrote, or any folder with --supernet and --search'
    )
    parser.add_argument('--supernet', type=Path, help='config of the supernet (default WORK_DIR/configs/supernet.py)')
    parser.add_argument('--search', type=Path, help='config of the search (default WORK_DIR/configs/search.py)')
    parser.add_argument(
        '--device', help='cpu, cuda or cuda:N (default: that of new_search.py, else a GPU where there is one)'
    )
    add_retraining_arguments(parser)
    add_batch_arguments(parser)
    add_init_argument(parser)
    parser.add_argument(
        '--inherit',
        action=argparse.BooleanOptionalAction,
        help="start retraining from the supernet's weights, or from scratch (default: what new_search.py chose, else "
        'from scratch)',
    )
    parser.add_argument(
        '--deploy',
        nargs='+',
        choices=['onnxruntime', 'openvino', 'ncnn', 'none'],
        help='runtimes that each chosen network gets files for (default: onnxruntime and the target of the search)',
    )
    parser.add_argument(
        '--precision',
        nargs='+',
        choices=['fp32', 'int8'],
        help="precisions of these files (default: fp32 and that of the search's target)",
    )
    args = parser.parse_args(argv)
    for name in ('supernet', 'search'):
        path = getattr(args, name) or args.work_dir / 'configs' / f'{name}.py'
        if not path.is_file():
            parser.error(
                f'no {path}: write it with tools/new_search.py --work-dir {args.work_dir}, or name a config with '
                f'--{name}'
            )
        setattr(args, name, path)
    return args


@tells_mistakes
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; 0 when all is done, 130 when it was stopped."""
    args = parse_args(argv)
    warnings.filterwarnings('ignore')
    device = args.device or noted(args.work_dir, 'device')
    use_device(device)
    check_device(device)
    register_all_modules()
    args.inherit = bool(noted(args.work_dir, 'inherit')) if args.inherit is None else args.inherit
    return run(args)


def noted(work_dir: Path, key: str) -> Any:
    """What new_search.py noted about the job, e.g. the kind of ``device`` that the configs were made for."""
    job = work_dir / 'job.json'
    try:
        return json.loads(job.read_text(encoding='utf-8'))[key] if job.is_file() else None
    except (ValueError, KeyError, TypeError) as error:
        raise BadValue(f'{job}: not as tools/new_search.py wrote it ({error!r}); remove it and give --device') from None


def run(args: argparse.Namespace) -> int:
    """Runs the job on the device that was chosen."""
    from rich.console import Console

    from hyctas_mm.search.folder import SearchFolder
    from hyctas_mm.wizard.pipeline import Job, doubts_of, run_pipeline
    from hyctas_mm.wizard.progress_view import make_view
    from hyctas_mm.wizard.results_table import results_table

    def add_networks(search: SearchFolder) -> None:
        from hyctas_mm.engine.retraining import add_random

        add_random(search, args.random, seed=0)

    job = Job(
        str(args.supernet), str(args.search), args.work_dir, seeds=tuple(args.seeds), inherit=args.inherit,
        accumulate=args.accumulate, auto_scale_lr=args.auto_scale_lr,
        add_networks=add_networks if args.random else None,
        deploy=args.deploy and tuple(name for name in args.deploy if name != 'none'),
        precision=args.precision and tuple(args.precision), init=args.init,
    )  # fmt: skip
    view, start = make_view(), time.monotonic()
    try:
        report = run_pipeline(job, view)
    except KeyboardInterrupt:
        print(f'\nstopped in the step {view.step!r}; the same command goes on from there', file=sys.stderr)
        return 130
    except Exception as error:  # whatever it is, a person gets one line, and the rest in a file
        log = args.work_dir / 'run_all_error.log'
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(traceback.format_exc(), encoding='utf-8')
        print(f'error in the step {view.step or "start"!r}: {in_one_line(error)} (details: {log})', file=sys.stderr)
        return 1
    Console().print(results_table(report.parent))
    if warning := doubts_of(SearchFolder(report.parent)):
        print(f'warning: {warning}')
    print(f'configs: {report.parent / "subnets" / "NETWORK" / "config.py"}')
    print(f'report:  {report}   ({(time.monotonic() - start) / 60:.1f} minutes)')
    return 0


def in_one_line(error: Exception) -> str:
    """An error and what to do."""
    text = ' '.join(str(error).split()) or type(error).__name__
    if 'out of memory' in text.lower():
        return f'{text[:160]}; write the configs again with a smaller --memory-gb or --size (tools/new_search.py)'
    own = mistake(error)
    return (
        f'{type(error).__name__}: {text[:300]}; mend it, then the same command goes on'
        if own is None
        else ' '.join('; '.join(own).split())
    )


if __name__ == '__main__':
    sys.exit(main())
