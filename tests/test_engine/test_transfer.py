"""Trainings that begin with the weights of another job."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from torch import Tensor

from hyctas_mm.archs import SearchSpace
from hyctas_mm.engine.checkpoint import read_checkpoint
from hyctas_mm.engine.extras import Extras
from hyctas_mm.engine.transfer import TransferHook, find_checkpoint, take_what_fits
from hyctas_mm.files import read_json
from hyctas_mm.models import cut_subnet
from hyctas_mm.models.subnet import subnet_model_cfg, supernet_model_cfg
from hyctas_mm.registry import MODELS
from hyctas_mm.search.folder import SearchFolder
from hyctas_mm.wizard import pipeline
from tests.conftest import run_script, supernet_cfg
from tests.tiny_jobs import CONFIGS, SPACE, config

pytestmark = pytest.mark.slow
ARCH = SearchSpace.from_dict(SPACE).sample(np.random.default_rng(3), 2)


def built(cfg: Mapping[str, Any], seed: int) -> Any:
    torch.manual_seed(seed)
    model = MODELS.build(cfg)
    model.init_weights()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor))  # statistics and biases differ too
    return model


def kept(model: Any) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def save(model: Any, path: Path, space: Any = None) -> Path:
    more = {} if space is None else dict(hyctas_supernet=dict(seed=0, search_space=SearchSpace(**space).to_dict()))
    torch.save(dict(state_dict=model.state_dict(), **more), path)
    return path


def test_all_but_the_classifier_is_taken_from_a_supernet_of_other_classes(tmp_path: Path) -> None:
    there, here = (built(supernet_cfg(SPACE, classes), seed) for seed, classes in enumerate((7, 5)))
    before, given = kept(here), there.state_dict()
    told = take_what_fits(here, supernet_cfg(SPACE), save(there, tmp_path / 'there.pth', SPACE))
    left = [name for name, old in before.items() if given[name].shape != old.shape]
    assert left and all(name.endswith(('weight', 'bias')) for name in left)
    for name, tensor in here.state_dict().items():
        assert torch.equal(tensor, before[name] if name in left else given[name]), name
    assert f'{len(before) - len(left)} of {len(before)} tensors taken' in told and 'not there' not in told
    assert f'of another shape there: {left[0]}, {left[1]}, {left[2]} and {len(left) - 3} more' in told


@pytest.mark.parametrize('shared', [False, True])
def test_a_network_takes_its_part_of_a_supernet(shared: bool, tmp_path: Path) -> None:
    """As it would of one of its own classes, but for the classifiers."""
    fixed = subnet_model_cfg(supernet_cfg(SPACE), ARCH).to_dict()
    space = SearchSpace.from_dict(SPACE)
    cfg = supernet_model_cfg(subnet_model_cfg(supernet_cfg(SPACE, 7), ARCH), space, shared)
    there = built(cfg, 0)
    here = built(fixed, 1)
    before = kept(here)
    state = torch.random.get_rng_state()
    take_what_fits(here, fixed, save(there, tmp_path / 'there.pth', SPACE))
    assert torch.equal(torch.random.get_rng_state(), state)
    wanted = cut_subnet(there, cfg.to_dict(), ARCH).state_dict()
    left = [name for name, tensor in wanted.items() if tensor.shape != before[name].shape]
    assert 0 < len(left) < 10
    for name, tensor in here.state_dict().items():
        assert torch.equal(tensor, before[name] if name in left else wanted[name]), name


def test_what_cannot_be_begun_with_is_refused(tmp_path: Path) -> None:
    fixed = subnet_model_cfg(supernet_cfg(SPACE), ARCH).to_dict()
    here = built(fixed, 0)
    torch.save(dict(state_dict={'backbone.other': torch.zeros(3)}), tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=r'other\.pth: no weight has the name and shape'):
        take_what_fits(here, fixed, tmp_path / 'other.pth')
    small = SPACE | dict(max_branches=1)
    path = save(built(supernet_cfg(small), 1), tmp_path / 'small.pth', small)
    with pytest.raises(ValueError, match=r'small\.pth: a supernet of another space: '):
        take_what_fits(here, fixed, path)
    with pytest.raises(FileNotFoundError, match=r'nowhere: no checkpoint, and no folder of a job'):
        find_checkpoint(tmp_path / 'nowhere')


def test_a_whole_job_begins_with_the_supernet_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other, begun = tmp_path / 'other' / 'supernet', []
    other.mkdir(parents=True)
    for name in ('iter_2.pth', 'iter_4.pth'):
        (other / name).touch()
    (other / 'last_checkpoint').write_text('/where/it/was/supernet/iter_2.pth')  # the folder was moved
    monkeypatch.setattr(pipeline, '_runner', lambda cfg: begun.append(cfg) or SimpleNamespace(train=lambda: None))
    job = pipeline.Job(str(CONFIGS / 'toy_streets_supernet.py'), '', tmp_path / 'job', init=tmp_path / 'other')
    pipeline.train_supernet(job)
    hooks = [dict(type='SampleArchHook', seed=0), dict(type='TransferHook', checkpoint=str(other / 'iter_2.pth'))]
    assert begun[0].custom_hooks == hooks


def test_jobs_begin_with_another(
    toy_root: Path, supernet: Path, fast_search: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[dict[str, Tensor]] = []
    before_train = TransferHook.before_train

    def record(hook: TransferHook, runner: Runner) -> None:
        before_train(hook, runner)
        begun.append(kept(runner.model))

    monkeypatch.setattr(TransferHook, 'before_train', record)
    cfg = config('supernet', toy_root, tmp_path / 'own', **{'train_cfg.max_iters': 2})
    cfg.pop('work_dir')
    cfg.default_hooks.checkpoint.interval = 1
    cfg.dump(str(tmp_path / 'supernet.py'))
    arguments = ('tools/train.py', tmp_path / 'supernet.py', '--work-dir', tmp_path / 'own', '--init', supernet.parent)
    assert run_script(monkeypatch, *arguments) == 0
    torch.testing.assert_close(begun[0], dict(read_checkpoint(supernet)['state_dict']))
    assert run_script(monkeypatch, *arguments, '--resume', '--cfg-options', 'train_cfg.max_iters=3') == 0
    torch.testing.assert_close(begun[1], dict(read_checkpoint(tmp_path / 'own' / 'iter_2.pth')['state_dict']))

    folder = SearchFolder.find(fast_search).chosen()[0]
    options = ('tools/retrain.py', fast_search, '--networks', folder.name, '--init', supernet)
    assert run_script(monkeypatch, *options, '--inherit') == 2
    assert run_script(monkeypatch, *options) == 0
    assert read_json(folder / 'results.json')['extras'] == dict(init=str(supernet))
    wanted = read_checkpoint(supernet)['state_dict']
    stem = next(name for name in begun[2] if name.endswith('weight'))
    assert torch.equal(begun[2][stem], wanted[stem])
    cfg = config('subnet', toy_root, tmp_path / 'again')
    Extras(init=folder).add_to(cfg)
    assert Path(cfg.custom_hooks[-1]['checkpoint']) == (folder / 'retrained.pth').resolve()
