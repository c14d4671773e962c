"""Our networks compute what the published release computes, tensor by tensor."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.registry import MODELS
from torch import Tensor, nn

from hyctas_mm.models.decode_heads.aggregation import _fuse_up
from hyctas_mm.models.decode_heads.trunk import HyCTASHeadAttention, Trunk
from hyctas_mm.models.nodes import ChannelFusion
from hyctas_mm.models.ops import LiteConv2x, SelfAttention, build_op
from hyctas_mm.release.genotypes import ReleaseGenotype, read_release
from hyctas_mm.release.weights import (
    aliases,
    convert_fusion_name,
    convert_op_name,
    convert_trunk_name,
    from_release,
    release_name,
)
from tests.goldens import LOW_LEVELS, assert_golden, golden_file, load, tensors

BN = dict(type='BN')
OPS = dict(
    skip='conv_1x1',
    conv='conv',
    conv_downup='lite_conv',
    conv_2x='conv_2x',
    conv_2x_downup='lite_conv_2x',
    sa='attention',
)
HEADS = dict(semantic=dict(semantic=19), instance=dict(center=1, offset=2))


def units(*names: str) -> list[str]:
    """The tags of the golden units whose class or op is among ``names``."""
    _, meta = load('units.npz')
    return [tag for tag in meta if tag.split('/')[0] in names and 'align' not in tag]


def check_unit(tag: str, module: nn.Module, convert: Callable[[str], str], file: str = 'units.npz') -> None:
    state = tensors(file, f'{tag}/sd/')
    ours = {key: state.pop(convert(key)) for key in module.state_dict()}
    assert not state, f'{tag}: no use for {sorted(state)}'
    module.load_state_dict(ours)
    inputs = list(tensors(file, f'{tag}/in').values())
    with torch.no_grad():
        if isinstance(module, Trunk):
            stem4, stem8, x = inputs if len(inputs) == 3 else (inputs[0], inputs[0], inputs[0])
            outputs = list(module.eval()(x, stem4, stem8).values())
        else:
            outputs = [module.eval()(*inputs)]
    golden = tensors(file, f'{tag}/out')
    assert len(golden) == len(outputs)
    for (name, wanted), got in zip(golden.items(), outputs):
        assert_golden(got, wanted, f'{tag} output {name}')


@pytest.mark.parametrize('tag', units(*OPS))
def test_ops(tag: str) -> None:
    name, stride, _, channels = tag.split('/')
    op = OPS[name]
    down = stride == 's2' and name != 'skip'  # the release's skip keeps its stride whatever it is told
    check_unit(tag, build_op(op, *map(int, channels.split('-')), down, BN), lambda key: convert_op_name(op, key))


@pytest.mark.parametrize('corners', [0, 1])
def test_blocks_of_the_heads_with_and_without_aligned_corners(corners: int) -> None:
    attention = HyCTASHeadAttention(16, BN, align_corners=bool(corners))
    check_unit(f'SAHead/16/align{corners}', attention, lambda key: convert_op_name('attention', key))
    decoder = LiteConv2x(16, 24, False, BN, align_corners=bool(corners))
    check_unit(f'conv_2x_downup/align{corners}', decoder, lambda key: convert_op_name('lite_conv_2x', key))


def test_attention_and_fusion() -> None:
    attention = SelfAttention(24)
    check_unit('ATT/24', attention, lambda key: convert_op_name('attention', f'attend.{key}').removeprefix('net2.0.'))
    check_unit('FeatureFusion/40-24', ChannelFusion(40, 24, BN), convert_fusion_name)


@pytest.mark.parametrize('task', ['semantic', 'instance'])
@pytest.mark.parametrize('kind', ['Light', '1', '2'])
def test_heads(task: str, kind: str) -> None:
    low_level = dict(zip(('Light', '1', '2'), LOW_LEVELS))[kind]
    trunk = Trunk(24, (16, 20), HEADS[task], low_level, True, task=task, norm_cfg=BN)
    check_unit(f'HRT{"Sem" if task == "semantic" else "Ins"}Head{kind}/24', trunk, convert_trunk_name)


def test_a_head_above_256_channels_is_halved() -> None:
    trunk = Trunk(264, (16, 20), HEADS['semantic'], 'none', True, norm_cfg=BN)
    check_unit('HRTSemHeadLight/264', trunk, convert_trunk_name, 'head_wide.npz')


# Whole networks -------------------------------------------------------------------------------------------------------


def genotype_of(name: str, low_level: str) -> ReleaseGenotype:
    return read_release(json.loads(golden_file(f'shapes_{name}.json').read_text())['genotype'], low_level=low_level)


def network(genotype: ReleaseGenotype, base_channels: int, panoptic: bool, aux: bool) -> nn.Module:
    shared = dict(arch=genotype.arch.to_dict(), base_channels=base_channels)
    head = dict(aux_weight=0.2 if aux else 0, **shared)
    backbone = dict(type='HyCTASBackbone', outputs='branches', **shared)
    if panoptic:
        head.update(type='HyCTASPanopticHead', num_things_classes=8, num_stuff_classes=11, offset_scale='release')
        return MODELS.build(ConfigDict(type='PanopticDeepLab', backbone=backbone, panoptic_head=head))
    return MODELS.build(
        ConfigDict(
            type='EncoderDecoder', backbone=backbone, decode_head=dict(type='HyCTASHead', num_classes=19, **head)
        )
    )


@pytest.mark.parametrize('file', ['net_S_F4_mt0.npz', 'net_M_F4_mt1_panoptic.npz'])
def test_evaluation(file: str) -> None:
    arrays, meta = load(file)
    genotype = genotype_of(meta['genotype'], LOW_LEVELS[meta['model_type']])
    net = network(
        genotype, meta['Fch'], not meta['sem_only'], True
    ).eval()  # with what feeds auxiliary heads: the release always has it
    keys = [key for key in net.state_dict() if '_head.aux.' not in key]
    net.load_state_dict(from_release(tensors(file, 'sd/'), genotype, keys), strict=False)
    cells: dict[str, Tensor] = {}
    for name, op in net.backbone.cells.items():
        op.register_forward_hook(lambda _module, _inputs, output, name=name: cells.update({name: output}))
    image = torch.from_numpy(arrays['input'])
    with torch.no_grad():
        features = net.backbone(image)
        if meta['sem_only']:
            raw = dict(semantic=net.decode_head(features))
            final = {k: F.interpolate(v, size=image.shape[2:], mode='bilinear') for k, v in raw.items()}
            aggregation = net.decode_head.aggregation
        else:
            raw = net.panoptic_head(features)
            final = net.panoptic_head.upsample(raw, tuple(image.shape[2:]))._asdict()
            aggregation = net.panoptic_head.aggregation
        aggregation.training = True  # the module alone: its norms stay as they are
        fused = aggregation(features.branches)
    golden_cells = [key for key in arrays if key.startswith('cell/')]
    assert len(golden_cells) == len(cells)
    for key in golden_cells:
        assert_golden(cells[key.removeprefix('cell/').replace('-', '_')], arrays[key], key)
    assert_golden(features.stem4, arrays['backbone/s4'], 's4')
    assert_golden(features.stem8, arrays['backbone/s8'], 's8')
    for stride, tensor in zip((8, 16, 32), fused, strict=True):
        assert_golden(tensor, arrays[f'backbone/s{stride}_feat'], f's{stride}_feat')
    for name, tensor in raw.items():
        assert_golden(tensor, arrays[f'head/{name}'], f'head/{name}')
        assert_golden(final[name], arrays[f'out/{name}'], f'out/{name}')


TRAINING = 'train_M_F2_mt1_panoptic_aux.npz'


@pytest.fixture(scope='module')
def trained() -> tuple[nn.Module, ReleaseGenotype, dict[str, dict[str, Tensor]], dict[str, Tensor]]:
    """The network after one forward and backward pass in double precision, its raw maps and its losses."""
    arrays, meta = load(TRAINING)
    genotype = genotype_of(meta['genotype'], LOW_LEVELS[meta['model_type']])
    net = network(genotype, meta['Fch'], True, True).train().double()
    net.load_state_dict(from_release(tensors(TRAINING, 'sd/'), genotype, net.state_dict()))
    maps: dict[str, dict[str, Tensor]] = {}
    predict = net.panoptic_head.predict_maps
    net.panoptic_head.predict_maps = lambda features: maps.setdefault('all', predict(features))
    losses = net.loss(torch.from_numpy(arrays['input']).double(), samples(tensors(TRAINING, 'target/')))
    sum(losses.values()).backward()
    return net, genotype, maps['all'], losses


def samples(target: dict[str, Tensor]) -> list[Any]:
    from mmdet.structures import DetDataSample
    from mmengine.structures import PixelData

    out = []
    for i in range(4):
        sample = DetDataSample()
        sample.gt_sem_seg = PixelData(sem_seg=target['semantic'][i : i + 1])
        sample.gt_panoptic_maps = PixelData(
            center=target['center'][i],
            offset=target['offset'][i],
            center_weight=target['center_weights'][i : i + 1],
            offset_weight=target['offset_weights'][i : i + 1],
            semantic_weight=target['semantic_weights'][i : i + 1],
        )
        out.append(sample)
    return out


def totals(losses: dict[str, Tensor]) -> dict[str, float]:
    """The release's losses: each with its auxiliary ones."""
    out = {
        name: sum(v for key, v in losses.items() if key.endswith(name)).item()
        for name in ('semantic', 'center', 'offset')
    }
    return out | dict(total=sum(out.values()))


