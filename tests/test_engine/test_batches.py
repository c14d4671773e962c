"""The batch that a learning rate belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from hyctas_mm.engine.accumulation import split_batch
from hyctas_mm.engine.batches import fit_batch
from hyctas_mm.registry import HOOKS
from tests.tiny_jobs import config, run


def training(batch: int = 8, base: int | None = 32, loop: str = 'IterBasedTrainLoop', **more: object) -> Config:
    scale = {} if base is None else dict(auto_scale_lr=dict(base_batch_size=base, enable=False))
    return Config(
        dict(
            train_dataloader=dict(batch_size=batch),
            train_cfg=dict(type=loop),
            optim_wrapper=dict(type='OptimWrapper'),
            **scale,
            **more,
        )
    )


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch):
    def of(count: int) -> dict[str, str]:
        monkeypatch.setenv('SLURM_NTASKS', str(count))
        monkeypatch.setenv('SLURM_PROCID', '0')
        return dict(launcher='slurm')

    return of


@pytest.mark.parametrize(('count', 'batch', 'pieces'), [(1, 32, 4), (2, 16, 2), (4, 8, 1), (8, 4, 1), (16, 2, 1)])
def test_the_batch_is_reached_on_any_number_of_processes(processes, count: int, batch: int, pieces: int) -> None:
    cfg = training(**processes(count))
    fit_batch(cfg, accumulate=True)
    assert (cfg.train_dataloader.batch_size, cfg.optim_wrapper.get('accumulative_counts', 1)) == (batch, pieces)
    assert cfg.train_cfg.type == ('AccumulatingIterLoop' if pieces > 1 else 'IterBasedTrainLoop')


def test_epochs_too() -> None:
    cfg = training(loop='EpochBasedTrainLoop')
    fit_batch(cfg, accumulate=True)
    assert cfg.train_cfg.type == 'AccumulatingEpochLoop' and cfg.train_dataloader.drop_last


def test_the_rate_is_left_to_the_runner(processes, capsys: pytest.CaptureFixture[str]) -> None:
    cfg = training(**processes(2))
    fit_batch(cfg, auto_scale_lr=True)
    assert cfg.auto_scale_lr.enable and cfg.train_dataloader.batch_size == 8
    assert not capsys.readouterr().err


def test_a_difference_is_said_once(processes, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    for count, said in ((2, True), (4, False)):
        fit_batch(training(**processes(count)))
        text = capsys.readouterr().err
        assert bool(text) == said and text.count('\n') == said
        assert not said or all(word in text for word in ('2 process', 'of 16', 'to 32', '--accumulate'))
    options = processes(2)
    monkeypatch.setenv('SLURM_PROCID', '1')
    fit_batch(training(**options))
    fit_batch(training(base=None))
    fit_batch(training(loop='NSGA2SearchLoop'))
    assert not capsys.readouterr().err


def test_mistakes(processes) -> None:
    with pytest.raises(ValueError, match=r'a batch of 32 .*among 3 process.*pieces of 8'):
        fit_batch(training(**processes(3)), accumulate=True)
    with pytest.raises(ValueError, match=r'a batch of 32 .*pieces of 5'):
        fit_batch(training(batch=5), accumulate=True)
    with pytest.raises(ValueError, match=r'--accumulate: auto_scale_lr.base_batch_size=None'):
        fit_batch(training(base=None), accumulate=True)
    with pytest.raises(ValueError, match=r"--auto-scale-lr: .*train_cfg.type='NSGA2SearchLoop'"):
        fit_batch(training(loop='NSGA2SearchLoop'), auto_scale_lr=True)
    with pytest.raises(ValueError, match=r'a batch of 3 images is not divisible by .*=2'):
        split_batch(dict(inputs=[0, 1, 2]), 2)


def test_pieces_hold_every_image_once() -> None:
    pieces = split_batch(dict(inputs=[1, 2, 3, 4], nested=dict(x=torch.arange(4))), 2)
    assert [p['inputs'] for p in pieces] == [[1, 2], [3, 4]]
    assert [p['nested']['x'].tolist() for p in pieces] == [[0, 1], [2, 3]]


@HOOKS.register_module()
class FreezeNorms(Hook):
    def before_train_iter(self, runner: Runner, *args: object, **kwargs: object) -> None:
        for module in runner.model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()


@pytest.mark.slow
def test_a_step_in_pieces_is_a_step(toy_root: Path, tmp_path: Path) -> None:
    """Without batch norm, which each piece has for itself, a training in pieces is that of the whole batch; lengths,
    schedule and checkpoints are those of the config.
    """
    runners = [_trained(toy_root, tmp_path / name, pieces) for name, pieces in (('whole', 1), ('pieces', 2))]
    assert [r.iter for r in runners] == [3, 3] and all((Path(r.work_dir) / 'iter_3.pth').is_file() for r in runners)
    assert [r.optim_wrapper.get_lr()['lr'] for r in runners] == [[pytest.approx(0.02 * 0.8125)]] * 2
    states = [r.model.state_dict() for r in runners]
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], rtol=1e-4, atol=1e-5, msg=name)


def _trained(root: Path, work_dir: Path, pieces: int) -> Runner:
    cfg = config('subnet', root, work_dir, **{'train_cfg.max_iters': 3, 'auto_scale_lr.base_batch_size': 4})
    cfg.train_dataloader.batch_size = 4 // pieces
    cfg.train_dataloader.dataset.pipeline = cfg.val_dataloader.dataset.pipeline
    cfg.model.backbone.base_channels = cfg.model.decode_head.base_channels = 2
    cfg.param_scheduler = [dict(type='LinearLR', start_factor=0.25, by_epoch=False, begin=0, end=5)]
    cfg.custom_hooks = [dict(type='FreezeNorms')]
    fit_batch(cfg, accumulate=True)
    assert cfg.optim_wrapper.get('accumulative_counts', 1) == pieces
    return run(cfg)
