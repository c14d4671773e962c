from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from hyctas_mm.archs import load_arch
from hyctas_mm.engine.configs import check_is_search, set_supernet
from hyctas_mm.files import lock_folder
from hyctas_mm.search.archive import read_archive
from hyctas_mm.search.driver import SearchError
from tests.evaluators import ConstantScoreLoop, judged_by
from tests.tiny_jobs import SCREENED, config, run


def lines(work_dir: Path) -> list[dict]:
    """The archive without what a clock decides."""
    text = (work_dir / 'search' / 'archive.jsonl').read_text()
    return [{k: v for k, v in json.loads(line).items() if k not in ('seconds', 'check')} for line in text.splitlines()]


def search(
    toy_root: Path, supernet: Path, work_dir: Path, judge: str = '', judge_options: dict = {}, report=False, **options
) -> Runner:
    cfg = config('search', toy_root, work_dir, **{'train_cfg.supernet': str(supernet)}, **options)
    return run(judged_by(judge, cfg, **judge_options) if judge else cfg, report)


def test_files_of_a_search(searched: Path) -> None:
    folder = searched / 'search'
    candidates = read_archive(folder / 'archive.jsonl')
    assert [c.index for c in candidates] == list(range(12))
    assert [(c.track, c.generation) for c in candidates] == [(t, g) for t in (1, 2) for g in (0, 1) for _ in range(3)]
    front = json.loads((folder / 'front.json').read_text())
    assert (
        front['num_evaluated'] == 12 and 1 <= len(front['chosen']) <= 2 and set(front['chosen']) <= set(front['front'])
    )
    for archid in front['chosen']:
        assert {p.name for p in (folder / 'subnets' / archid).iterdir()} >= {
            'arch.json',
            'config.py',
            'weights.pth',
            'arch.svg',
        }
        assert load_arch(folder / 'subnets' / archid / 'arch.json').archid == archid
    report = (folder / 'report.html').read_text()
    assert 'Pareto' in report and 'Architecture search on toy streets' in report


@pytest.mark.slow
def test_the_same_seed_gives_the_same_archive(toy_root: Path, supernet: Path, searched: Path, tmp_path: Path) -> None:
    runner = search(toy_root, supernet, tmp_path)
    assert lines(tmp_path) == lines(searched)
    lock_folder(tmp_path / 'search').close()  # at once, though the runner is still there
    del runner


@pytest.mark.slow
def test_a_killed_search_continues_to_the_same_archive(
    toy_root: Path, supernet: Path, searched: Path, tmp_path: Path
) -> None:
    shutil.copytree(searched, tmp_path / 'killed')
    archive = tmp_path / 'killed' / 'search' / 'archive.jsonl'
    whole = archive.read_bytes().splitlines(keepends=True)
    archive.write_bytes(b''.join(whole[:4]) + whole[4][:100])
    for name in ('front.json', 'report.html'):
        (archive.parent / name).unlink()
    with pytest.raises(SearchError, match='4 evaluated candidates; continue it with --resume'):
        search(toy_root, supernet, tmp_path / 'killed')
    search(toy_root, supernet, tmp_path / 'killed', resume=True)
    assert lines(tmp_path / 'killed') == lines(searched)
    fronts = [json.loads((w / 'search' / 'front.json').read_text()) for w in (tmp_path / 'killed', searched)]
    assert fronts[0]['front'] == fronts[1]['front'] and fronts[0]['chosen'] == fronts[1]['chosen']


@pytest.mark.slow
def test_scoring_twice_gives_the_same_number(toy_root: Path, supernet: Path, searched: Path, tmp_path: Path) -> None:
    search(toy_root, supernet, tmp_path, 'Twice', **{'train_cfg.branches': (1,), 'train_cfg.generations': 1})
    assert lines(tmp_path) == lines(searched)[:3]


