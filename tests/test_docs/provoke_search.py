"""Errors of supernets, searches, latency tables and what comes after."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import torch

from hyctas_mm.archs import load_arch
from hyctas_mm.costs import LatencyTable
from hyctas_mm.engine.candidate_costs import CandidateCosts, register_cost
from hyctas_mm.engine.evidence.rank_correlation import measure_rank_correlation
from hyctas_mm.engine.files import lock_folder
from hyctas_mm.engine.measuring.network import from_config, published
from hyctas_mm.engine.release_checkpoint import write_converted
from hyctas_mm.engine.retraining import retrain
from hyctas_mm.engine.scoring import Scorer
from hyctas_mm.engine.workers import Workers
from hyctas_mm.report.html import write_report
from hyctas_mm.search import read_bounds, read_objectives
from tests.test_docs.faq import Place, provokes
from tests.test_engine.conftest import CONFIGS

SUPERNET_CONFIG = CONFIGS / 'toy_streets_supernet.py'
CPU = torch.device('cpu')

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


# Search -----------------------------------------------------------------------------------------------------------------------


@provokes('search-config')
def _(place: Place) -> None:
    place.monkeypatch.setattr('sys.argv', ['search.py', str(SUPERNET_CONFIG)])
    runpy.run_path(str(CONFIGS.parents[1] / 'tools' / 'search.py'), run_name='__main__')


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
    place.search(shutil.copytree(place.begun, place.tmp_path / 'begun'))


@provokes('search-other')
def _(place: Place) -> None:
    place.search(shutil.copytree(place.begun, place.tmp_path / 'begun'), **{'train_cfg.seed': 1})


@provokes('search-busy')
def _(place: Place) -> None:
    with lock_folder(place.tmp_path / 'search'):
        place.search()


@provokes('search-edited')
def _(place: Place) -> None:
    work_dir = Path(shutil.copytree(place.begun, place.tmp_path / 'begun'))
    archive = work_dir / 'search' / 'archive.jsonl'
    lines = archive.read_text().splitlines()
    lines[1] = lines[1].replace('"seconds": ', '"seconds": 1')
    archive.write_text('\n'.join(lines) + '\n')
    place.search(work_dir, resume=True)


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


@provokes('search-screening')
def _(place: Place) -> None:
    place.search(**{'train_cfg.screening': dict(images=64)})


# Latency ----------------------------------------------------------------------------------------------------------------------


@provokes('latency-conditions')
def _(place: Place) -> None:
    path = place.tmp_path / 'table.json'
    LatencyTable(path, CPU, (1, 3, 64, 128)).save()
    LatencyTable(path, CPU, (1, 3, 32, 64))


@provokes('latency-broken')
def _(place: Place) -> None:
    path = place.tmp_path / 'table.json'
    path.write_text('{"format": ')
    LatencyTable(path, CPU, (1, 3, 32, 64))


@provokes('latency-shape')
def _(place: Place) -> None:
    path = place.tmp_path / 'arch.json'
    path.write_text(json.dumps(load_arch('hyctas-s').to_dict()))
    published(str(path), None, 8, None, 19)


@provokes('latency-supernet')
def _(place: Place) -> None:
    from_config(str(SUPERNET_CONFIG), None)


@provokes('latency-network')
def _(place: Place) -> None:
    from_config('hyctas-xl', None)


# After the search -------------------------------------------------------------------------------------------------------------


@provokes('report-nothing')
def _(place: Place) -> None:
    write_report(place.tmp_path)


@provokes('report-front')
def _(place: Place) -> None:
    work_dir = Path(shutil.copytree(place.begun, place.tmp_path / 'begun'))
    (work_dir / 'search' / 'front.json').unlink()
    write_report(work_dir)


@provokes('retrain-start')
def _(place: Place) -> None:
    (place.tmp_path / 'results.json').write_text(json.dumps(dict(inherit=False, by_seed={'0': dict(mIoU=30.0)})))
    retrain(place.tmp_path, seed=1, inherit=True)


@provokes('convert-name')
def _(place: Place) -> None:
    write_converted({}, None, None, 'm.pt')


@provokes('evidence-few')
def _(place: Place) -> None:
    measure_rank_correlation(None, ['a.pth'], place.tmp_path, num_archs=2)