def test_losses_of_training(trained: Any) -> None:
    arrays, _ = load(TRAINING)
    for name, value in totals(trained[3]).items():
        assert value == pytest.approx(float(arrays[f'loss/{name}']), rel=1e-5)


def test_losses_without_weights_of_small_instances(trained: Any) -> None:
    arrays, _ = load(TRAINING)
    net, _, maps, _ = trained
    target = tensors(TRAINING, 'target/')
    target['semantic_weights'] = torch.ones_like(target['semantic_weights'])
    net.panoptic_head.predict_maps = lambda features: maps
    for name, value in totals(net.panoptic_head.loss(None, samples(target))).items():
        assert value == pytest.approx(float(arrays[f'loss_noweights/{name}']), rel=1e-5)


def test_the_bug_of_the_centre_loss_is_understood(trained: Any) -> None:
    """Targets without the channel dimension broadcast: every prediction against the targets of the whole batch."""
    arrays, _ = load(TRAINING)
    net, _, maps, _ = trained
    target, value = tensors(TRAINING, 'target/'), 0.0
    for name, raw in maps.items():
        prediction = net.panoptic_head.upsample(raw, (64, 128)).center
        errors = (prediction - target['center'].squeeze(1)).square()  # (B, 1, H, W) - (B, H, W) -> (B, B, H, W)
        weight = target['center_weights'][:, None]  # that of the predicted image
        value += 200 * (1 if name == 'main' else 0.2) * ((errors * weight).sum() / weight.sum()).item()
    assert value == pytest.approx(float(arrays['loss_center_bhw/center']), rel=1e-5)


