"""What retraining adds: averaged weights, a teacher."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor

from hyctas_mm.archs import SearchSpace
from hyctas_mm.engine.checkpoint import read_checkpoint
from hyctas_mm.engine.extras import Extras
from hyctas_mm.engine.retraining import retrain
from hyctas_mm.files import read_json
from hyctas_mm.models.subnet import subnet_model_cfg
from hyctas_mm.registry import MODELS
from hyctas_mm.search.folder import SearchFolder
from tests.conftest import run_script, supernet_cfg
from tests.ranks import in_ranks
from tests.test_engine.test_several_processes import RecordLoss, tiny, train
from tests.tiny_jobs import SPACE

pytestmark = pytest.mark.slow


def weights(path: Path) -> dict[str, Tensor]:
    return read_checkpoint(path)['state_dict']


def floats(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}


def test_the_average_is_validated_tested_and_kept(fast_search: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = min((fast_search / 'search' / 'subnets').iterdir())
    steps: list[dict[str, Tensor]] = []
    tested: list[dict[str, Tensor]] = []
    after_step, before_test = EMAHook.after_train_iter, EMAHook.before_test_epoch

    def record(hook: EMAHook, runner: Any, *args: Any, **options: Any) -> None:
        after_step(hook, runner, *args, **options)
        steps.append({k: v.clone() for k, v in runner.model.state_dict().items()})

    def record_test(hook: EMAHook, runner: Any) -> None:
        before_test(hook, runner)
        tested.append({k: v.clone() for k, v in runner.model.state_dict().items()})

    monkeypatch.setattr(EMAHook, 'after_train_iter', record)
    monkeypatch.setattr(EMAHook, 'before_test_epoch', record_test)
    assert run_script(monkeypatch, 'tools/retrain.py', fast_search, '--networks', folder.name, '--ema', 0.3) == 0
    first, last = map(floats, steps)
    average = {name: 0.7 * first[name] + 0.3 * last[name] for name in first}
    statistics = next(name for name in first if name.endswith('running_var'))
    assert not torch.equal(average[statistics], last[statistics]), 'no step changed anything'
    for found in (weights(folder / 'retrained.pth'), weights(folder / 'train0' / 'iter_2.pth'), *tested):
        torch.testing.assert_close(floats(found), average)
    assert read_json(folder / 'results.json')['extras'] == dict(ema=0.3)
    with pytest.raises(ValueError, match=r"with extras \{'ema': 0.3\}, now \{\}"):
        retrain(folder, seed=1)


def test_a_momentum_by_the_length(fast_training: Path) -> None:
    cfg = Config.fromfile(fast_training)
    for steps, momentum in ((2, 0.1), (300, 0.02), (160_000, 0.0002)):
        cfg.train_cfg.max_iters = steps
        Extras(ema=0).add_to(cfg)
        assert cfg.custom_hooks == [dict(type='EMAHook', momentum=momentum, update_buffers=True)]
    with pytest.raises(ValueError, match='expected a momentum below 1'):
        Extras(ema=1.0)


# A teacher -----------------------------------------------------------------------------------------------------------


def student_cfg(teacher: Any, **options: Any) -> dict[str, Any]:
    """A tiny fixed network; with a teacher where one is given."""
    arch = SearchSpace.from_dict(SPACE).sample(np.random.default_rng(3), 2)
    cfg = subnet_model_cfg(supernet_cfg(SPACE), arch).to_dict() | options
    return cfg if teacher is None else cfg | dict(type='DistilledSegmentor', teacher=teacher)


def write_teacher(folder: Path, num_classes: int = 5, low_level: str = 's4', **options: Any) -> dict[str, str]:
    """Config and random weights of another network, of other size and resolution."""
    arch = replace(SearchSpace.from_dict(SPACE).sample(np.random.default_rng(4), 3), low_level=low_level)
    cfg = Config(dict(model=subnet_model_cfg(supernet_cfg(SPACE, num_classes), arch).to_dict() | options))
    cfg.dump(str(folder / 'teacher.py'))
    torch.manual_seed(7)
    network = MODELS.build(cfg.model)
    network.init_weights()
    torch.save(dict(state_dict=network.state_dict()), folder / 'teacher.pth')
    return dict(config=str(folder / 'teacher.py'), checkpoint=str(folder / 'teacher.pth'))


def build(cfg: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    model.init_weights()
    return model.train()


def batch() -> dict[str, Any]:
    torch.manual_seed(1)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 5, (1, 32, 64)))) for _ in range(2)]
    return dict(inputs=torch.randn(2, 3, 32, 64), data_samples=samples)


def test_a_network_is_drawn_to_its_teacher(tmp_path: Path) -> None:
    teacher = write_teacher(tmp_path)
    plain, model, data = build(student_cfg(None)), build(student_cfg(teacher)), batch()
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert len(list(model.parameters())) == len(list(plain.parameters()))
    before = torch.random.get_rng_state()
    first = model.loss(**data)
    assert torch.equal(torch.random.get_rng_state(), before), 'reading the teacher draws nothing'
    expected = plain.loss(**data)
    assert first.keys() == {*expected, 'loss_distill'} and float(first['loss_distill']) > 0
    for name, value in expected.items():
        torch.testing.assert_close(first[name], value, msg=name)
    model.load_state_dict(plain.state_dict())
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(15):
        optimizer.zero_grad()
        loss = model.loss(**data)['loss_distill']
        loss.backward()
        optimizer.step()
    assert float(loss) < 0.6 * float(first['loss_distill'])
    build(student_cfg(None)).load_state_dict(model.state_dict())
    copied = copy.deepcopy(model)
    assert copied._teacher is model._teacher and not any('eacher' in name for name, _ in copied.named_modules())
    network = model._teacher._network
    assert not network.training and not any(p.requires_grad for p in network.parameters())
    torch.testing.assert_close(network.state_dict(), torch.load(teacher['checkpoint'])['state_dict'])


def test_nothing_is_learned_of_an_equal_teacher(tmp_path: Path) -> None:
    cfg = student_cfg(None)
    model = build(cfg)
    Config(dict(model=cfg)).dump(str(tmp_path / 'same.py'))
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'same.pth')
    files = dict(config=str(tmp_path / 'same.py'), checkpoint=str(tmp_path / 'same.pth'), temperature=2.0, weight=3.0)
    model = build(cfg | dict(type='DistilledSegmentor', teacher=files)).eval()  # batch norm as the teacher's
    assert float(model.loss(**batch())['loss_distill']) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        (dict(num_classes=4), r'teacher\.py predicts 4 classes, the network 5'),
        (
            dict(data_preprocessor=dict(type='SegDataPreProcessor', mean=[0.0] * 3, std=[1.0] * 3)),
            r"images normalised by \{'mean': \[0.0, .* the network by \{'mean': \[128.0",
        ),
    ],
)
def test_teachers_that_do_not_fit_are_refused(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        build(student_cfg(write_teacher(tmp_path, **changed))).loss(**batch())


def test_wrong_teachers_are_told(tmp_path: Path) -> None:
    files = write_teacher(tmp_path)
    with pytest.raises(ValueError, match=r'temperature=0; expected a number above 0'):
        build(student_cfg(files | dict(temperature=0)))
    with pytest.raises(ValueError, match=r'teacher\.pth does not fit .*\(.*give the config that it was trained with'):
        write_teacher(tmp_path, low_level='none')
        torch.save(dict(state_dict=build(student_cfg(None)).state_dict()), tmp_path / 'teacher.pth')
        build(student_cfg(files)).loss(**batch())
    with pytest.raises(FileNotFoundError, match='no config'):
        build(student_cfg(files | dict(config='nowhere.py'))).loss(**batch())
    panoptic = Config(dict(model=dict(type='PanopticDeepLab')))
    with pytest.raises(ValueError, match='is a PanopticDeepLab, and only semantic networks'):
        Extras(teacher=(tmp_path, tmp_path)).add_to(panoptic)


def test_the_largest_teaches_the_others(fast_search: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search = SearchFolder.find(fast_search)
    assert run_script(monkeypatch, 'tools/retrain.py', fast_search, '--teacher', 'largest', '--ema') == 0
    macs = {c.archid: c.costs['macs_g'] for c in search.candidates()}
    teacher, *others = sorted(search.chosen(), key=lambda folder: -macs[folder.name])
    assert 'teacher' not in read_json(teacher / 'results.json')['extras'] and others
    for folder in others:
        files = [str(teacher / 'config.py'), str(teacher / 'retrained.pth')]
        assert read_json(folder / 'results.json')['extras'] == dict(ema=0.0, teacher=files)
        MODELS.build(Config.fromfile(folder / 'config.py').model).load_state_dict(weights(folder / 'retrained.pth'))


def distilled(folder: Path, root: str, teacher: list[str]) -> dict[str, Any]:
    """Losses of four steps with a teacher, the averaged weights, and those of a training resumed in the middle."""
    torch.set_default_dtype(torch.float64)
    options = {'train_cfg.max_iters': 4, 'default_hooks.checkpoint.interval': 2}
    extras = Extras(ema=0.3, teacher=(Path(teacher[0]), Path(teacher[1])))
    found = {}
    for name, resumed in (('whole', {}), ('half', dict(resume=True, load_from=str(folder / 'whole' / 'iter_2.pth')))):
        cfg = tiny('subnet', root, folder / name, batch=4, **options, **resumed)
        extras.add_to(cfg)
        train(cfg)
        found[name] = dict(losses=list(RecordLoss.losses), weights=weights(folder / name / 'iter_4.pth'))
    return found


def test_with_a_teacher_on_two_processes_and_resumed(toy_root: Path, tmp_path: Path) -> None:
    cfg = tiny('subnet', str(toy_root), tmp_path, batch=4, height=64)
    Config(dict(model=cfg.model.to_dict())).dump(str(tmp_path / 'teacher.py'))
    torch.save(dict(state_dict=build(cfg.model).state_dict()), tmp_path / 'teacher.pth')
    files = [str(tmp_path / f'teacher.{kind}') for kind in ('py', 'pth')]
    found = in_ranks(f'{__name__}:distilled', (1, 2), tmp_path, root=str(toy_root), teacher=files)
    one, *two = found[1] + found[2]
    for other in (one, *two):
        np.testing.assert_allclose(other['whole']['losses'], one['whole']['losses'], rtol=1e-5)
        np.testing.assert_allclose(other['half']['losses'], one['whole']['losses'][2:], rtol=1e-5)
        for part in other.values():
            torch.testing.assert_close(floats(part['weights']), floats(one['whole']['weights']), rtol=1e-4, atol=1e-6)
