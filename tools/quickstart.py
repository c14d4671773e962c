"""The whole way on a small job: data, supernet, search, retraining, test, ONNX, report."""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from pathlib import Path

from hyctas_mm import register_all_modules
from hyctas_mm.cli import tells_mistakes
from hyctas_mm.errors import BadValue, NoSuchFile

CONFIGS = Path(__file__).resolve().parents[1] / 'configs' / 'quickstart'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', choices=['toy_streets', 'idd_lite', 'camvid'], default='toy_streets')
    parser.add_argument('--data-root', help='folder of the data; toy streets are made in data/toy_streets')
    parser.add_argument('--work-dir', help='default work_dirs/quickstart/DATA')
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    args = parser.parse_args()
    if args.data != 'toy_streets' and not args.data_root:
        parser.error(f'--data {args.data} needs --data-root DIR, the folder that holds its images/ and labels/')
    return args


@tells_mistakes
def main() -> None:
    args = parse_args()
    warnings.filterwarnings('ignore')
    start = time.monotonic()
    if args.device == 'cpu':
        os.environ['CUDA_VISIBLE_DEVICES'] = ''  # mmengine takes a GPU wherever it sees one; this must precede torch
    register_all_modules()
    import torch
    from rich.console import Console

    from hyctas_mm.datasets.toy.streets import generate_toy_streets
    from hyctas_mm.wizard.pipeline import Job, run_pipeline
    from hyctas_mm.wizard.results_table import results_table

    if args.device == 'cuda' and not torch.cuda.is_available():
        raise BadValue('--device cuda, but PyTorch sees no CUDA device; leave it out to run on the CPU')
    root = str(Path(args.data_root or 'data/toy_streets').resolve())
    if args.data == 'toy_streets':
        generate_toy_streets(root)
    if not Path(root).is_dir():
        raise NoSuchFile(f'no folder {root}; give --data-root the folder that holds images/ and labels/')
    work_dir = Path(args.work_dir or Path('work_dirs/quickstart') / args.data)
    config = str(CONFIGS / args.data)
    report = run_pipeline(Job(f'{config}_supernet.py', f'{config}_search.py', work_dir, root))
    Console().print(results_table(work_dir / 'search'))
    print(f'configs: {work_dir / "search" / "subnets" / "NETWORK" / "config.py"}')
    print(f'report: {report}   ({(time.monotonic() - start) / 60:.1f} minutes)')


if __name__ == '__main__':
    sys.exit(main())
