"""What network a checkpoint of the release holds, by its tensors and its genotype."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from hyctas_mm.archs import num_channels
from hyctas_mm.errors import BadValue
from hyctas_mm.release.genotypes import ReleaseGenotype, read_release
from hyctas_mm.release.weights import release_name

MAX_BASE_CHANNELS = 64


@dataclass(frozen=True)
class ReleaseNetwork:
    """What a checkpoint's tensors say of its network.

    Attributes:
        genotype: Its architecture, with the widths of stem and head and the head's variant.
        base_channels: The release's ``Fch``.
        num_classes: Channels of the logits.
        panoptic: Whether there are centre and offset heads.
        auxiliary: Whether there are auxiliary heads.
    """

    genotype: ReleaseGenotype
    base_channels: int
    num_classes: int
    panoptic: bool
    auxiliary: bool


class ReleaseCheckpointError(BadValue):
    """A checkpoint that cannot be converted; the message says why."""


def read_genotype(path: str | Path) -> dict[str, Any]:
    """Reads the release's JSON of an architecture.

    Raises:
        ReleaseCheckpointError: If there is no such file, or it is none.
    """
    try:
        genotype: dict[str, Any] = json.loads(Path(path).read_text(encoding='utf-8'))
        return genotype
    except OSError as error:
        raise ReleaseCheckpointError(
            f'{path}: {error.strerror}; give --genotype the JSON file of the release'
        ) from None
    except ValueError as error:
        raise ReleaseCheckpointError(
            f'{path}: not a JSON file ({error}); give --genotype the JSON file of the release'
        ) from None


def infer_network(state: Mapping[str, Tensor], data: Mapping[str, Any], source: str = 'checkpoint') -> ReleaseNetwork:
    """Reads off the tensors' shapes what the genotype leaves open.

    A genotype that differs only in what leaves no trace in the shapes is not noticed: which of two ops with equal
    tensors stands where the branch goes down (``conv`` or ``lite_conv``), or the release's flag ``align_corners``.

    Args:
        state: The release's state dict.
        data: The genotype, as in the release's JSON.
        source: The checkpoint, named in errors.

    Raises:
        ArchitectureError: If the genotype is wrong in itself.
        ReleaseCheckpointError: If it is not of this checkpoint, naming tensors that differ.
    """
    needed = (
        'backbone.stem1.0.weight',
        'backbone.stem2.conv1.weight',
        'backbone.ffm.conv_1x1.weight',
        'sem_head.predictor.weight',
    )
    for key in needed:
        if key not in state or state[key].ndim != 4:
            raise ReleaseCheckpointError(
                f'{source}: has no convolution {key}; it is no checkpoint of the HyCTAS release, or an incomplete one'
            )
    low_level = (
        's4s8'
        if 'sem_head.decoder.conv1.weight' in state
        else 's4'
        if 'sem_head.feature_projection_s4.weight' in state
        else 'none'
    )
    read_release(data)  # its own mistakes first
    best: tuple[int, list[str]] | None = None
    for base, stem, head in _widths(state):
        genotype = read_release(data, stem_width=stem, head_width=head, low_level=low_level)
        differing = list(_differing_cells(state, genotype, base))
        if not differing:
            panoptic, auxiliary = (
                any(key.startswith(prefix) for key in state) for prefix in ('ins_head.', 'sem_head_aux')
            )
            return ReleaseNetwork(genotype, base, state['sem_head.predictor.weight'].shape[0], panoptic, auxiliary)
        if best is None or len(differing) < best[0]:
            best = (len(differing), differing)
    if best is None:
        raise ReleaseCheckpointError(
            f'{source}: no number of base channels up to {MAX_BASE_CHANNELS} gives its stem and fusion; is it a '
            'checkpoint of the HyCTAS release?'
        )
    raise ReleaseCheckpointError(
        f'{source}: is not of this genotype, {best[0]} cells differ: {"; ".join(best[1][:3])}. Give --genotype the '
        'JSON it was trained with'
    )


def _widths(state: Mapping[str, Tensor]) -> Iterator[tuple[int, int, int]]:
    """Base channels and widths of stem and head that fit the checkpoint's stem and aggregation, full widths first."""
    stem2, stem8 = state['backbone.stem1.0.weight'].shape[0], state['backbone.stem2.conv1.weight'].shape[0]
    fused = state['backbone.ffm.conv_1x1.weight'].shape[0]
    twelfths = range(12, 0, -1)
    for head, stem, base in itertools.product(twelfths, twelfths, range(1, MAX_BASE_CHANNELS + 1)):
        channels = num_channels(8, head, base)
        fits_stem = 2 * num_channels(2, stem, base) == stem2 and num_channels(8, stem, base) == stem8
        if fits_stem and fused in (channels, 2 * channels, 3 * channels):
            yield base, stem, head


def _differing_cells(state: Mapping[str, Tensor], genotype: ReleaseGenotype, base: int) -> Iterator[str]:
    first = {'attention': 'reduce', 'lite_conv': 'zoomed.0', 'lite_conv_2x': 'zoomed.0'}
    fused, channels = state['backbone.ffm.conv_1x1.weight'].shape[0], num_channels(8, genotype.arch.head_width, base)
    if fused != channels * len(genotype.arch.branches):
        yield f'ffm has {fused} channels, {len(genotype.arch.branches)} branches of {channels} expected'
    for placed in genotype.arch.cells:
        unit = first.get(placed.cell.op, 'conv1')
        name = release_name(f'backbone.cells.{placed.name}.{unit}.conv.weight', genotype)
        stride, width = placed.stride_out, placed.cell.width
        wanted = (num_channels(stride, width, base), num_channels(placed.stride_in, placed.width_in, base))
        if name not in state:
            yield f'{name} is missing'
        elif tuple(state[name].shape[:2]) != wanted:
            yield f'{name} has shape {tuple(state[name].shape)}, expected {wanted} channels'