@pytest.mark.slow
def test_an_exported_network_trains_and_tests_as_it_is(searched: Path, tmp_path: Path, toy_root: Path) -> None:
    from mmengine.config import Config

    folder = next((searched / 'search' / 'subnets').iterdir())
    cfg = Config.fromfile(folder / 'config.py')
    assert cfg.train_dataloader.dataset.data_root == str(toy_root)
    cfg.work_dir = str(tmp_path)
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False, batch_size=2)
    cfg.val_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.test_dataloader = cfg.val_dataloader
    cfg.train_dataloader.dataset.indices = 8
    cfg.train_dataloader.dataset.pipeline[4].crop_size = (64, 64)
    cfg.model.data_preprocessor.size = (64, 64)
    cfg.train_cfg.max_iters, cfg.param_scheduler = 2, None
    cfg.load_from = str(folder / 'weights.pth')
    runner = run(cfg)
    assert 0 <= runner.test()['mIoU'] <= 100
    weights = torch.load(folder / 'weights.pth', weights_only=True)
    assert weights['state_dict'].keys() == runner.model.state_dict().keys()


@pytest.mark.slow
def test_joint_search_of_all_numbers_of_branches(toy_root: Path, supernet: Path, tmp_path: Path) -> None:
    search(toy_root, supernet, tmp_path, **{'train_cfg.branches': None, 'train_cfg.population': 4})
    found = read_archive(tmp_path / 'search' / 'archive.jsonl')
    assert len(found) == 8 and {c.track for c in found} == {None} and len({len(c.arch.branches) for c in found}) > 1


@pytest.mark.slow
def test_bounds_on_costs_cost_no_evaluation(toy_root: Path, supernet: Path, searched: Path, tmp_path: Path) -> None:
    bound = sorted(c.costs['macs_g'] for c in read_archive(searched / 'search' / 'archive.jsonl'))[4]
    search(toy_root, supernet, tmp_path, **{'train_cfg.bounds': dict(macs_g=dict(max=bound))})
    assert all(c.costs['macs_g'] <= bound for c in read_archive(tmp_path / 'search' / 'archive.jsonl'))


@pytest.mark.slow
def test_no_candidate_within_the_bounds(toy_root: Path, supernet: Path, tmp_path: Path) -> None:
    with pytest.raises(SearchError, match=r'of 600 proposed architectures macs_g excluded 600'):
        search(toy_root, supernet, tmp_path / 'a', **{'train_cfg.bounds': dict(macs_g=dict(max=1e-9))})
    with pytest.raises(SearchError, match=r'none of 12 evaluated candidates is feasible \(excluded by mIoU: 12\)'):
        search(toy_root, supernet, tmp_path / 'b', **{'train_cfg.bounds': dict(mIoU=dict(min=99.9))})
    assert len(lines(tmp_path / 'b')) == 12


@pytest.mark.slow
def test_a_failing_candidate_is_kept_with_its_reason(toy_root: Path, supernet: Path, tmp_path: Path) -> None:
    search(toy_root, supernet, tmp_path, 'Troubled', dict(trouble='raise', at=2), **{'train_cfg.branches': (1,)})
    found = read_archive(tmp_path / 'search' / 'archive.jsonl')
    assert [c.violations for c in found if c.violations] == [('evaluation failed: out of memory',)] and len(found) == 6


@pytest.mark.slow
def test_a_work_dir_of_another_search_is_refused(toy_root: Path, supernet: Path, searched: Path) -> None:
    with pytest.raises(SearchError, match='another search: seed is 0 there, 1 here'):
        search(toy_root, supernet, searched, **{'train_cfg.seed': 1}, resume=True)


def test_a_supernet_of_another_space_is_refused(toy_root: Path, supernet: Path, tmp_path: Path) -> None:
    cfg = config('search', toy_root, tmp_path, **{'train_cfg.supernet': str(supernet)})
    cfg.model.backbone.search_space = cfg.model.decode_head.search_space = dict(layers=4, base_channels=5)
    with pytest.raises(ValueError, match='another search space .base_channels: 4 there, 5 here'):
        run(cfg)
    assert not (tmp_path / 'search').exists()


def test_calibrating_on_scoring_images_is_refused(toy_root: Path, supernet: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'4 image\(s\) are in both train_dataloader .* and val_dataloader'):
        search(toy_root, supernet, tmp_path, **{'val_dataloader.dataset.indices': 12})


def test_the_same_folder_on_other_images_is_refused(toy_root: Path, supernet: Path, searched: Path) -> None:
    with pytest.raises(SearchError, match='another search: evaluator.images_sha1 is .* there, .* here'):
        search(toy_root, supernet, searched, **{'val_dataloader.dataset.indices': 7}, resume=True)


