"""Fills the paper's tables from what the commands of docs/reproduce.md wrote; what is not there yet is a dash.

A cell has our value, and that which the paper prints in brackets.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hyctas_mm.cli import tells_mistakes
from hyctas_mm.errors import NoSuchFile
from hyctas_mm.files import read_json

SUPERNET = 'hyctas_supernet_sml_4xb4-600e_cityscapes-256x512'
SEARCHES = {
    'Speed vs. mIoU': 'hyctas_search_sml_cityscapes-256x512',
    'Parameters vs. mIoU': 'hyctas_search_sml-params_cityscapes-256x512',
    'FLOPs vs. mIoU': 'hyctas_search_sml-macs_cityscapes-256x512',
}
SEMANTIC = 'hyctas-{}-186k_cityscapes-512x1024'
PANOPTIC = dict(
    cityscapes='hyctas-l_8xb4-186k_cityscapes-panoptic-512x1024', coco='hyctas-l_8xb8-200k_coco-panoptic-640x640'
)
Rows = list[list[str]]


def cell(value: float | None, paper: float | str | None = None) -> str:
    """Ours, and the paper's."""
    ours = '–' if value is None else f'{value:.{1 if value >= 10 else 2}f}'
    return ours if paper is None else f'{ours} ({paper})'


class Results:
    """What a folder ``work_dirs`` holds.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def trained(self, name: str) -> dict[str, float]:
        """Metrics of the last validation of the training with this config; empty if there was none."""
        for path in sorted((self.root / name).glob('*/vis_data/scalars.json'), reverse=True):
            lines = [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines()]
            scored = [line for line in lines if 'mIoU' in line]
            if scored:
                return scored[-1]
        return {}

    def measured(self, table: int, network: str) -> tuple[float | None, float | None, float | None]:
        """GMACs, parameters in millions and FPS of a published network, as measured for a table."""
        found: dict[str, Any] = {}
        for kind in ('flops', 'fps'):
            for row in read_json(self.root / f'table_{table}_{kind}.json').get('networks', []):
                if network in row['network']:
                    found |= row
        macs = found['conv_macs'] + found['attention_macs'] if 'conv_macs' in found else None
        return macs and macs / 1e9, found['params'] / 1e6 if 'params' in found else None, found.get('fps')

    def table_1(self) -> Rows:
        found = read_json(self.root / SEARCHES['Speed vs. mIoU'] / 'rank_correlation' / 'rank_correlation.json')
        correlation = found['supernets'][0]['correlation'] if found else {}
        rho, tau = (correlation.get(name, {}).get('value') for name in ('pearson_rho', 'kendall_tau'))
        return [[str(len(found.get('archs', []))), cell(rho, 0.79), cell(tau, 0.58)]]

    def table_3(self) -> Rows:
        from hyctas_mm.search.folder import RANDOM

        rows = []
        for size, paper in (
            ('s_4xb8', (72.3, 13.0, 1.5, 159.2)),
            ('m_4xb8', (77.1, 29.4, 2.4, 87.8)),
            ('l_8xb4', (80.9, 527.0, 43.2, 12.4)),
        ):
            values = self.trained(SEMANTIC.format(size)).get('mIoU'), *self.measured(3, f'hyctas-{size[0]}')
            rows.append([f'HyCTAS-{size[0].upper()}', *map(cell, values, paper)])
        for path in sorted((self.root / SEARCHES['Speed vs. mIoU'] / 'search' / 'subnets').glob('*/results.json')):
            found = read_json(path)
            if 'retrained' in found and found.get('role') != RANDOM:
                rows.append([f'searched, {path.parent.name}', cell(found['retrained']['mIoU']), *['–'] * 3])
        return rows

    def panoptic(
        self, table: int, data: str, names: Sequence[str], once: Sequence[float], often: Sequence[float]
    ) -> Rows:
        """A network tested once, and at several sizes and mirrored."""
        tests = self.trained(PANOPTIC[data]), read_json(self.root / f'table_{table}_ms-flip.json')
        return [
            [f'HyCTAS-L{mark}', *(cell(found.get(name), value) for name, value in zip(names, paper, strict=True))]
            for mark, found, paper in zip(('', ', several sizes'), tests, (once, often), strict=True)
        ]

    def table_4(self) -> Rows:
        return self.panoptic(4, 'cityscapes', ('PQ', 'AP', 'mIoU'), (63.3, 34.0, 81.3), (64.8, 36.8, 81.8))

    def table_5(self) -> Rows:
        values = *self.measured(5, 'hyctas-l'), self.trained('hyctas-l_4xb4-160k_ade20k-640x640').get('mIoU')
        return [['HyCTAS-L', *map(cell, values, (72.7, 43.2, 71.8, 44.9))]]

    def table_6(self) -> Rows:
        once, often = self.panoptic(6, 'coco', ('PQ', 'PQ_th', 'PQ_st'), (35.4, 36.8, 33.1), (36.8, 38.5, 34.5))
        fps = self.measured(6, '')[2]
        return [[once[0], cell(fps, 63.9), *once[1:]], [often[0], '–', *often[1:]]]

    def table_7(self) -> Rows:
        paper = {
            'random': (('14.6', '1.5', '68.0'), ('31.6', '2.0', '73.6'), ('391.5', '32.0', '77.6')),
            'searched': (('9.6', '1.5', '72.3'), ('22.4', '3.2', '77'), ('335.1', '43.2', '80.9')),
        }
        found = read_json(self.root / SEARCHES['Speed vs. mIoU'] / 'evidence' / 'random_baseline.json')
        rows = []
        for track in found.get('tracks', []):
            for group in ('random', 'searched'):
                costs, score = track[group]['costs'], track[group]['score']
                values = [part['mean'] for part in (costs['macs_g'], costs['params_m'], score)]
                printed = paper[group][track['branches'] - 1]
                rows.append([f'{group}-{track["branches"]}', *map(cell, values, printed)])
        return rows

    def table_8(self) -> Rows:
        paper = ((29.4, 2.4, 77.1), (23.1, 2.8, 75.6), (20.5, 2.5, 74.3), (23.1, 2.8, 75.2), (22.5, 2.6, 75.6))
        rows = []
        for path in sorted((self.root / SEARCHES['Speed vs. mIoU'] / 'evidence').glob('perturb_*.json')):
            for variant, printed in zip(read_json(path)['variants'], paper, strict=True):
                costs = variant.get('costs', {})
                values = costs.get('macs_g'), costs.get('params_m'), variant.get('score', {}).get('mean')
                rows.append([variant['name'], *map(cell, values, printed)])
        return rows

    def table_9(self) -> Rows:
        names = ('186k_no-sdp', '186k_sdp-0.1', '186k', '372k')
        what = ('186k', '186k, drop path 0.1', '186k, drop path 0.2', '372k, drop path 0.2')
        return [
            [label, cell(self.trained(f'hyctas-s_4xb8-{name}_cityscapes-512x1024').get('mIoU'), paper)]
            for name, label, paper in zip(names, what, (71.5, 73.0, 73.3, 73.5), strict=True)
        ]

    def figures(self) -> Rows:
        rows = []
        for what, name in SEARCHES.items():
            rows.append([f'Figure 3, {what}', self.files(f'{name}/search/report.html')])
        rows.append(['Figure 4', self.files(f'{SEARCHES["Speed vs. mIoU"]}/search/subnets/*/arch.svg')])
        rows.append(['Figure 5', self.files('figure_5/**/*.jpg', 'figure_5/**/*.png')])
        rows.append(['Table 3, test images to submit', self.files('*_cityscapes_test.zip')])
        return rows

    def files(self, *patterns: str) -> str:
        """How many files there are, and the first."""
        found = sorted(path for pattern in patterns for path in self.root.glob(pattern))
        return f'{len(found)}: {found[0].relative_to(self.root)}' if found else '–'


TABLES = {
    'Table 1: the supernet and training from scratch': ('table_1', ('networks', 'ρ', 'τ')),
    'Table 3: Cityscapes': ('table_3', ('network', 'mIoU val', 'GMACs', 'params M', 'FPS')),
    'Table 4: Cityscapes panoptic': ('table_4', ('network', 'PQ', 'AP', 'mIoU')),
    'Table 5: ADE20K': ('table_5', ('network', 'GMACs', 'params M', 'FPS', 'mIoU')),
    'Table 6: COCO panoptic': ('table_6', ('network', 'FPS', 'PQ', 'PQ things', 'PQ stuff')),
    'Table 7: random networks': ('table_7', ('networks', 'GMACs', 'params M', 'mIoU')),
    'Table 8: the searched network distorted': ('table_8', ('network', 'GMACs', 'params M', 'mIoU')),
    'Table 9: S retrained': ('table_9', ('setting', 'mIoU')),
    'Figures and files': ('figures', ('what', 'files')),
}


def markdown(results: Results) -> str:
    """All tables."""
    parts = ["# The paper's tables: ours (the paper's)\n"]
    for title, (name, columns) in TABLES.items():
        rows = getattr(results, name)() or [['–'] * len(columns)]
        lines = ['| ' + ' | '.join(row) + ' |' for row in (columns, ['---'] * len(columns), *rows)]
        parts.append(f'## {title}\n\n' + '\n'.join(lines) + '\n')
    return '\n'.join(parts)


@tells_mistakes
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--work-dirs', type=Path, default=Path('work_dirs'), help='default: work_dirs')
    parser.add_argument('--out', type=Path, required=True, help='a Markdown file')
    args = parser.parse_args()
    if not args.work_dirs.is_dir():
        raise NoSuchFile(f'--work-dirs {args.work_dirs}: no such folder; give the one that the commands wrote to')
    args.out.write_text(markdown(Results(args.work_dirs)), encoding='utf-8')
    print(args.out.read_text(encoding='utf-8'))


if __name__ == '__main__':
    sys.exit(main())
