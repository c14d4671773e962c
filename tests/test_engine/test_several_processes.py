"""A training on several processes is that of one: losses, statistics, and what is refused."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.hooks import Hook
from mmengine.registry import MODEL_WRAPPERS
from mmengine.runner import Runner
from mmseg.models import SegDataPreProcessor
from torch import Tensor

from hyctas_mm.archs import SearchSpace, load_arch
from hyctas_mm.engine.batches import fit_batch
from hyctas_mm.engine.configs import use_launcher
from hyctas_mm.engine.export import write_architecture
from hyctas_mm.engine.retraining import retrain
from hyctas_mm.engine.scoring import recalibrate_bn
from hyctas_mm.evaluation import PanopticQuality
from hyctas_mm.models import cut_subnet, set_arch
from hyctas_mm.models.synced_norm import SyncedBatchNorm2d
from hyctas_mm.registry import HOOKS, MODELS
from tests.conftest import supernet_cfg
from tests.ranks import in_ranks
from tests.test_evaluation.test_panoptic_quality import META, random_sample
from tests.tiny_jobs import config, run

pytestmark = pytest.mark.slow

STEPS = 4
CELLS = [('lite_conv', 8, True), ('attention', 12, False), ('conv', 8, False)]
SMALL = dict(
    format='hyctas_mm/arch-1',
    branches=[[dict(op=op, width=width, down=down) for op, width, down in CELLS]],
    stem_width=12,
    head_width=12,
    low_level='none',
    head_attention=False,
)
"""A fixed network that ends at stride 16. Maps of stride 32 have two pixels here, and their batch norm makes a
difference of 1e-14 in the first step one of 1e-1 in the sixth, in a single process too.
"""


KINDS = {True: ('supernet', 'hyctas-s'), False: ('supernet', 'subnet')}
"""What is trained in double precision, and in single."""


@MODELS.register_module()
class DefaultDtype(SegDataPreProcessor):
    """Images of the default number type, where mmseg's are single precision."""

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        found = super().forward(data, training)
        return dict(found, inputs=found['inputs'].to(torch.get_default_dtype()))


@HOOKS.register_module()
class RecordLoss(Hook):
    """Keeps the mean of the processes' losses for every step."""

    losses: list[float] = []

    def before_train(self, runner: Any) -> None:
        self.losses.clear()

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        loss = outputs['loss'].detach().clone()
        dist.all_reduce(loss)
        self.losses.append(float(loss) / dist.get_world_size())


def tiny(
    kind: str,
    root: str,
    folder: Path,
    batch: int,
    norm: str = 'SyncBN',
    arch: Any = SMALL,
    height: int = 32,
    **options: Any,
) -> Config:
    """A training with so many images of 32x64 in a step, the same ones for any number of processes."""
    cfg = config(kind, Path(root), folder, **{'train_cfg.max_iters': STEPS, 'auto_scale_lr.base_batch_size': batch})
    resize = dict(type='Resize', scale=(2 * height, height))
    cfg.train_dataloader.batch_size = batch
    load, annotations, check, *_ = cfg.train_dataloader.dataset.pipeline
    cfg.train_dataloader.dataset.pipeline = [load, annotations, check, resize, dict(type='PackSegInputs')]
    cfg.model.data_preprocessor.update(type='DefaultDtype', size=(height, 2 * height))
    for part in (cfg.model.backbone, cfg.model.decode_head):
        part.norm_cfg.type = norm
        if kind == 'supernet':
            part.search_space.base_channels = 2
        else:
            part.update(base_channels=2, arch=arch)
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='RecordLoss')]
    cfg.merge_from_dict(options)
    return cfg


def train(cfg: Config) -> Runner:
    """Trains it as ``tools/train.py --launcher pytorch --accumulate`` does."""
    use_launcher(cfg, 'pytorch')
    fit_batch(cfg, accumulate=True)
    return run(cfg)


def losses(folder: Path, root: str, double: bool) -> dict[str, list[float]]:
    """The losses of four steps of a supernet and of fixed networks."""
    found = {}
    torch.set_default_dtype(torch.float64 if double else torch.float32)
    for kind in KINDS[double]:
        warm_up = dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=100)
        options = dict(batch=4) if double else dict(batch=8, param_scheduler=[warm_up])
        if kind == 'hyctas-s':
            options |= dict(arch=kind, height=64, param_scheduler=[warm_up])
        cfg = tiny('supernet' if kind == 'supernet' else 'subnet', root, folder / kind, **options)
        train(cfg)
        assert cfg.train_dataloader.batch_size == options['batch'] // dist.get_world_size()
        found[kind] = list(RecordLoss.losses)
    return found


