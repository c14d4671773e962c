"""Sizes and lengths suit data, device and budgets; the written configs run."""

from __future__ import annotations

import importlib.util
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmcv.image import rescale_size
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from hyctas_mm.archs import SearchSpace
from hyctas_mm.archs.extremes import smallest
from hyctas_mm.costs import Target
from hyctas_mm.deploy import OnnxNet
from hyctas_mm.deploy.export import ExportOptions, export_onnx
from hyctas_mm.deploy.images import fit, image_of, open_dataset
from hyctas_mm.engine.configs import use_scope
from hyctas_mm.engine.scoring import image_paths
from hyctas_mm.models.subnet import subnet_model_cfg
from hyctas_mm.registry import DATASETS, MODELS
from hyctas_mm.search.archive import read_archive
from hyctas_mm.wizard import lengths as timing
from hyctas_mm.wizard import sizing
from hyctas_mm.wizard.data import SemanticData, Sizes
from hyctas_mm.wizard.lengths import Lengths, Speed, TooShort
from hyctas_mm.wizard.measure import measure_speed
from hyctas_mm.wizard.panoptic import look_at_panoptic
from hyctas_mm.wizard.semantic import look_at_semantic
from hyctas_mm.wizard.sizing import Machine, SizingError, choose_geometry, choose_plan, supernet_model
from hyctas_mm.wizard.write import FolderInUse, check_free, write_configs
from tests.test_deploy.onnx_fixtures import ARCH, save
from tests.test_wizard.test_data import CLASSES, coco_panoptic, folder, pair
from tests.tiny_jobs import run

ROOT = Path(__file__).parents[2]
BASES = ROOT / 'configs'
CPU = Machine(torch.device('cpu'), memory_gb=8.0, cores=2)
TINY = Lengths(
    steps=2, subnet_steps=2, population=2, generations=1, calibration_images=8, num_chosen=1, latency_seconds=0.001
)


def tool(name: str) -> types.ModuleType:
    """A module of ``tools/``."""
    spec = importlib.util.spec_from_file_location(f'tool_{name}', ROOT / 'tools' / f'{name}.py')
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> SemanticData:
    return look_at_semantic(folder(tmp_path_factory.mktemp('data')), CLASSES)


def base_model() -> dict[str, Any]:
    return Config.fromfile(BASES / '_base_' / 'models' / 'hyctas_supernet.py').model.to_dict()


def written(
    work_dir: Path, data: Any, like: str | None = None, space: SearchSpace | None = None, **options: Any
) -> Path:
    """Configs of a tiny search on the CPU."""
    geometry = choose_geometry(data.sizes, 'cpu', like)
    plan = sizing.Plan(geometry, space or SearchSpace(layers=4, base_channels=4), 4, 0.1)
    return write_configs(work_dir, data, plan, TINY, CPU, BASES, **options)


def test_the_target_is_in_the_config(tmp_path: Path, data: SemanticData) -> None:
    target = dict(runtime='onnxruntime', precision='int8', threads=2)
    found = Config.fromfile(written(tmp_path, data, target=Target.read(target)) / 'search.py').train_cfg
    assert found.target == target and found.precision == 'int8'
    assert not {'target', 'precision'} & set(Config.fromfile(written(tmp_path, data) / 'search.py').train_cfg)


@pytest.mark.parametrize(
    ('hw', 'device', 'like', 'size', 'wanted'),
    [
        ((360, 480), 'cpu', None, None, ((360, 480), (224, 320), False)),
        ((1024, 2048), 'cuda', 'cityscapes', None, ((512, 1024), (512, 1024), True)),
        ((1024, 2048), 'cuda', None, (1024, 2048), ((1024, 2048), (672, 1344), False)),
        ((512, 683), 'cuda', 'ade20k', None, ((512, 683), (512, 512), False)),
        ((227, 320), 'cpu', None, (114, 160), ((112, 160), (64, 96), True)),
        ((506, 640), 'cpu', 'coco-panoptic', (192, 192), ((160, 192), (128, 128), True)),
        ((640, 480), 'cpu', 'coco-panoptic', None, ((480, 384), (352, 352), True)),
        ((250, 300), 'cpu', 'coco-panoptic', None, ((256, 320), (224, 224), False)),
    ],
)
def test_geometry(hw: tuple[int, int], device: str, like: str | None, size: Any, wanted: Any) -> None:
    geometry = choose_geometry(Sizes(hw, True), device, like, size)
    assert (geometry.input_hw, geometry.crop_hw, geometry.resize) == wanted