@pytest.mark.slow
def test_a_fault_that_is_no_candidates_stops_the_search(toy_root: Path, supernet: Path, tmp_path: Path) -> None:
    with pytest.raises(SearchError, match='3 candidates in a row failed, the last with: out of memory'):
        search(toy_root, supernet, tmp_path, 'Troubled', dict(trouble='raise'))


@pytest.mark.slow
@pytest.mark.parametrize(
    ('options', 'error', 'expected'),
    [
        ({'train_cfg.bounds': dict(latency=dict(max=20))}, ValueError, "train_cfg.bounds: 'latency' is neither"),
        (
            {'train_cfg.bounds': dict(latency_ms=20)},
            ValueError,
            "train_cfg.bounds: latency_ms=20; expected 'min', 'max' or both",
        ),
        ({'train_cfg.population': 0}, ValueError, 'train_cfg: population=0; expected a whole number from 1 up'),
        ({'train_cfg.branches': (1, 4)}, ValueError, r'train_cfg: branches=\[1, 4\]; expected some of 1..3'),
        ({'train_cfg.input_hw': (64,)}, ValueError, r'train_cfg: input_hw=\(64,\); expected height and width'),
        ({'train_cfg.subnet_config': 'nowhere.py'}, FileNotFoundError, 'no subnet_config nowhere.py'),
        (
            {'train_cfg.objectives': ['PQ', 'macs_g']},
            SearchError,
            r"\['PQ'\] are neither costs nor metrics of val_evaluator, which gives \['aAcc'",
        ),
        ({'train_dataloader.batch_size': 1}, ValueError, 'a calibration batch has a single image'),
        (
            {'val_dataloader.dataset.data_prefix.img_path': 'gtFine_trainvaltest'},
            FileNotFoundError,
            'gtFine_trainvaltest',
        ),
    ],
)
def test_wrong_configs(
    toy_root: Path, supernet: Path, tmp_path: Path, options: dict, error: type, expected: str
) -> None:
    with pytest.raises(error, match=expected):
        search(toy_root, supernet, tmp_path, **options)


def test_what_tools_take_for_a_search(toy_root: Path, tmp_path: Path) -> None:
    cfg = config('search', toy_root, tmp_path)
    for loop in ('NSGA2SearchLoop', 'SearchLoop', 'ConstantScoreLoop', ConstantScoreLoop):
        cfg.train_cfg.type = loop
        check_is_search(cfg)
    for loop in ('IterBasedTrainLoop', 'NoLoop', None):
        cfg.train_cfg.type = loop
        with pytest.raises(ValueError, match=f'is not a search config: its train_cfg is {loop!r}'):
            check_is_search(cfg)
    assert set_supernet(cfg, 'a.pth') and cfg.train_cfg.supernet == 'a.pth'
    cfg.train_cfg = dict(type='SearchLoop', evaluator=dict(type='InheritedWeights', supernet=None))
    assert set_supernet(cfg, 'b.pth') and cfg.train_cfg.evaluator.supernet == 'b.pth'
    cfg.train_cfg.evaluator = dict(type='FromScratch')
    assert not set_supernet(cfg, 'c.pth') and cfg.train_cfg.evaluator == dict(type='FromScratch')


@pytest.mark.slow
def test_latency_is_resumed_from_the_table(toy_root: Path, supernet: Path, tmp_path: Path) -> None:
    options = {
        'train_cfg.objectives': ['mIoU', 'latency_ms'],
        'train_cfg.branches': (1,),
        'train_cfg.latency_seconds': 0.001,
    }
    search(toy_root, supernet, tmp_path, **options)
    archive = tmp_path / 'search' / 'archive.jsonl'
    whole = lines(tmp_path)
    assert all(c['costs']['latency_ms'] > 0 for c in whole)
    archive.write_bytes(b''.join(archive.read_bytes().splitlines(keepends=True)[:2]))
    search(toy_root, supernet, tmp_path, **options, resume=True)
    assert lines(tmp_path) == whole