def test_maps_of_training(trained: Any) -> None:
    arrays, _ = load(TRAINING)
    seen = 0
    for name, raw in trained[2].items():
        suffix = '' if name == 'main' else f'_{name}'
        for key, tensor in (
            (f'sem_head{suffix}/0', 'semantic'),
            (f'ins_head{suffix}/0', 'center'),
            (f'ins_head{suffix}/1', 'offset'),
        ):
            assert_golden(raw[tensor].float(), arrays[f'head/{key}'], key)
            seen += 1
    assert seen == 9


def test_gradients_of_training(trained: Any) -> None:
    arrays, meta = load(TRAINING)
    net, genotype, *_ = trained
    squares, compared = 0.0, 0
    for key, parameter in net.named_parameters():
        name = release_name(key, genotype)
        total, norm = arrays[f'grad/{name}']
        squares += parameter.grad.norm().item() ** 2
        if name in meta['negligible_grad']:
            continue
        compared += 1
        assert parameter.grad.norm().item() == pytest.approx(norm, rel=1e-3), name
        assert abs(parameter.grad.sum().item() - total) <= 1e-3 * max(norm, abs(total)), name
    assert compared > 150
    assert squares**0.5 == pytest.approx(meta['grad_total_norm'], rel=1e-3)


def test_batch_norm_statistics_after_a_training_step(trained: Any) -> None:
    arrays, _ = load(TRAINING)
    net, genotype, *_ = trained
    running = {key: value for key, value in net.state_dict().items() if 'running' in key}
    assert len(running) > 100
    for key, value in running.items():
        name = release_name(key, genotype)
        assert_golden(value.float(), arrays[f'after/{name}'], name)


