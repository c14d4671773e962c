from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from hyctas_mm.archs import SearchSpace
from hyctas_mm.evaluators import trained_networks
from hyctas_mm.studies import open_search
from hyctas_mm.studies.open_search import OpenSearch
from hyctas_mm.studies.rank_correlation import check_settings, sample_archs, summarise
from tests.tiny_jobs import config
from tools import evidence

SPACE = SearchSpace(layers=6)


@pytest.mark.slow
def test_one_folder_serves_several_supernets(
    toy_root: Path,
    supernet: Path,
    fast_training: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    """Killed after the second training, continued, then compared with another supernet without training anything."""
    cfg = config(
        'search',
        toy_root,
        tmp_path / 'unused',
        **{'train_cfg.subnet_config': str(fast_training), 'train_cfg.supernet': str(supernet)},
    )
    cfg.pop('work_dir')
    cfg.dump(str(tmp_path / 'search.py'))
    other = tmp_path / 'other.pth'
    state = torch.load(supernet, weights_only=False)
    state['state_dict'] = {
        key: value * 0.9 if value.is_floating_point() else value for key, value in state['state_dict'].items()
    }
    torch.save(state, other)
    work = tmp_path / 'work'
    arguments = [
        'rank_correlation',
        str(tmp_path / 'search.py'),
        '--work-dir',
        str(work),
        '--archs',
        '3',
        '--iters',
        '1',
    ]
    opened = functools.cache(lambda path, folder: OpenSearch(Config.fromfile(path), folder))
    # once for all commands
    monkeypatch.setattr(open_search, 'OpenSearch', lambda cfg, folder: opened(cfg.filename, folder))
    trained: list[tuple[str, int]] = []
    original = trained_networks.retrain

    def counted(folder: Path, seed: int, **options):
        if len(trained) == 2:
            raise KeyboardInterrupt
        before = (folder / 'results.json').exists()
        result = original(folder, seed, **options)
        if not before:
            trained.append((folder.name, seed))
        return result

    monkeypatch.setattr(trained_networks, 'retrain', counted)
    with pytest.raises(KeyboardInterrupt):
        evidence.main([*arguments, '--supernet', str(supernet)])
    monkeypatch.setattr(trained_networks, 'retrain', original)
    assert evidence.main([*arguments, '--supernet', str(supernet)]) == 0
    first = json.loads((work / 'rank_correlation' / 'rank_correlation.json').read_text())
    assert [a['archid'] for a in first['archs'][:2]] == [name for name, _ in trained] and first['iters'] == 1
    assert first['between_seeds'] is None and 'kendall_tau' in first['supernets'][0]['correlation']

    def read_only(folder: Path, seed: int, **_) -> dict:
        return json.loads((folder / 'results.json').read_text())['by_seed'][str(seed)]

    monkeypatch.setattr(trained_networks, 'retrain', read_only)
    assert evidence.main([*arguments, '--supernet', str(supernet), str(other)]) == 0
    both = json.loads((work / 'rank_correlation' / 'rank_correlation.json').read_text())
    assert both['archs'] == first['archs'] and both['supernets'][0] == first['supernets'][0]
    assert (
        both['supernets'][1]['scores'] != both['supernets'][0]['scores'] and 'better_than_first' in both['supernets'][1]
    )
    printed = capsys.readouterr().out
    assert 'less the first' in printed and 'mmengine - INFO' not in printed

    assert evidence.main([*arguments[:-1], '2', '--supernet', str(supernet)]) == 2
    assert 'was made for another training: param_scheduler' in capsys.readouterr().err
    shutil.rmtree(work)
    assert evidence.main([*arguments, '--supernet', str(tmp_path / 'none.pth')]) == 2
    assert 'train the network first' in capsys.readouterr().err


def test_fewer_architectures_are_the_first_of_more() -> None:
    assert sample_archs(SPACE, 3, 0) == sample_archs(SPACE, 8, 0)[:3]
    assert len(set(sample_archs(SPACE, 30, 0))) == 30 and sample_archs(SPACE, 3, 1) != sample_archs(SPACE, 3, 0)
    tiny = SearchSpace(layers=4, ops=('conv',), widths=(12,), max_branches=1)
    assert len(set(sample_archs(tiny, tiny.size(), 0))) == tiny.size()
    with pytest.raises(ValueError, match='ask for fewer'):
        sample_archs(tiny, tiny.size() + 1, 0)


def test_the_summary() -> None:
    archs = sample_archs(SPACE, 12, 0)
    rng = np.random.default_rng(0)
    truth = rng.normal(50, 5, size=12)
    accuracy = {a.archid: {0: t - 0.5, 1: t + 0.5} for a, t in zip(archs, truth.tolist())}
    scores = {
        'good': {a.archid: t for a, t in zip(archs, truth.tolist())},
        'bad': {a.archid: v for a, v in zip(archs, rng.normal(size=12).tolist())},
    }
    result = summarise(archs, accuracy, scores, lambda arch: dict(macs_g=1.0))
    good, bad = result['supernets']
    assert good['correlation']['kendall_tau']['value'] == pytest.approx(1) and 'better_than_first' not in good
    assert bad['better_than_first']['kendall_tau']['high'] < 0
    assert result['between_seeds'] == pytest.approx(dict(kendall_tau=1, pearson_rho=1, spearman_rho=1))
    assert [a['accuracy'] for a in result['archs']] == pytest.approx(truth.tolist())
    flat = summarise(archs, accuracy, {'flat': dict.fromkeys(accuracy, 1.0)}, lambda arch: {})
    assert flat['supernets'][0]['correlation']['kendall_tau'] == dict(value=None, low=None, high=None) and json.dumps(
        flat, allow_nan=False
    )


def test_another_experiment_is_refused(tmp_path: Path) -> None:
    check_settings(tmp_path, dict(seed=0, hw=(1, 2)))
    check_settings(tmp_path, dict(seed=0, hw=[1, 2]))
    with pytest.raises(ValueError, match='seed is 0 there, 1 here; choose another --work-dir'):
        check_settings(tmp_path, dict(seed=1, hw=(1, 2)))
