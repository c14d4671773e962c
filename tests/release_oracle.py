"""The release's network written down once more, plainly, from the facts of it: an oracle for configurations that no
golden file covers.

It works on the release's state dict and genotype alone and shares no code with ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Oracle:
    """One network of the release.

    Attributes:
        state: Its tensors.
        genotype: Its JSON.
        model_type: 0, 1 or 2.
        align_corners: Of heads, aggregation and upsampling; cells never align.
        training: Whether batch norm uses the batch.
        panoptic: Whether there are instance heads.
        auxiliary: Whether there are auxiliary heads, computed in training.
    """

    state: Mapping[str, Tensor]
    genotype: Mapping[str, Any]
    model_type: int
    align_corners: bool
    training: bool
    panoptic: bool
    auxiliary: bool

    # Units ------------------------------------------------------------------------------------------------------------

    def norm(self, name: str, x: Tensor) -> Tensor:
        mean, var = (
            (None, None) if self.training else (self.state[f'{name}.running_mean'], self.state[f'{name}.running_var'])
        )
        return F.batch_norm(
            x, mean, var, self.state[f'{name}.weight'], self.state[f'{name}.bias'], self.training, 0.1, 1e-5
        )

    def conv(self, name: str, x: Tensor, stride: int = 1, relu: bool = True) -> Tensor:
        weight = self.state[f'{name}.weight']
        y = self.norm(f'{name}.norm', F.conv2d(x, weight, None, stride, weight.shape[2] // 2))
        return y.relu() if relu else y

    def biased(self, name: str, x: Tensor) -> Tensor:
        return F.conv2d(x, self.state[f'{name}.weight'], self.state[f'{name}.bias'])

    def resize(self, x: Tensor, size: Any, head: bool = True) -> Tensor:
        return F.interpolate(x, size=tuple(size), mode='bilinear', align_corners=self.align_corners and head)

    def attention(self, name: str, x: Tensor) -> Tensor:
        query, key, value = (self.biased(f'{name}.{n}_conv', x).flatten(2) for n in ('query', 'key', 'value'))
        weights = torch.einsum('bci,bcj->bij', query, key).softmax(-1)
        return self.state[f'{name}.gamma'] * torch.einsum('bij,bcj->bci', weights, value).view_as(x) + x

    def downup(self, name: str, x: Tensor, twice: bool, stride: int = 1, head: bool = True) -> Tensor:
        z = self.resize(x, (x.shape[2] // 2, x.shape[3] // 2), head)
        z = (
            self.conv(f'{name}.conv2', self.conv(f'{name}.conv1', z), relu=False)
            if twice
            else self.conv(f'{name}.conv', z, relu=False)
        )
        if stride == 2:
            return z.relu()
        return (self.resize(z, x.shape[2:], head) + self.conv(f'{name}.downsample', x, relu=False)).relu()

    def fusion(self, name: str, maps: list[Tensor]) -> Tensor:
        y = self.conv(f'{name}.conv_1x1', torch.cat(maps, 1))
        gate = self.conv(f'{name}.channel_attention.1', y.mean((2, 3), keepdim=True))
        return y + y * self.conv(f'{name}.channel_attention.2', gate, relu=False).sigmoid()

    # Parts ------------------------------------------------------------------------------------------------------------

    def cell(self, name: str, op: int, x: Tensor, stride: int) -> Tensor:
        if op == 0:
            return self.conv(f'{name}._op._op.conv1', x)
        name = f'{name}._op._op.0'
        if op == 1:
            return self.conv(f'{name}.conv', x, stride)
        if op in (2, 3):
            return self.downup(name, x, op == 3, stride, head=False)
        y = self.attention(f'{name}.net2.0', self.conv(f'{name}.net1', x))
        y = F.avg_pool2d(y, 2) if stride == 2 else y
        y = self.conv(f'{name}.net3', self.norm(f'{name}.net2.2', y).relu(), relu=False)
        return (y + (self.conv(f'{name}.shortcut', x, stride) if f'{name}.shortcut.weight' in self.state else x)).relu()

    def branch(self, index: int, stem: Tensor) -> dict[int, Tensor]:
        """The last map at each scale index."""
        ops, downs, paths = (self.genotype[key][index] for key in ('ops', 'downs', 'paths'))
        maps, x = {0: stem}, stem
        for layer, (op, down, path) in enumerate(zip(ops, downs, paths)):
            x = self.cell(f'backbone.cells.{layer}-{index}', op, x, 1 + down)
            maps[path + down] = x
        return maps

    def merge(self, arm: str, refine: str, coarse: Tensor, fine: Tensor) -> Tensor:
        up = self.resize(self.conv(f'backbone.{arm}', coarse, relu=False), fine.shape[2:])
        return self.conv(f'backbone.{refine}', torch.cat([up, fine], 1), relu=False)

    def head(self, name: str, x: Tensor, stem4: Tensor, stem8: Tensor, model_type: int) -> list[Tensor]:
        y = self.conv(f'{name}.att_sa.net1', x)
        y = self.attention(f'{name}.att_sa.net2.0', self.resize(y, (y.shape[2] // 2, y.shape[3] // 2)))
        y = self.norm(f'{name}.att_sa.net2.2', y).relu()
        y = self.resize(y, (2 * y.shape[2], 2 * y.shape[3]))
        x = (self.conv(f'{name}.att_sa.net3', y, relu=False) + x).relu()
        if model_type == 2:
            x = torch.cat([x, self.conv(f'{name}.feature_projection_s8', stem8, relu=False)], 1)
            x = self.downup(f'{name}.decoder', x, True)
        if model_type:
            low = self.conv(f'{name}.feature_projection_s4', stem4, relu=False)
            x = torch.cat([self.resize(x, low.shape[2:]), low], 1)
        towers = [(f'{t}_head', f'{t}_conv', f'{t}_predictor') for t in ('center', 'offset')]
        towers = [('seg_head', 'seg_conv', 'predictor')] if 'sem' in name else towers
        return [
            self.biased(f'{name}.{p}', self.conv(f'{name}.{c}', self.downup(f'{name}.{d}', x, True)))
            for d, c, p in towers
        ]

    def __call__(self, image: Tensor) -> dict[tuple[str, str], Tensor]:
        """Every prediction at its own size by head (``main``, ``aux16``, ``aux32``) and name."""
        stem4 = self.conv('backbone.stem1.0', image, 2, relu=False)
        stem4 = self.conv('backbone.stem1.1.conv2', self.conv('backbone.stem1.1.conv1', stem4, 2))
        stem8 = self.conv('backbone.stem2.conv2', self.conv('backbone.stem2.conv1', stem4, 2))
        at8, at16, at32 = [], [], []
        for index, last in enumerate(self.genotype['lasts']):
            maps = self.branch(index, stem8)
            if last == 2:
                up = self.merge('arms32.0', 'refines32.0', maps[2], maps[1])
                at8.append(self.merge('arms32.1', 'refines32.1', up, maps[0]))
                at32.append(maps[2])
            else:
                at8.append(self.merge('arms16', 'refines16', maps[1], maps[0]) if last else maps[0])
            if last:
                at16.append(maps[1])
        fused = {'main': self.fusion('backbone.ffm', at8)}
        if self.auxiliary and self.training:
            fused |= {'aux16': self.fusion('backbone.ffm16', at16)} if at16 else {}
            fused |= {'aux32': self.fusion('backbone.ffm32', at32)} if at32 else {}
        out = {}
        for where, x in fused.items():
            suffix, model_type = ('', self.model_type) if where == 'main' else (f'_{where}', 0)
            out[where, 'semantic'] = self.head(f'sem_head{suffix}', x, stem4, stem8, model_type)[0]
            if self.panoptic:
                out[where, 'center'], out[where, 'offset'] = self.head(f'ins_head{suffix}', x, stem4, stem8, model_type)
        return out