# Names and shapes of every variant ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize('name', ['S', 'M', 'L'])
def test_every_tensor_of_every_variant_has_its_place(name: str) -> None:
    data = json.loads(golden_file(f'shapes_{name}.json').read_text())
    for variant, content in data['variants'].items():
        genotype = genotype_of(name, LOW_LEVELS[int(variant[2])])
        panoptic, aux = 'panoptic' in variant, 'aux' in variant
        with torch.device('meta'):
            net = network(genotype, data['Fch'], panoptic, aux)
        released = data['backbone'] | content['heads']
        ours = {release_name(key, genotype): list(tensor.shape) for key, tensor in net.state_dict().items()}
        assert {key: shape for key, shape in released.items() if key in ours} == ours
        rest = [key for key in released if key not in ours]
        shared = tuple(aliases(genotype))
        unused = ('backbone.ffm16.', 'backbone.ffm32.')
        assert all(key.startswith(shared) or (not aux and key.startswith(unused)) for key in rest)
        params = sum(p.numel() for p in net.parameters())
        if aux:
            assert params == content['params']


@pytest.mark.parametrize('order', [(2, 0, 1), (1, 2, 0), (2, 1, 0)])
def test_branches_in_the_order_of_the_release(order: tuple[int, ...]) -> None:
    """The release concatenates its branches as its JSON lists them; ours are sorted by stride."""
    genotype = genotype_of('L', 'none')
    net = network(genotype, 2, False, True).eval()
    aggregation = net.decode_head.aggregation
    maps = net.backbone(torch.randn(2, 3, 64, 64)).branches
    fine = _fuse_up(aggregation.strides, maps, lambda name: aggregation.nodes[name])
    coarse = [m[1] for m in maps if len(m) > 1]
    shuffled = ReleaseGenotype(genotype.arch, order)
    for fusion, inputs, members in ((aggregation.fuse8, fine, [0, 1, 2]), (aggregation.fuse16, coarse, [1, 2])):
        theirs = torch.randn_like(fusion.mix.conv.weight)
        release_order = [members.index(b) for b in order if b in members]
        wanted = F.conv2d(torch.cat([inputs[i] for i in release_order], 1), theirs)
        key = f'decode_head.aggregation.{"fuse8" if fusion is aggregation.fuse8 else "fuse16"}.mix.conv.weight'
        converted = from_release({release_name(key, shuffled): theirs}, shuffled, [key])[key]
        torch.testing.assert_close(F.conv2d(torch.cat(inputs, 1), converted), wanted)
        assert not np.array_equal(converted.detach(), theirs.detach()) or release_order == sorted(release_order)


def test_counts_of_the_panoptic_network() -> None:
    from hyctas_mm.costs import count_macs, count_params

    key = next(key for key in json.loads(golden_file('parity.json').read_text())['nets'] if 'panoptic' in key)
    wanted = json.loads(golden_file('parity.json').read_text())['nets'][key]
    name, base, low_level = key[0], int(key.split()[1][1:]), LOW_LEVELS[int(key.split('mt')[1][0])]
    with torch.device('meta'):
        net = network(genotype_of(name, low_level), base, True, False).eval()
    unused = wanted['unused_at_inference_ffm16_ffm32']
    macs = count_macs(net, (1, 3, 1024, 2048))
    assert count_params(net) == wanted['params'] - unused['params']
    assert round(macs.convs / 1e9, 3) == pytest.approx(wanted['conv_G'] - unused['conv_G'], abs=1.1e-3)
    assert round(macs.attention / 1e9, 3) == wanted['attn_G']
