from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hyctas_mm.costs.onnx_export import export_to_onnx
from hyctas_mm.models.layers import ConvBN, SlimBatchNorm2d, SlimConv2d
from hyctas_mm.models.ops import SelfAttention, attention, build_op
from hyctas_mm.models.ops.hrvit import MixedScales, StripedAttention
from hyctas_mm.registry import OPS

BN = dict(type='BN')
NAMES = sorted(n for n in OPS.module_dict if not n.startswith('my_'))


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('down', [False, True])
@pytest.mark.parametrize('size', [(8, 12), (9, 13), (1, 1)])
def test_sizes_and_channels(name: str, down: bool, size: tuple[int, int]) -> None:
    op = build_op(name, 6, 10, down, BN).eval()
    y = op(torch.randn(2, 6, *size))
    assert y.shape[:2] == (2, 10)
    for got, given in zip(y.shape[2:], size, strict=True):
        assert got in ({given // 2, -(-given // 2)} if down else {given})


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('down', [False, True])
@pytest.mark.parametrize('widths', [(4, 6), (6, 6), (8, 10)])
def test_a_slimmable_op_equals_the_op_of_its_active_widths(name: str, down: bool, widths: tuple[int, int]) -> None:
    slim = build_op(name, 8, 10, down, BN, slim=True).eval()
    slim.activate(*widths)
    plain = build_op(name, *widths, down, BN).eval()
    state = {}
    for key, _ in plain.named_modules():
        source = slim.get_submodule(key)
        own = source.active_state() if hasattr(source, 'active_state') else dict(source.named_parameters(recurse=False))
        state.update({f'{key}.{k}': v for k, v in own.items()})
    plain.load_state_dict(state)
    x = torch.randn(2, widths[0], 9, 7)
    torch.testing.assert_close(slim(x), plain(x))


@pytest.mark.slow
def test_every_op_is_in_onnx_for_any_size(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip('onnxruntime')
    torch.manual_seed(0)
    net = nn.Sequential(*(build_op(name, 6, 6, down, BN) for name in NAMES for down in (False, name == 'conv'))).eval()
    for name, parameter in net.named_parameters():
        if name.endswith(('gamma', 'norm.weight')):
            nn.init.constant_(parameter, 0.5)
    size = {2: torch.export.Dim('height', min=16), 3: torch.export.Dim('width', min=16)}
    export_to_onnx(net, torch.randn(1, 6, 24, 36), tmp_path / 'ops.onnx', ['map'], size)
    session = onnxruntime.InferenceSession(str(tmp_path / 'ops.onnx'))
    for hw in ((24, 36), (33, 17)):
        image = torch.randn(1, 6, *hw)
        with torch.no_grad():
            torch.testing.assert_close(
                torch.from_numpy(session.run(None, {'image': image.numpy()})[0]), net(image), rtol=1e-4, atol=1e-4
            )


def test_unknown_op_names_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r'lite_conv.*register_op'):
        build_op('nope', 1, 1, False, BN)


def test_attention_equals_its_definition() -> None:
    attention = SelfAttention(24).double()
    nn.init.constant_(attention.gamma, 0.7)
    x = torch.randn(2, 24, 5, 7, dtype=torch.double)
    q, k, v = (conv(x).flatten(2) for conv in (attention.query, attention.key, attention.value))
    weights = torch.softmax(q.transpose(1, 2) @ k, dim=-1)  # (B, N, N), rows sum to 1
    wanted = 0.7 * (v @ weights.transpose(1, 2)).reshape(x.shape) + x
    torch.testing.assert_close(attention(x), wanted)


def test_attention_stays_in_half_precision() -> None:
    attention, x = SelfAttention(16), torch.rand(1, 16, 4, 4)
    with torch.autocast('cpu', torch.bfloat16):
        assert attention(x.bfloat16()).dtype == torch.bfloat16
    assert attention(x).dtype == torch.float32


def test_attention_keeps_no_matrix_of_positions() -> None:
    """At 4096 positions that matrix alone would have 16.8 M elements; no tensor autograd saves comes near."""
    attention = SelfAttention(16)
    x = torch.randn(1, 16, 64, 64, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()) or t, lambda t: t):
        attention(x).sum().backward()
    assert max(saved) <= 16 * 4096


def test_what_is_wide_enough_is_not_copied() -> None:
    x = torch.randn(1, 1, 5, 16)
    assert attention._widen(x, 16) is x
    assert attention._widen(x, 24).shape == (1, 1, 5, 24)


def test_slim_convolution_of_concatenated_maps() -> None:
    conv = SlimConv2d(7, 5, 3, padding=1, bias=False)
    conv.activate([(2, 4), (3, 3)], 4)
    x = torch.randn(1, 5, 6, 6)
    weight = torch.cat([conv.weight[:4, :2], conv.weight[:4, 4:7]], dim=1)
    torch.testing.assert_close(conv(x), F.conv2d(x, weight, padding=1))
    with pytest.raises(ValueError, match='do not fill'):
        conv.activate([(2, 4), (2, 2)], 4)


def test_each_use_has_statistics_of_its_own() -> None:
    norm = SlimBatchNorm2d(4).train()
    norm.momentum = None
    norm.activate(3, slot=1)
    x = torch.randn(8, 3, 5, 5) * 3 + 2
    norm(x)
    torch.testing.assert_close(norm.running_mean[1, :3], x.mean((0, 2, 3)))
    assert norm.running_mean[0].abs().sum() == 0 and norm.running_mean[1, 3] == 0


def test_conv_bn_pads_to_keep_the_size() -> None:
    assert ConvBN(3, 4, 3, norm_cfg=BN)(torch.randn(2, 3, 5, 6)).shape == (2, 4, 5, 6)


@pytest.mark.parametrize(('name', 'expansion'), [('inverted_residual', 4), ('inverted_residual_6x', 6)])
def test_inverted_residual_has_the_parameters_of_its_three_convolutions(name: str, expansion: int) -> None:
    for inputs, outputs, down in ((8, 8, False), (6, 10, False), (6, 6, True)):
        op = build_op(name, inputs, outputs, down, BN).eval()
        hidden = expansion * inputs
        weights = inputs * hidden + 9 * hidden + hidden * outputs
        assert sum(p.numel() for p in op.parameters()) == weights + 2 * (2 * hidden + outputs)
        nn.init.zeros_(op.project.bn.weight)
        x = torch.randn(2, inputs, 6, 8)
        wanted = x if inputs == outputs and not down else torch.zeros_like(op(x))
        torch.testing.assert_close(op(x), wanted)


@pytest.mark.parametrize(('channels', 'wanted'), [(32, 10656), (64, 37696), (128, 140928), (256, 544000)])
def test_mixed_scales_have_hrvit_s_parameters(channels: int, wanted: int) -> None:
    """Those of the four branches of HRViT-b1."""
    assert sum(p.numel() for p in MixedScales(channels, 4).parameters()) == wanted


@pytest.mark.parametrize(('channels', 'wanted'), [(32, 3552), (64, 13248), (128, 51072), (256, 200448)])
def test_striped_attention_has_hrvit_s_parameters(channels: int, wanted: int) -> None:
    assert sum(p.numel() for p in StripedAttention(channels, 2, BN).parameters()) == wanted


@pytest.mark.parametrize('channels', [1, 10, 128])
def test_striped_attention_equals_its_definition(channels: int) -> None:
    """Stripe by stripe and head by head, the last stripe with the rows that are left."""
    attention = StripedAttention(channels, 2, BN).double().eval()
    nn.init.constant_(attention.norm.weight, 1.0)
    x = torch.randn(2, channels, 5, 7, dtype=torch.double)
    query, value = attention.query(x), attention.value(x)
    first = (channels + 1) // 2

    def attend(q: torch.Tensor, v: torch.Tensor) -> torch.Tensor:  # (B, C, H, W), stripes of two rows
        out = torch.empty_like(q)
        size = {1: 1, 5: 5, 64: 32}[q.shape[1]]  # of a head
        for top in range(0, q.shape[2], 2):
            for start in range(0, q.shape[1], size):
                part = (slice(None), slice(start, start + size), slice(top, top + 2))
                queries, values = (t[part].flatten(2) for t in (q, v))
                weights = torch.softmax(queries.transpose(1, 2) @ values / size**0.5, dim=-1)
                out[part] = (values @ weights.transpose(1, 2)).reshape(out[part].shape)
        return out

    parts = [attend(query[:, :first], value[:, :first])]
    if first < channels:
        parts.append(attend(*(t[:, first:].transpose(2, 3) for t in (query, value))).transpose(2, 3))
    wanted = attention.norm(attention.project(F.hardswish(torch.cat(parts, 1) + attention.local(F.hardswish(value)))))
    torch.testing.assert_close(attention(x), wanted)
