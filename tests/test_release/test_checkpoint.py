"""Checkpoints of the release, made from our own networks under the release's names."""

from __future__ import annotations

import importlib.util
import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import Tensor

from hyctas_mm.archs import ArchitectureError, SearchSpace, load_arch
from hyctas_mm.release.checkpoint import convert_state, model_cfg, read_release_checkpoint, write_converted
from hyctas_mm.release.genotypes import RELEASE_OPS, ReleaseGenotype, read_release
from hyctas_mm.release.network import ReleaseCheckpointError, ReleaseNetwork, infer_network
from hyctas_mm.release.weights import aliases, release_name
from tests.conftest import ROOT, run_script
from tests.goldens import LOW_LEVELS, tensors
from tests.release_genotypes import write_release
from tests.tiny_jobs import config, run

SPACE = SearchSpace(
    layers=7, ops=[*RELEASE_OPS[1:], 'skip'], stem_widths=(8, 12), head_widths=(6, 12), low_levels=LOW_LEVELS
)


def released(network: ReleaseNetwork, seed: int = 0) -> tuple[dict[str, Tensor], torch.nn.Module]:
    """A state dict as the release would have written it, and our network with those weights; 19 classes of things
    first.
    """
    torch.manual_seed(seed)
    net = MODELS.build(model_cfg(network)).eval()
    state = {release_name(key, network.genotype): tensor.clone() for key, tensor in net.state_dict().items()}
    for alias, original in aliases(network.genotype).items():
        state |= {alias + key[len(original) :]: tensor for key, tensor in state.items() if key.startswith(original)}
    return state, net


def small(name: str = 's', base: int = 2, **settings: Any) -> ReleaseNetwork:
    arch = load_arch(load_arch(f'hyctas-{name}').to_dict() | settings)
    return ReleaseNetwork(ReleaseGenotype(arch, tuple(range(len(arch.branches)))), base, 19, False, True)


@pytest.mark.parametrize('seed', range(12))
def test_settings_are_read_off_the_shapes(seed: int) -> None:
    arch = SPACE.sample(np.random.default_rng(seed))
    order = tuple(np.random.default_rng(seed).permutation(len(arch.branches)).tolist())
    network = ReleaseNetwork(ReleaseGenotype(arch, order), 3 + seed % 4, 5 + seed, False, seed % 2 == 0)
    state, _ = released(network)
    inferred = infer_network(state, write_release(arch, order))
    # other settings may give the same shapes; those are the same network
    with torch.device('meta'):
        shapes = [{k: v.shape for k, v in MODELS.build(model_cfg(n)).state_dict().items()} for n in (network, inferred)]
    assert shapes[0] == shapes[1]
    assert (inferred.num_classes, inferred.auxiliary, inferred.panoptic) == (5 + seed, seed % 2 == 0, False)
    assert inferred.genotype.order == order and inferred.genotype.arch.low_level == arch.low_level


