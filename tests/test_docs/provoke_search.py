"""Errors of supernets and searches."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import torch

from hyctas_mm.archs import load_arch
from hyctas_mm.engine.candidate_costs import CandidateCosts, register_cost
from hyctas_mm.engine.scoring import Scorer
from hyctas_mm.engine.workers import Workers
from hyctas_mm.files import lock_folder
from hyctas_mm.report.html import write_report
from hyctas_mm.search import read_bounds, read_objectives
from tests.test_docs.faq import Place, provokes, said
from tests.test_engine.conftest import CONFIGS, config

SUPERNET_CONFIG = CONFIGS / 'toy_streets_supernet.py'

# Supernet ---------------------------------------------------------------------------------------------------------------------


@provokes('supernet-missing')
def _(place: Place) -> None:
    place.search(**{'train_cfg.supernet': str(place.tmp_path / 'iter_1200.pth')})


@provokes('supernet-broken')
def _(place: Place) -> None:
    path = place.tmp_path / 'half.pth'
    path.write_bytes(place.supernet.read_bytes()[:5000])
    place.search(**{'train_cfg.supernet': str(path)})


def changed_supernet(place: Place, **changes: Any) -> str:
    checkpoint = torch.load(place.supernet, weights_only=True)
    torch.save(checkpoint | changes, place.tmp_path / 'other.pth')
    return str(place.tmp_path / 'other.pth')


@provokes('supernet-other')
def _(place: Place) -> None:
    space = torch.load(place.supernet, weights_only=True)['hyctas_supernet']['search_space']
    place.search(**{'train_cfg.supernet': changed_supernet(place, hyctas_supernet=dict(search_space=space | dict(layers=6)))})


@provokes('supernet-classes')
def _(place: Place) -> None:
    place.search(**{'model.decode_head.num_classes': 12})


@provokes('supernet-state')
def _(place: Place) -> None:
    torch.save([1, 2], place.tmp_path / 'list.pth')
    place.search(**{'train_cfg.supernet': str(place.tmp_path / 'list.pth')})


@provokes('supernet-object')
def _(place: Place) -> None:
    torch.save(dict(state_dict={}, args=argparse.Namespace(lr=0.1)), place.tmp_path / 'args.pth')
    place.search(**{'train_cfg.supernet': str(place.tmp_path / 'args.pth')})


@provokes('supernet-subnet')
def _(place: Place) -> str:
    arch = place.tmp_path / 'arch.json'
    arch.write_text(json.dumps(load_arch('hyctas-s').to_dict()))
    config('subnet', place.toy_root, place.tmp_path).dump(str(place.tmp_path / 'subnet.py'))
    return said(place, 'export_subnet', place.tmp_path / 'subnet.py', place.supernet, arch, '--out', place.tmp_path / 'out')


# Search -----------------------------------------------------------------------------------------------------------------------


@provokes('search-config')
def _(place: Place) -> str:
    return said(place, 'search', SUPERNET_CONFIG)


@provokes('search-subnet-config')
def _(place: Place) -> None:
    place.search(**{'train_cfg.subnet_config': 'nowhere.py'})


@provokes('search-one-objective')
def _(place: Place) -> None:
    read_objectives(['mIoU'])


@provokes('search-objective')
def _(place: Place) -> None:
    read_objectives(['IoU', 'latency_ms'])


@provokes('search-metric')
def _(place: Place) -> None:
    place.search(**{'train_cfg.objectives': [dict(name='bIoU', direction='max'), 'macs_g']})


@provokes('search-bound')
def _(place: Place) -> None:
    read_bounds(dict(latency_ms=dict(most=20)))


@provokes('search-bound-number')
def _(place: Place) -> None:
    read_bounds(dict(latency_ms=20))  # type: ignore[dict-item]


@provokes('search-count')
def _(place: Place) -> None:
    place.search(**{'train_cfg.population': 0})


@provokes('search-input')
def _(place: Place) -> None:
    place.search(**{'train_cfg.input_hw': (64,)})


@provokes('search-branches')
def _(place: Place) -> None:
    place.search(**{'train_cfg.branches': (4,)})


@provokes('search-post-processing')
def _(place: Place) -> None:
    place.search(**{'train_cfg.post_processing': True, 'model.test_cfg.scales': (0.5, 1.0)})


@provokes('search-bound-name')
def _(place: Place) -> None:
    read_bounds(dict(fps=dict(min=20)))


@provokes('search-own-cost')
def _(place: Place) -> None:
    register_cost('macs_g')(lambda network, input_shape: 0.0)


@provokes('search-memory')
def _(place: Place) -> None:
    place.search(**{'train_cfg.bounds': dict(memory_gb=dict(max=10))})


@provokes('search-overlap')
def _(place: Place) -> None:
    place.search(**{'train_dataloader.dataset.indices': None})


@provokes('search-batch')
def _(place: Place) -> None:
    place.search(**{'train_dataloader.batch_size': 1})


@provokes('search-again')
def _(place: Place) -> None:
    place.search(place.copy_of_begun())


@provokes('search-other')
def _(place: Place) -> None:
    place.search(place.copy_of_begun(), **{'train_cfg.seed': 1})


@provokes('search-busy')
def _(place: Place) -> None:
    with lock_folder(place.tmp_path / 'search'):
        place.search()


@provokes('search-edited')
def _(place: Place) -> None:
    work_dir = place.copy_of_begun()
    archive = work_dir / 'search' / 'archive.jsonl'
    lines = archive.read_text().splitlines()
    lines[1] = lines[1].replace('"seconds": ', '"seconds": 1')
    archive.write_text('\n'.join(lines) + '\n')
    place.search(work_dir, resume=True)


def edited(place: Place, change: Callable[[str], str]) -> None:
    """Reads a search whose archive has another second line."""
    work_dir = place.copy_of_begun()
    archive = work_dir / 'search' / 'archive.jsonl'
    lines = archive.read_text().splitlines(keepends=True)
    archive.write_text(''.join([lines[0], change(lines[1]), *lines[2:]]))
    write_report(work_dir)


@provokes('archive-json')
def _(place: Place) -> None:
    edited(place, lambda line: line[:40] + '\n')


@provokes('archive-object')
def _(place: Place) -> None:
    edited(place, lambda line: '[]\n')


@provokes('archive-key')
def _(place: Place) -> None:
    edited(place, lambda line: line.replace('"generation"', '"round"'))


@provokes('archive-type')
def _(place: Place) -> None:
    edited(place, lambda line: line.replace('"seconds": ', '"seconds": "long", "was": '))


@provokes('archive-id')
def _(place: Place) -> None:
    edited(place, lambda line: json.dumps(json.loads(line) | dict(archid='0123456789ab')) + '\n')


@provokes('search-bounds')
def _(place: Place) -> None:
    place.monkeypatch.setattr(CandidateCosts, '_price', lambda self, arch: dict(params_m=1.0))  # hundreds of proposals are priced
    place.search(**{'train_cfg.bounds': dict(params_m=dict(max=0.5))})


@provokes('search-floor')
def _(place: Place) -> None:
    place.search(**{'train_cfg.bounds': dict(mIoU=dict(min=99.0))})


@provokes('search-failures')
def _(place: Place) -> None:
    def fails(*args: Any) -> Any:
        raise RuntimeError('out of memory')

    place.monkeypatch.setattr(Scorer, 'score', fails)
    place.search()


@provokes('search-died')
def _(place: Place) -> None:
    def lost(data: Any) -> Any:
        raise RuntimeError('Connection closed by peer')

    Workers(lambda job: {}, place.tmp_path)._collective(lost, None)


def processes(place: Place, others: list[dict[str, Any]]) -> None:
    """The first of several processes compares its settings with what the others sent."""
    workers = Workers(lambda job: {}, place.tmp_path)
    place.monkeypatch.setattr(workers, 'size', 1 + len(others))
    place.monkeypatch.setattr(workers, '_collective', lambda gather, own: [own, *others])
    workers.agree(dict(seed=0), None)


@provokes('process-start')
def _(place: Place) -> None:
    processes(place, [dict(settings={}, error='FileNotFoundError: no checkpoint iter_1200.pth')])


@provokes('process-settings')
def _(place: Place) -> None:
    processes(place, [dict(settings=dict(seed=1), error=None)])


@provokes('screening-options')
def _(place: Place) -> None:
    place.search(**{'train_cfg.screening': dict(image=64)})


@provokes('screening-scores')
def _(place: Place) -> None:
    place.search(**{'train_cfg.screening': dict(images=4), 'train_cfg.objectives': ['mIoU', 'aAcc', 'macs_g']})


@provokes('screening-images')
def _(place: Place) -> None:
    place.search(**{'train_cfg.screening': dict(images=64)})
