"""Which parts of a network 8 bits do harm to."""

from __future__ import annotations

import torch
from torch import nn

from hyctas_mm.archs import Architecture
from hyctas_mm.engine.int8_parts import changed_pixels
from hyctas_mm.engine.scoring import recalibrate_bn
from hyctas_mm.models.subnet import subnet_model_cfg
from hyctas_mm.registry import MODELS
from tests.conftest import supernet_cfg
from tests.tiny_jobs import SPACE

ARCH = Architecture.from_dict(
    dict(
        format='hyctas_mm/arch-1',
        branches=[[dict(op='lite_conv', width=4), dict(op='attention', width=4)]],
        stem_width=6,
        head_width=6,
        low_level='none',
        gates=[],
    )
)


def test_the_part_that_8_bits_suit_badly_is_found() -> None:
    """One op has huge weights for a channel that is always 0, beside which its others round to nothing."""
    torch.manual_seed(0)
    network = MODELS.build(subnet_model_cfg(supernet_cfg(SPACE, num_classes=5), ARCH)).eval()
    images = [torch.randint(0, 256, (3, 128, 128)).byte() for _ in range(2)]
    batches = [dict(inputs=inputs, data_samples=None) for inputs in (images, [images[0][:, :64, :64]])]
    predictor = next(m for m in network.decode_head.modules() if isinstance(m, nn.Conv2d) and m.out_channels == 5)
    recalibrate_bn(network, batches[:1])
    with torch.no_grad():  # so that every class is somewhere the highest
        predictor.weight.mul_(100.0)
        logits = network(network.data_preprocessor(batches[0])['inputs'], mode='tensor')
        predictor.bias -= logits.mean((0, 2, 3))
    before = changed_pixels(network, batches)
    assert set(before) == {'all', 'lite_conv', 'attention', 'stem', 'head'}
    with torch.no_grad():
        stem = network.backbone.stem.conv8[-1].bn
        stem.weight[0] = stem.bias[0] = 0.0
        (cell,) = (cell for cell in network.backbone.cells.values() if type(cell).__name__ == 'LiteConv')
        for conv in (cell.zoomed[0].conv, cell.bypass.conv):
            conv.weight[:, 0] = 1e4
    found = changed_pixels(network, batches)
    assert found['all'] > 2 * before['all'] + 0.05
    assert found['lite_conv'] < 0.5 * found['all'] < min(found[part] for part in ('attention', 'stem', 'head'))