@pytest.mark.parametrize(('sizes', 'double'), [((1, 4), True), ((1, 2), False)], ids=['float64', 'float32'])
def test_losses_are_those_of_one_process(toy_root: Path, tmp_path: Path, sizes: tuple[int, ...], double: bool) -> None:
    """SyncBN, plain cross entropy, no dropout, the same images without augmentation.

    In double precision with steps of four images, one for each of four processes, at the full learning rate; in single
    precision with eight and the quickstart's warm-up. HyCTAS-S in double precision, with that warm-up, on images of
    64x128.
    """
    found = in_ranks(f'{__name__}:losses', sizes, tmp_path, root=str(toy_root), double=double)
    tolerance = 1e-6 if double else 1e-4
    for kind in KINDS[double]:
        one = torch.tensor(found[1][0][kind], dtype=torch.float64)
        assert len(one) == STEPS and len(set(one.tolist())) == STEPS
        for size in sizes[1:]:
            others = torch.tensor([rank[kind] for rank in found[size]], dtype=torch.float64)
            print(kind, size, float((others - one).abs().max()))
            assert (others == others[0]).all() and (others - one).abs().max() < tolerance, f'{kind}, {size} processes'


def two_steps_and_quality(folder: Path, root: str) -> dict[str, Any]:
    """The losses of two steps of a supernet with eight images each, and panoptic quality of five images."""
    torch.set_default_dtype(torch.float64)
    train(tiny('supernet', root, folder, 8, **{'train_cfg.max_iters': 2}))
    torch.set_default_dtype(torch.float32)
    samples = [random_sample(seed) for seed in range(5)]
    metric = PanopticQuality(['PQ', 'mIoU', 'AP'], classwise=True)
    metric.dataset_meta = META
    for index in DefaultSampler(samples, shuffle=False):
        metric.process(None, [samples[index]])
    return dict(losses=list(RecordLoss.losses), quality=metric.evaluate(len(samples)))


def test_eight_processes(toy_root: Path, tmp_path: Path) -> None:
    """Images that do not divide among the processes are counted once."""
    found = in_ranks(f'{__name__}:two_steps_and_quality', [1, 8], tmp_path, root=str(toy_root))
    one = found[1][0]
    assert len(set(one['losses'])) == 2 and 0 < one['quality']['PQ'] < 100
    for rank in found[8]:
        assert rank['losses'] == pytest.approx(one['losses'], abs=1e-6) and rank['quality'] == one['quality']


def plain_norms(folder: Path, root: str) -> dict[str, Any]:
    """Two steps with plain batch norm, and what two processes do beside."""
    options = {'train_cfg.max_iters': 2, 'default_hooks.checkpoint.interval': 2}
    runner = train(tiny('subnet', root, folder / 'plain', 4, 'BN', **options))
    found = {n: v.clone() for n, v in runner.model.module.state_dict().items() if not n.endswith(('weight', 'bias'))}
    few = tiny('subnet', root, folder / 'few', 4, **{'train_dataloader.dataset.indices': [8]})
    with pytest.raises(ValueError) as refused:
        train(few)
    model = tiny('supernet', root, folder, 4).model
    supernet = MODELS.build(model)
    network = cut_subnet(supernet, model.to_dict(), supernet.backbone.arch)
    if dist.get_rank() == 0:  # the other one does not take part
        recalibrate_bn(network, [dict(inputs=[torch.zeros(3, 32, 64)] * 2, data_samples=None)])
        network.train()(torch.ones(2, 3, 32, 64))
    assert any(isinstance(norm, SyncedBatchNorm2d) for norm in network.modules())
    return dict(buffers=found, refused=str(refused.value))