@given(
    hw=st.tuples(st.integers(32, 3000), st.integers(32, 3000)),
    size=st.none() | st.tuples(st.integers(32, 1024), st.integers(32, 1024)),
)
def test_a_panoptic_network_is_measured_at_the_size_that_its_usual_image_is_padded_to(hw: Any, size: Any) -> None:
    geometry = choose_geometry(Sizes(hw, True), 'cpu', 'coco-panoptic', size)
    width, height = rescale_size(hw[::-1], geometry.input_hw[::-1]) if geometry.resize else hw[::-1]
    assert tuple(-(-side // sizing.PAD) * sizing.PAD for side in (height, width)) == geometry.input_hw
    if geometry.resize and size:
        longer = hw.index(max(hw))
        assert height <= max(size[0], 32) and width <= max(size[1], 32) and geometry.input_hw[longer] <= size[longer]


def test_images_are_padded_as_the_sizes_expect() -> None:
    for name in ('hyctas_panoptic', 'hyctas_panoptic_supernet'):
        model = Config.fromfile(BASES / '_base_' / 'models' / f'{name}.py').model
        assert model.data_preprocessor.pad_size_divisor == sizing.PAD


@pytest.mark.slow
def test_memory_decides_batch_and_space(data: SemanticData) -> None:
    geometry = choose_geometry(Sizes((360, 480), True), 'cpu')

    def plan(memory_gb: float, largest_space: int | None = None) -> sizing.Plan:
        return choose_plan(
            data, geometry, Machine(torch.device('cpu'), memory_gb, 2), base_model(), largest_space=largest_space
        )

    plans = {8.0: plan(8.0), 0.5: plan(0.5), 0.3: plan(0.3, 3)}
    assert [(p.space.layers, p.space.base_channels, p.batch) for p in plans.values()] == [
        (8, 6, 8),
        (6, 4, 8),
        (6, 4, 2),
    ]
    assert all(found.memory_gb <= 0.8 * gb for gb, found in plans.items())
    with pytest.raises(SizingError, match='0.0 GB of memory do not hold a batch of two crops of 224x320; give --size'):
        plan(0.01, 3)


@pytest.mark.slow
def test_the_latency_budget_decides_the_space(data: SemanticData) -> None:
    def measure(model: Any, arch: Any, geometry: Any, device: Any) -> float:
        space = SearchSpace.from_dict(model['backbone']['search_space'])
        return (5.0 if arch == smallest(space) else 10.0) * space.base_channels / 4

    def plan(budget: float) -> sizing.Plan:
        return choose_plan(data, choose_geometry(data.sizes, 'cpu'), CPU, base_model(), budget, measure=measure)

    assert plan(12).space.base_channels == 6 and plan(12).latency_ms == (7.5, 15.0)
    assert plan(5.5).space.base_channels == 4, (
        'half of the larger networks would be too slow, and there is no smaller space'
    )
    with pytest.raises(
        SizingError,
        match=r'the smallest network takes 5.0 ms at 32x48 on cpu; --latency-ms 4 was asked for.*larger --latency-ms',
    ):
        plan(4)


@pytest.mark.slow
def test_the_wide_space_is_asked_for(tmp_path: Path, data: SemanticData) -> None:
    geometry = choose_geometry(data.sizes, 'cpu')
    usual, wide = (
        choose_plan(data, geometry, CPU, base_model(), largest_space=3, wide=wide).space for wide in (False, True)
    )
    assert wide.size() == 36 * usual.size() and (wide.layers, wide.base_channels) == (usual.layers, usual.base_channels)
    assert {name: getattr(wide, name) for name in sizing.WIDE} == sizing.WIDE
    cfg = Config.fromfile(written(tmp_path, data, space=wide) / 'search.py')
    assert (
        SearchSpace.from_dict(cfg.model.backbone.search_space)
        == SearchSpace.from_dict(cfg.model.decode_head.search_space)
        == wide
    )


def test_hours_decide_the_lengths() -> None:
    space, speed = SearchSpace(layers=8, base_channels=6), Speed(step=0.4, calibration_image=0.01, image=0.02)
    usual = timing.usual_lengths(1260, 8, 'cpu')
    assert usual.steps == 3780 and usual.candidates == 180
    for hours in (1.0, 4.0):
        fitted = timing.fit_hours(usual, hours, speed, 1260, 140, 100, 8, space, 8)
        total = sum(e.seconds for e in timing.estimate(fitted, speed, 140, 100, 8, space))
        assert 0.6 * 3600 * hours < total < 1.1 * 3600 * hours
    # rather fewer networks than too few steps for each, down to one
    assert [timing.least_subnet_steps(epoch, 8) for epoch in (10, 150, 1000)] == [300, 450, 600]
    assert [timing.least_subnet_steps(10, classes) for classes in (15, 27, 150)] == [300, 540, 600]
    shipped = timing.estimate(usual, replace(speed, on_target=4.5), 140, 100, 8, space)
    assert [(e.step, e.seconds) for e in shipped if 'table' in e.step] == [('latency table', 80 * 4.5)]
    slow = Speed(step=1.1, calibration_image=0.01, image=0.02)
    for hours, chosen in ((0.95, 3), (0.65, 2), (0.4, 1)):
        fitted = timing.fit_hours(usual, hours, slow, 400, 40, 100, 8, space, 8)
        assert fitted.num_chosen == chosen and fitted.subnet_steps >= 300, fitted
    with pytest.raises(TooShort, match=r'--hours 0.01 is not enough.*give at least --hours') as raised:
        timing.fit_hours(usual, 0.01, speed, 1260, 140, 100, 8, space, 8)
    assert raised.value.excess > 1.3
    assert [timing.duration(s) for s in (0.2, 40, 600, 3900, 7500)] == ['1 s', '40 s', '10 min', '65 min', '2 h 5 min']


def test_the_space_is_that_of_the_memory(tmp_path: Path, data: SemanticData) -> None:
    """What the plan priced is what the config builds."""
    configs = written(tmp_path, data)
    cfg = Config.fromfile(configs / 'supernet.py')
    sized = supernet_model(base_model(), data, SearchSpace(layers=4, base_channels=4))
    with torch.device('meta'):
        ours, priced = (MODELS.build(model) for model in (cfg.model, sized))
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in priced.state_dict().items()}


@pytest.mark.parametrize('like', [None, 'cityscapes', 'ade20k'])
def test_no_image_is_used_twice(tmp_path: Path, data: SemanticData, like: str | None) -> None:
    configs = written(tmp_path, data, like)
    cfgs = {name: Config.fromfile(configs / f'{name}.py') for name in ('supernet', 'search', 'subnet')}
    use_scope(cfgs['supernet'])
    fit = image_paths(DATASETS.build(cfgs['supernet'].train_dataloader.dataset))
    select = image_paths(DATASETS.build(cfgs['search'].val_dataloader.dataset))
    train = image_paths(DATASETS.build(cfgs['subnet'].train_dataloader.dataset))
    val = image_paths(DATASETS.build(cfgs['subnet'].test_dataloader.dataset))
    assert (len(fit), len(select), len(train), len(val)) == (16, 4, 20, 4)
    assert fit | select == train and not fit & select and not train & val
    assert image_paths(DATASETS.build(cfgs['search'].train_dataloader.dataset)) == fit
    sample = DATASETS.build(cfgs['supernet'].train_dataloader.dataset)[0]
    assert tuple(sample['inputs'].shape[1:]) == tuple(cfgs['supernet'].model.data_preprocessor.size)


def test_options_reach_every_place(tmp_path: Path) -> None:
    root = folder(tmp_path / 'data', values=(0, 1, 2, 3))
    void = Config.fromfile(
        written(tmp_path / 'a', look_at_semantic(root, CLASSES, ignore_index=3), latency_ms=20.0) / 'search.py'
    )
    assert void.train_cfg.bounds == dict(latency_ms=dict(max=20))
    assert (
        void.model.decode_head.ignore_index
        == void.model.data_preprocessor.seg_pad_val
        == void.val_evaluator.ignore_index
        == 3
    )
    assert all(
        t.ignore_index == 3
        for name in ('train', 'test')
        for t in void[f'{name}_pipeline']
        if t.type in ('CheckLabels', 'LeanRandomCrop')
    )
    shifted = Config.fromfile(
        written(tmp_path / 'b', look_at_semantic(root, CLASSES, reduce_zero_label=True)) / 'supernet.py'
    )
    use_scope(shifted)
    labels = DATASETS.build(shifted.val_dataloader.dataset)[0]['data_samples'].gt_sem_seg.data
    assert sorted(labels.unique().tolist()) == [0, 1, 2, 255]


def check_steps(configs: Path, head: str, cheap: bool) -> None:
    for name in ('supernet', 'subnet'):
        cfg = Config.fromfile(configs / f'{name}.py')
        assert ('channels_last' in cfg.default_hooks) is cheap
        assert (cfg.optim_wrapper.type == 'Bfloat16OptimWrapper') is cheap
        loss = 'loss_decode' if head == 'decode_head' else 'loss_semantic'
        assert (cfg.model[head][loss].type == 'UpsampledCELoss') is cheap


@pytest.mark.parametrize(('device', 'cheap'), [('cpu', True), ('cuda', False)])
def test_steps_are_made_cheaper_on_a_cpu(device: str, cheap: bool, tmp_path: Path, data: SemanticData) -> None:
    plan = sizing.Plan(choose_geometry(data.sizes, device), SearchSpace(layers=4, base_channels=4), 4, 0.1)
    machine = replace(CPU, device=torch.device(device))
    configs = write_configs(tmp_path / device, data, plan, TINY, machine, BASES)
    check_steps(configs, 'decode_head', cheap)


@pytest.mark.slow
def test_the_configs_run_wherever_their_folder_is(tmp_path: Path, data: SemanticData) -> None:
    written(tmp_path / 'here', data)
    (tmp_path / 'here').rename(tmp_path / 'there')
    configs = tmp_path / 'there' / 'configs'
    speed = measure_speed(configs, torch.device('cpu'))
    assert min(speed.step, speed.calibration_image, speed.image) > 0
    for name, work_dir in (('supernet', 'supernet'), ('search', '.')):
        cfg = Config.fromfile(configs / f'{name}.py')
        for loader in (cfg.train_dataloader, cfg.val_dataloader):
            loader.update(num_workers=0, persistent_workers=False)
        cfg.work_dir = str(tmp_path / 'there' / work_dir)
        run(cfg, report=True)
    found = read_archive(tmp_path / 'there' / 'search' / 'archive.jsonl')
    assert len(found) == 6 and all(c.costs['latency_ms'] > 0 for c in found)
    assert f'search on {data.root.name}</h1>' in (tmp_path / 'there' / 'search' / 'report.html').read_text()
    exported = Config.fromfile(next((tmp_path / 'there' / 'search' / 'subnets').iterdir()) / 'config.py')
    use_scope(exported)
    assert len(DATASETS.build(exported.train_dataloader.dataset)) == 20


def test_images_of_many_sizes_run(tmp_path: Path) -> None:
    root = folder(tmp_path / 'data')
    pair(root, 'images/train/i5.jpg', 'labels/train/i5.png', hw=(96, 64))
    pair(root, 'images/train/i6.jpg', 'labels/train/i6.png', hw=(40, 40))
    configs = written(tmp_path / 'work', look_at_semantic(root, CLASSES))
    assert measure_speed(configs, torch.device('cpu')).step > 0


@pytest.mark.slow
def test_panoptic_configs_run(tmp_path: Path) -> None:
    pytest.importorskip('mmdet')
    data = look_at_panoptic(coco_panoptic(tmp_path / 'data'))
    configs = written(tmp_path / 'work', data, 'coco-panoptic')
    cfgs = {name: Config.fromfile(configs / f'{name}.py') for name in ('supernet', 'search', 'subnet')}
    use_scope(cfgs['supernet'])
    sets = {name: image_paths(DATASETS.build(cfg.train_dataloader.dataset)) for name, cfg in cfgs.items()}
    select = image_paths(DATASETS.build(cfgs['search'].val_dataloader.dataset))
    assert (
        sets['supernet'] == sets['search']
        and not sets['supernet'] & select
        and sets['supernet'] | select == sets['subnet']
    )
    assert cfgs['search'].train_cfg.objectives == ['PQ', 'latency_ms']
    assert measure_speed(configs, torch.device('cpu')).image > 0
    check_steps(configs, 'panoptic_head', cheap=True)
    plan = sizing.Plan(
        choose_geometry(data.sizes, 'cpu', 'coco-panoptic'), SearchSpace(layers=4, base_channels=4), 4, 0.1
    )
    gpu = write_configs(tmp_path / 'gpu', data, plan, TINY, replace(CPU, device=torch.device('cuda')), BASES)
    check_steps(gpu, 'panoptic_head', cheap=False)
    losses = [Config.fromfile(gpu / f'{name}.py').model.panoptic_head.loss_semantic for name in cfgs]
    assert all(loss.fraction == 1.0 and 'anneal_steps' not in loss for loss in losses), 'short: all pixels'
    long = write_configs(tmp_path / 'long', data, plan, replace(TINY, steps=40_000), CPU, BASES)
    loss = Config.fromfile(long / 'supernet.py').model.panoptic_head.loss_semantic
    assert loss.anneal_steps == 20_000 and loss.get('fraction', 0.2) == 0.2


@pytest.mark.slow
def test_a_panoptic_network_is_exported_at_the_size_it_is_measured_at(tmp_path: Path) -> None:
    pytest.importorskip('mmdet')
    data = look_at_panoptic(coco_panoptic(tmp_path / 'data', hw=(100, 160)))
    geometry = choose_geometry(data.sizes, 'cpu', 'coco-panoptic', (104, 104))
    plan = sizing.Plan(geometry, SearchSpace(layers=4, base_channels=2), 4, 0.1)
    configs = write_configs(tmp_path / 'work', data, plan, TINY, CPU, BASES)
    input_hw = tuple(Config.fromfile(configs / 'search.py').train_cfg.input_hw)
    cfg = Config.fromfile(configs / 'subnet.py')
    cfg.model = subnet_model_cfg(cfg.model, ARCH, 2)
    result = export_onnx(*save(cfg, tmp_path / 'network'), tmp_path / 'model.onnx', input_hw, ExportOptions(images=2))
    assert result.real_images == 2 and result.max_difference < 1e-3
    sample = open_dataset(cfg, 'val')[0]
    image, seen = image_of(sample), MODELS.build(cfg.model).data_preprocessor(pseudo_collate([sample]), False)['inputs']
    assert image.shape == (60, 96, 3) and tuple(seen.shape) == (1, 3, *input_hw) == (1, 3, 64, 96)
    net = OnnxNet(tmp_path / 'model.onnx', threads=1)
    assert fit(image, net.description) is image, 'no image of the usual size is distorted'
    assert np.allclose(net.prepare(image), seen.numpy(), atol=1e-5)
    turned = fit(np.rot90(image), net.description)
    assert turned.shape == (64, 40, 3), 'its ratio is kept'
    assert net(turned)['logits'].shape[2:] == (64, 40)


def test_a_folder_in_use_is_kept(tmp_path: Path, data: SemanticData) -> None:
    check_free(tmp_path, overwrite=False)
    written(tmp_path, data)
    with pytest.raises(FolderInUse, match='give --overwrite'):
        check_free(tmp_path, overwrite=False)
    check_free(tmp_path, overwrite=True)
    (tmp_path / 'supernet').mkdir()
    with pytest.raises(FolderInUse, match='holds results'):
        check_free(tmp_path, overwrite=True)


@pytest.mark.slow
def test_the_command(
    toy_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Toy streets have Cityscapes' layout, labels and nineteen classes, of which eleven occur."""
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    new_search = tool('new_search')
    argv = [
        '--data-root',
        str(toy_root),
        '--like',
        'cityscapes',
        '--device',
        'cpu',
        '--quick',
        '--target',
        'onnxruntime',
        '--precision',
        'int8',
        '--work-dir',
        str(tmp_path / 'work'),
    ]
    assert new_search.main(argv) == 0
    said = capsys.readouterr().out
    assert (
        '24 training and 8 validation images' in said
        and '19 classes' in said
        and '8 of 19 classes occur in none' in said
    )
    assert 'run_all.py' in said and 'supernet' in said
    assert 'latency table' in said and '24 networks' in said, 'the plan has the time that measuring the target takes'
    target = Config.fromfile(tmp_path / 'work' / 'configs' / 'search.py').train_cfg.target
    assert target == dict(runtime='onnxruntime', precision='int8', threads=1)
    assert new_search.main(argv) == 2
    assert (
        capsys.readouterr().err.startswith('error: ')
        and Config.fromfile(tmp_path / 'work' / 'configs' / 'search.py').train_cfg.generations == 2
    )
    for wrong, problem in (
        (['--device', 'tpu'], '--device tpu; expected'),
        (['--classes', 'a', 'b'], 'holds'),
        (['--target', 'ncnn', '--precision', 'int8'], "precision 'int8' of ncnn; expected one of fp32"),
        (['--device', 'cuda:0'], 'no such CUDA'),
    ):
        assert new_search.main([*argv[:2], '--work-dir', str(tmp_path / 'other'), *wrong]) == 2
        assert problem in capsys.readouterr().err
    with pytest.raises(SystemExit):
        new_search.main([*argv, '--hours', '0'])
    assert 'tool_new_search' not in sys.modules


@pytest.mark.slow
def test_short_hours_make_images_smaller(
    toy_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    new_search = tool('new_search')

    def measure(configs: Path, device: Any) -> Speed:
        height, width = Config.fromfile(configs / 'search.py').train_cfg.input_hw
        return Speed(step=2e-4 * height * width, calibration_image=1e-6, image=1e-6)

    monkeypatch.setattr('hyctas_mm.wizard.measure.measure_speed', measure)
    argv = [
        '--data-root',
        str(toy_root),
        '--like',
        'cityscapes',
        '--device',
        'cpu',
        '--hours',
        '0.1',
        '--work-dir',
        str(tmp_path / 'work'),
    ]
    assert new_search.main(argv) == 2 and 'a smaller --size' in capsys.readouterr().err, (
        'toy streets are too small to be made smaller'
    )
    monkeypatch.setattr('hyctas_mm.wizard.sizing.LEAST_SIDE', 32)
    assert new_search.main([*argv, '--overwrite']) == 0
    assert 'images are made smaller; for the size above give --hours' in capsys.readouterr().out
    before, after = (
        Sizes((64, 128), True).typical_hw,
        Config.fromfile(tmp_path / 'work' / 'configs' / 'search.py').train_cfg.input_hw,
    )
    assert 32 <= after[0] < before[0]
    assert new_search.main([*argv, '--overwrite', '--size', '64', '128']) == 2, 'a size that was asked for is kept'


@given(side=st.integers(32, 2000), excess=st.floats(1.3, 1000))
def test_smaller_images(side: int, excess: float) -> None:
    size = sizing.smaller(choose_geometry(Sizes((side, 2 * side), True), 'cpu'), excess)
    assert size is None or (side > size[0] >= sizing.LEAST_SIDE)