@pytest.mark.slow
def test_a_search_for_accuracy_in_8_bits_goes_on(toy_root: Path, supernet: Path, tmp_path: Path) -> None:
    options = {'train_cfg.branches': (1,), 'train_cfg.generations': 1, 'train_cfg.num_chosen': 1}
    search(toy_root, supernet, tmp_path / 'float', **options)
    options['train_cfg.precision'] = 'int8'
    search(toy_root, supernet, tmp_path, **options)
    whole = lines(tmp_path)
    assert [line['archid'] for line in whole] == [line['archid'] for line in lines(tmp_path / 'float')]
    assert [line['metrics'] for line in whole] != [line['metrics'] for line in lines(tmp_path / 'float')]
    archive = tmp_path / 'search' / 'archive.jsonl'
    archive.write_bytes(b''.join(archive.read_bytes().splitlines(keepends=True)[:1]))
    search(toy_root, supernet, tmp_path, **options, resume=True)
    assert lines(tmp_path) == whole
    options['train_cfg.precision'] = 'fp32'
    with pytest.raises(SearchError, match='holds another search'):
        search(toy_root, supernet, tmp_path, **options, resume=True)


@pytest.mark.slow
def test_training_memory_as_a_bound(toy_root: Path, supernet: Path, tmp_path: Path) -> None:
    options = {
        'train_cfg.branches': (1,),
        'train_cfg.generations': 1,
        'train_cfg.bounds': dict(memory_gb=dict(max=1.0)),
    }
    with pytest.raises(ValueError, match='give memory_input='):
        search(toy_root, supernet, tmp_path / 'a', **options)
    options |= {'train_cfg.memory_input': (2, (64, 64)), 'train_cfg.memory_device': 'cpu'}
    search(toy_root, supernet, tmp_path / 'b', **options)
    found = read_archive(tmp_path / 'b' / 'search' / 'archive.jsonl')
    assert len(found) == 3 and all(0 < c.costs['memory_gb'] < 1 for c in found)


@pytest.mark.slow
def test_screening_gives_up_on_dominated_candidates(
    toy_root: Path, supernet: Path, tmp_path: Path, monkeypatch
) -> None:
    search(toy_root, supernet, tmp_path / 'whole', report=True, **SCREENED)
    candidates = read_archive(tmp_path / 'whole' / 'search' / 'archive.jsonl')
    given_up = [c for c in candidates if 'mIoU' not in c.metrics]
    front = json.loads((tmp_path / 'whole' / 'search' / 'front.json').read_text())
    assert given_up and front['num_given_up'] == len(given_up) and front['num_infeasible'] == 0
    assert not {c.archid for c in given_up} & set(front['front'])
    assert 'given up on part of the images' in (tmp_path / 'whole' / 'search' / 'report.html').read_text()

    # killed after the first that was given up, and before the next
    shutil.copytree(tmp_path / 'whole', tmp_path / 'killed')
    archive = tmp_path / 'killed' / 'search' / 'archive.jsonl'
    archive.write_bytes(b''.join(archive.read_bytes().splitlines(keepends=True)[: given_up[0].index + 1]))
    search(toy_root, supernet, tmp_path / 'killed', resume=True, **SCREENED)
    assert lines(tmp_path / 'killed') == lines(tmp_path / 'whole')


def test_screening_on_all_images_is_refused(toy_root: Path, supernet: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='screening on 8 of 8 validation images'):
        search(toy_root, supernet, tmp_path, **{'train_cfg.screening': dict(images=8)})


def test_generations_are_logged(searched: Path) -> None:
    (path,) = searched.rglob('scalars.json')
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line['step'] for line in found] == [1, 2, 3, 4]
    assert found[-1]['search/front_size'] == len(json.loads((searched / 'search' / 'front.json').read_text())['front'])


def test_a_supernet_that_changed_between_runs_is_refused(
    toy_root: Path, supernet: Path, searched: Path, tmp_path: Path
) -> None:
    checkpoint = torch.load(supernet, weights_only=False)
    next(iter(checkpoint['state_dict'].values())).add_(1)
    torch.save(checkpoint, tmp_path / 'changed.pth')
    with pytest.raises(SearchError, match='another search: evaluator.supernet_sha1 is .* there, .* here'):
        search(toy_root, tmp_path / 'changed.pth', searched, resume=True)