def test_plain_norms_are_averaged_for_a_checkpoint_and_too_few_images_refused(toy_root: Path, tmp_path: Path) -> None:
    first, second = in_ranks(f'{__name__}:plain_norms', [2], tmp_path, root=str(toy_root))[2]
    saved = torch.load(tmp_path / '2' / 'plain' / 'iter_2.pth', weights_only=False)['state_dict']
    means = [name for name in first['buffers'] if name.endswith('running_mean')]
    assert len(means) > 10 and all(first['buffers'][name].any() for name in means)
    for name, value in first['buffers'].items():
        assert torch.equal(value, second['buffers'][name]) and torch.equal(value, saved[name]), name
    assert '2 processes for 1 image(s)' in first['refused'] == second['refused']


def retrained(folder: Path, root: str) -> dict[str, float]:
    """Two steps of retraining."""
    options = {'train_cfg.max_iters': 2, 'default_hooks.checkpoint.interval': 2}
    subnet = folder / 'subnets' / 'small'
    if dist.get_rank() == 0:
        cfg = tiny('subnet', root, folder, 4, **options)
        write_architecture(subnet, cfg, load_arch(SMALL), 2)
    dist.barrier()
    return retrain(subnet, num_pictures=1, launcher='pytorch')


def test_a_network_is_retrained_alike_by_one_and_two_processes(toy_root: Path, tmp_path: Path) -> None:
    found = in_ranks(f'{__name__}:retrained', [1, 2], tmp_path, root=str(toy_root))
    assert found[2][0] == found[2][1]
    assert found[2][0] == pytest.approx(found[1][0], abs=0.05) and found[1][0]['iters'] == 2
    results = [json.loads((tmp_path / size / 'subnets' / 'small' / 'results.json').read_text()) for size in '12']
    assert results[0]['constant'] == results[1]['constant'] and results[1]['by_seed'] == {'0': found[2][0]}
    states = [
        torch.load(tmp_path / size / 'subnets' / 'small' / 'retrained.pth', weights_only=True)['state_dict']
        for size in '12'
    ]
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=1e-3, atol=1e-3, msg=name)
    assert (tmp_path / '2' / 'predictions').is_dir()


def exchanged(folder: Path) -> dict[str, tuple[list[int], Tensor]]:
    """Bytes of gradients that four steps exchange, and the weights after them, for mmengine's wrapper and ours."""
    space, found = dict(layers=8, base_channels=4), {}
    for wrapper in ('MMDistributedDataParallel', 'SupernetDataParallel'):
        torch.manual_seed(0)
        model = supernet_cfg(space)
        model['backbone']['norm_cfg'] = model['decode_head']['norm_cfg'] = dict(type='SyncBN')
        net = MODELS.build(model)
        options = {} if wrapper.startswith('S') else dict(broadcast_buffers=False, find_unused_parameters=True)
        wrapped = MODEL_WRAPPERS.build(dict(type=wrapper, module=net, **options))
        sizes: list[int] = []
        wrapped.register_comm_hook(sizes, count_bytes)
        optimizer, steps = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9), []
        for step in range(4):
            set_arch(net, SearchSpace(**space).sample(np.random.default_rng([0, step])))
            random = torch.Generator().manual_seed(2 * step + dist.get_rank())
            wrapped(torch.randn(2, 3, 64, 64, generator=random)).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            steps.append(sum(sizes))
            sizes.clear()
        found[wrapper] = (steps, torch.cat([p.detach().flatten() for p in net.parameters()]))
    return found


def count_bytes(sizes, bucket):  # PyTorch refuses annotations that are text
    """Averages a bucket, as PyTorch does by itself."""
    sizes.append(bucket.buffer().nbytes)
    gradients = bucket.buffer().div_(dist.get_world_size())
    return dist.all_reduce(gradients, async_op=True).get_future().then(lambda future: future.value()[0])


SKIPS = 'skip_all_reduce_unused_params' in inspect.signature(torch.nn.parallel.DistributedDataParallel).parameters


@pytest.mark.skipif(not SKIPS, reason='this PyTorch exchanges all gradients')
def test_only_a_step_s_sub_network_is_exchanged(tmp_path: Path) -> None:
    ranks = in_ranks(f'{__name__}:exchanged', [2], tmp_path)[2]
    (everything, expected), (ours, weights) = ranks[0].values()
    assert everything == [4 * len(expected)] * 4
    print(everything, ours)
    assert max(ours) < 0.3 * everything[0] and len(set(ours)) > 1
    assert torch.equal(weights, expected) and torch.equal(weights, ranks[1]['SupernetDataParallel'][1])