def test_a_golden_checkpoint_computes_the_golden_logits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the files, as a user does: the training golden without its panoptic heads."""
    state = {k: v for k, v in tensors('train_M_F2_mt1_panoptic_aux.npz', 'sd/').items() if not k.startswith('ins_head')}
    torch.save(dict(epoch=3, state_dict={f'module.{k}': v for k, v in state.items()}), tmp_path / 'src.pth')
    (tmp_path / 'm.json').write_text(json.dumps(write_release(load_arch('hyctas-m'))))
    files = (tmp_path / 'src.pth', tmp_path / 'out' / 'm.pth', '--genotype', tmp_path / 'm.json')
    assert run_script(monkeypatch, 'tools/model_converters/hyctas2mmseg.py', *files) == 0
    assert 'base channels 2, 19 classes, semantic head, auxiliary heads' in capsys.readouterr().out
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == ['m.pth', 'm.py']
    cfg = Config.fromfile(tmp_path / 'out' / 'm.py')
    net = MODELS.build(cfg.model)
    net.load_state_dict(torch.load(tmp_path / 'out' / 'm.pth', weights_only=True)['state_dict'])
    golden = tensors('train_M_F2_mt1_panoptic_aux.npz', 'head/')
    image = tensors('train_M_F2_mt1_panoptic_aux.npz', 'input')['']
    maps = net.train().decode_head.predict_maps(net.backbone(image))
    for name, key in (('main', 'sem_head/0'), ('aux16', 'sem_head_aux16/0'), ('aux32', 'sem_head_aux32/0')):
        torch.testing.assert_close(
            maps[name]['semantic'], golden[key], rtol=0, atol=1e-3 * golden[key].abs().max().item()
        )
    assert cfg.test_dataloader and cfg.train_cfg and cfg.custom_imports.imports == ['hyctas_mm.register']


def test_every_source_tensor_is_used_or_listed() -> None:
    network = small('l')
    state, net = released(network)
    keys = set(net.state_dict())
    ours, unused = convert_state(state, network, model_cfg(network))
    assert set(ours) == keys and len(ours) + len(unused) == len(state)
    assert all('branches share the cell' in reason for reason in unused.values()) and len(unused) > 50
    for key, tensor in net.state_dict().items():
        torch.testing.assert_close(ours[key], tensor)


def test_fusions_of_absent_auxiliary_heads_are_listed() -> None:
    state, _ = released(small())
    without = {k: v for k, v in state.items() if not k.startswith('sem_head_aux')}
    network = infer_network(without, write_release(load_arch('hyctas-s')))
    assert not network.auxiliary
    _, unused = convert_state(without, network, model_cfg(network))
    assert unused and all(
        k.startswith(('backbone.ffm16.', 'backbone.ffm32.')) and 'auxiliary' in why for k, why in unused.items()
    )


def test_panoptic_classes_with_instances_come_first() -> None:
    pytest.importorskip('mmdet')
    network = ReleaseNetwork(small().genotype, 2, 19, True, False)
    state, _ = released(network)
    bias = torch.arange(19.0)
    state['sem_head.predictor.bias'] = bias
    ours, _ = convert_state(state, network, model_cfg(network))
    assert ours['panoptic_head.trunk.semantic.towers.semantic.predict.bias'].tolist() == [*range(11, 19), *range(11)]
    weights = state['sem_head.predictor.weight']
    torch.testing.assert_close(ours['panoptic_head.trunk.semantic.towers.semantic.predict.weight'][:8], weights[11:])
    five = ReleaseNetwork(network.genotype, 2, 5, True, False)
    with pytest.raises(ReleaseCheckpointError, match=r'5 panoptic classes.*--num-things'):
        model_cfg(five)
    assert model_cfg(five, num_things=2).panoptic_head.num_stuff_classes == 3
    for wrong in (-3, 6):
        with pytest.raises(ReleaseCheckpointError, match=f'num_things={wrong}; expected 0..5'):
            model_cfg(five, num_things=wrong)


def test_the_config_is_what_the_release_trains_with() -> None:
    network = small(base=3)
    pixels = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)
    cfg = model_cfg(network)
    assert cfg.data_preprocessor == dict(type='LeanSegDataPreProcessor', pad_val=0, seg_pad_val=255, **pixels)
    shared = dict(arch=network.genotype.arch.to_dict(), base_channels=3, norm_cfg=dict(type='BN'))
    assert cfg.backbone == dict(type='HyCTASBackbone', outputs='branches', **shared)
    loss = dict(type='HardestPixelsCELoss', fraction=0.2)
    head = dict(type='HyCTASHead', num_classes=19, loss_decode=loss, aux_weight=0.2, align_corners=False, **shared)
    assert cfg.decode_head == head
    panoptic = model_cfg(ReleaseNetwork(network.genotype, 3, 133, True, False), align_corners=True)
    assert panoptic.data_preprocessor == dict(type='mmdet.DetDataPreprocessor', pad_size_divisor=32, **pixels)
    expected = dict(
        aux_weight=0,
        align_corners=True,
        loss_semantic=loss,
        offset_scale='release',
        num_things_classes=80,
        num_stuff_classes=53,
    )
    assert {key: panoptic.panoptic_head[key] for key in expected} == expected


def test_a_converted_network_trains(tmp_path: Path, toy_root: Path) -> None:
    """On the data of the config it takes after, here toy streets."""
    base = config('subnet', toy_root, tmp_path / 'work')
    network = ReleaseNetwork(small().genotype, 2, base.model.decode_head.num_classes, False, True)
    state, _ = released(network)
    write_converted(state, network, base, tmp_path / 'net.pth', 'src.pth')
    cfg = Config.fromfile(tmp_path / 'net.py')
    cfg.load_from = str(tmp_path / 'net.pth')
    runner = run(cfg)
    assert runner.iter == 4 and 0 <= runner.test()['mIoU'] <= 100
    assert base.model.decode_head.base_channels != 2, 'the config given is left as it is'


# Bad input ------------------------------------------------------------------------------------------------------------


def refused(state: dict[str, Tensor], genotype: Any, folder: Path, match: str) -> None:
    with pytest.raises((ReleaseCheckpointError, ArchitectureError), match=match):
        network = infer_network(state, genotype, 'src.pth')
        write_converted(
            state, network, Config.fromfile(ROOT / 'configs' / 'default_runtime.py'), folder / 'dst.pth', 'src.pth'
        )
    assert not list(folder.iterdir())


def test_missing_extra_and_misshapen_tensors_are_named(tmp_path: Path) -> None:
    state, _ = released(small())
    genotype = write_release(load_arch('hyctas-s'))
    cell = 'backbone.cells.3-0._op._op.0.downsample.norm.bias'
    cell = cell if cell in state else next(k for k in state if 'cells.3-0' in k and k.endswith('norm.bias'))
    refused({k: v for k, v in state.items() if k != cell}, genotype, tmp_path, rf'src.pth: {cell} .*is missing')
    refused(
        state | {'backbone.cells.99-0.x': torch.zeros(1)},
        genotype,
        tmp_path,
        'backbone.cells.99-0.x belongs to nothing',
    )
    refused(state | {cell: torch.zeros(3)}, genotype, tmp_path, r'1 tensors differ in shape.*\(3,\) there')
    refused(
        {k: v for k, v in state.items() if 'stem' not in k},
        genotype,
        tmp_path,
        'has no convolution backbone.stem1.0.weight',
    )
    refused(
        state | {'sem_head.predictor.weight': torch.tensor(1.0)},
        genotype,
        tmp_path,
        'has no convolution sem_head.predictor.weight',
    )


def test_missing_copies_of_shared_cells_are_named(tmp_path: Path) -> None:
    state, _ = released(small('l'))
    genotype = write_release(load_arch('hyctas-l'))
    copy = 'backbone.cells.0-1._op._op.0.conv.weight'
    refused({k: v for k, v in state.items() if k != copy}, genotype, tmp_path, rf'{copy} is missing, one of 1 tensors')
    refused(
        {k: v for k, v in state.items() if 'cells.0-1.' not in k}, genotype, tmp_path, 'cells.0-1.*one of 6 tensors'
    )


def test_destinations_that_cannot_be(tmp_path: Path) -> None:
    network = small()
    state, _ = released(network)
    base = Config.fromfile(ROOT / 'configs' / 'default_runtime.py')
    source = tmp_path / 'src.pth'
    torch.save(state, source)
    before = source.read_bytes()
    with pytest.raises(ReleaseCheckpointError, match='is the checkpoint itself'):
        write_converted(state, network, base, tmp_path / '.' / 'src.pth', str(source))
    with pytest.raises(ReleaseCheckpointError, match=r'ends in \.pth'):
        write_converted(state, network, base, tmp_path / 'dst.pt', str(source))
    (tmp_path / 'dst.py').mkdir()
    with pytest.raises(OSError):
        write_converted(state, network, base, tmp_path / 'dst.pth', str(source))
    assert source.read_bytes() == before and {p.name for p in tmp_path.iterdir()} == {'src.pth', 'dst.py'}


def test_the_genotype_of_another_network_is_refused(tmp_path: Path) -> None:
    state, _ = released(small('s'))
    refused(state, write_release(load_arch('hyctas-m')), tmp_path, r'not of this genotype, \d+ cells differ: .*cells')
    refused(state, write_release(load_arch('hyctas-l')), tmp_path, 'not of this genotype.*3 branches')
    wrong = write_release(load_arch('hyctas-s'))
    wrong['paths'][0][1] = 1
    refused(state, wrong, tmp_path, 'do not match its paths')


def test_shared_cells_that_differ_are_refused(tmp_path: Path) -> None:
    state, _ = released(small('l'))
    state['backbone.cells.0-1._op._op.0.conv.weight'] = state['backbone.cells.0-1._op._op.0.conv.weight'] + 1
    refused(state, write_release(load_arch('hyctas-l')), tmp_path, 'cells.0-1.* differs from backbone.cells.0-0')


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('kept', [0, 3, 100, 5000, 0.5, 0.99])
def test_a_truncated_checkpoint(tmp_path: Path, zipped: bool, kept: float) -> None:
    torch.save(released(small())[0], tmp_path / 'cut.pth', _use_new_zipfile_serialization=zipped)
    content = (tmp_path / 'cut.pth').read_bytes()
    (tmp_path / 'cut.pth').write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(ReleaseCheckpointError, match='cannot be read as a checkpoint .*is it complete'):
        read_release_checkpoint(tmp_path / 'cut.pth')


def test_what_training_code_puts_beside_the_weights(tmp_path: Path) -> None:
    weights = dict(weight=torch.zeros(2))
    torch.save(
        dict(model=weights, epoch=3, best_miou=np.float64(71.5), optimizer=dict(state={})), tmp_path / 'usual.pth'
    )
    assert read_release_checkpoint(tmp_path / 'usual.pth').keys() == weights.keys()
    torch.save(dict(state_dict=weights, args=Namespace(lr=0.1)), tmp_path / 'foreign.pth')
    with pytest.raises(ReleaseCheckpointError, match=r'an object of argparse\.Namespace.*save its state_dict alone'):
        read_release_checkpoint(tmp_path / 'foreign.pth')


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    (tmp_path / 'text.pth').write_text('no checkpoint')
    torch.save(dict(a=1), tmp_path / 'other.pth')
    torch.save({1: torch.zeros(1)}, tmp_path / 'numbers.pth')
    for name, message in (
        ('text', 'is it complete'),
        ('other', 'expected tensors by name'),
        ('numbers', 'expected tensors by name'),
    ):
        with pytest.raises(ReleaseCheckpointError, match=message):
            read_release_checkpoint(tmp_path / f'{name}.pth')
    with pytest.raises(FileNotFoundError):
        read_release_checkpoint(tmp_path / 'nope.pth')


def test_the_command_leaves_nothing_behind_after_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(released(small())[0], tmp_path / 'src.pth')
    (tmp_path / 'm.json').write_text(json.dumps(write_release(load_arch('hyctas-m'))))
    (tmp_path / 'bad.json').write_text('{')
    spec = importlib.util.spec_from_file_location(
        'hyctas2mmseg', ROOT / 'tools' / 'model_converters' / 'hyctas2mmseg.py'
    )
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for name, message in (
        ('m.json', 'not of this genotype'),
        ('bad.json', 'not a JSON file'),
        ('none.json', 'No such file'),
    ):
        assert (
            tool.main(
                [str(tmp_path / 'src.pth'), str(tmp_path / 'out' / 'dst.pth'), '--genotype', str(tmp_path / name)]
            )
            == 2
        )
        said = capsys.readouterr().err
        assert said.startswith('error: ') and message in said
    assert not (tmp_path / 'out').exists()


def test_reading_back_a_genotype_with_other_settings() -> None:
    genotype = write_release(load_arch('hyctas-m'))
    assert read_release(genotype, low_level='s4').arch == load_arch('hyctas-m')
