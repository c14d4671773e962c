"""Errors of supernets and searches."""

from __future__ import annotations

import argparse
from typing import Any

import torch

from hyctas_mm.engine.candidate_costs import CandidateCosts
from hyctas_mm.engine.scoring import Scorer
from hyctas_mm.search import read_objectives
from tests.test_docs.faq import Place, provokes

# Supernet -------------------------------------------------------------------------------------------------------------


@provokes('supernet-missing')
def _(place: Place) -> None:
    place.search(**{'train_cfg.supernet': str(place.tmp_path / 'iter_1200.pth')})


@provokes('supernet-broken')
def _(place: Place) -> None:
    path = place.tmp_path / 'half.pth'
    path.write_bytes(place.supernet.read_bytes()[:5000])
    place.search(**{'train_cfg.supernet': str(path)})


@provokes('supernet-object')
def _(place: Place) -> None:
    torch.save(dict(state_dict={}, args=argparse.Namespace(lr=0.1)), place.tmp_path / 'args.pth')
    place.search(**{'train_cfg.supernet': str(place.tmp_path / 'args.pth')})


# Search ---------------------------------------------------------------------------------------------------------------


@provokes('search-objective')
def _(place: Place) -> None:
    read_objectives(['IoU', 'latency_ms'])


@provokes('search-overlap')
def _(place: Place) -> None:
    place.search(**{'train_dataloader.dataset.indices': None})


@provokes('search-bounds')
def _(place: Place) -> None:
    # hundreds of proposals are priced
    place.monkeypatch.setattr(CandidateCosts, '_price', lambda self, arch: dict(params_m=1.0, macs_g=1.0))
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
