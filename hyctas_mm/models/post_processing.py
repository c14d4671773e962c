"""From maps of classes, centres and offsets to panoptic segments (Panoptic-DeepLab, https://arxiv.org/abs/1911.10194,
section 3.3). Only torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hyctas_mm.errors import BadValue
from hyctas_mm.evaluation.segments import INSTANCE_OFFSET, counted

MAX_INSTANCES = (2**24 - 1) // INSTANCE_OFFSET - 1
"""Instances for which ``label + instance * 1000`` fits the 24 bits of a COCO-panoptic PNG."""

# Numbers in a temporary: on a CPU what its cache holds, which is several times as fast; elsewhere 32 MB of float32, as
# launches cost time.
_CPU_CHUNK, _DEVICE_CHUNK = 2**17, 2**23


class PanopticMaps(NamedTuple):
    """Predictions for B images at one size.

    Attributes:
        semantic: Logits (B, C, H, W).
        center: Centre heatmaps (B, 1, H, W).
        offset: (B, 2, H, W) as (down, right) in pixels of this size: pixel + offset = centre of the pixel's instance.
    """

    semantic: Tensor
    center: Tensor
    offset: Tensor


@dataclass(frozen=True, eq=False)
class PanopticResult:
    """Segments of one image; its N instances are in falling order of their centres' height.

    Attributes:
        panoptic: (H, W) int64 in mmdet's encoding, ``label + k * 1000`` with ``k`` = 1..N for instances and 0 for
            stuff; void is the number of classes.
        instance_ids: The instances' values in ``panoptic`` (N,) int64; each has at least one pixel.
        labels: Thing classes (N,) int64.
        scores: Height of the centre times the mean probability of the class over the instance (N,), in 0..1 for a
            heatmap in 0..1.
        centers: (row, column) (N, 2) in pixels.
        boxes: (left, top, right, bottom) (N, 4) float, the instances' extent in pixels.
        semantic: Classes of all pixels (H, W) int64, before grouping.
    """

    panoptic: Tensor
    instance_ids: Tensor
    labels: Tensor
    scores: Tensor
    centers: Tensor
    boxes: Tensor
    semantic: Tensor


def panoptic_from_maps(
    semantic_logits: Tensor,
    center: Tensor,
    offset: Tensor,
    *,
    num_things: int,
    threshold: float = 0.1,
    of_highest: float | None = None,
    nms_kernel: int = 7,
    top_k: int = 200,
    stuff_area: float = 2048,
    stuff_area_hw: Sequence[int] | None = None,
) -> PanopticResult:
    """Groups the pixels of one image into segments.

    Pixels of thing classes go to the centre that is nearest to where their offset points; an instance takes the class
    most of its pixels have. Without any centre they are void. What cannot come out: instances whose centres are
    neighbouring pixels (they merge) or, unless equally high, lie within ``nms_kernel // 2`` pixels of each other; more
    than ``top_k`` instances; stuff smaller than ``stuff_area``.

    Args:
        semantic_logits: (C, H, W); thing classes first.
        center: (1, H, W).
        offset: (2, H, W) as (down, right) in pixels.
        num_things: Number of thing classes.
        threshold: A centre is higher than this.
        of_highest: Share of the image's highest value, between 0 and 1: where that is less than ``threshold``, a
            centre is higher than that. After a short training all heights are small, and things would be void.
        nms_kernel: A centre is the highest in a square of this side, in pixels; odd, at least 3.
        top_k: At most this many centres.
        stuff_area: Stuff of fewer pixels in the whole image becomes void.
        stuff_area_hw: Height and width in pixels for which ``stuff_area`` is meant; it is scaled by the image's pixels
            over theirs. None: it holds as it is.

    Returns:
        The segments.

    Raises:
        ValueError: For shapes that do not fit, or arguments out of range.
    """
    _check_maps(semantic_logits, center, offset, num_things)
    _check_options(nms_kernel, top_k, stuff_area_hw, of_highest)
    classes, height, width = semantic_logits.shape
    if stuff_area_hw is not None:
        stuff_area = stuff_area * height * width / (stuff_area_hw[0] * stuff_area_hw[1])
    semantic = semantic_logits.max(0).indices.flatten()  # (H, W) -> (H*W,); on a CPU twice as fast as argmax
    panoptic = _stuff(semantic, classes, num_things, stuff_area)
    centers, heights = find_centers(center[0].float(), threshold, nms_kernel, top_k, of_highest)
    things = (semantic < num_things).nonzero().squeeze(1)  # (P,)
    if not len(centers) or not len(things):
        none = heights.new_zeros(0, 4)
        empty = things[:0]
        return PanopticResult(
            panoptic.view(height, width), empty, empty, heights[:0], centers[:0], none, semantic.view(height, width)
        )
    owner = _owners(things, offset, centers)  # (P,)
    votes = counted(owner * num_things + semantic[things], len(centers) * num_things)
    votes = votes.view(-1, num_things)  # (N, things)
    labels, areas = votes.argmax(1), votes.sum(1)
    probability = _probabilities(semantic_logits.flatten(1), things, labels[owner])  # (P,)
    scores = heights * torch.zeros_like(heights).index_add_(0, owner, probability) / areas.clamp(min=1)
    kept = areas > 0  # a centre no pixel points to is no instance
    ids = labels + kept.cumsum(0) * INSTANCE_OFFSET
    panoptic[things] = ids[owner]
    boxes = _boxes(things, owner, len(centers), width)
    panoptic, semantic = panoptic.view(height, width), semantic.view(height, width)  # (H*W,) -> (H, W)
    chosen = kept.nonzero().squeeze(1)  # once: a mask waits for the device at each use
    ids, labels, scores, centers, boxes = (values[chosen] for values in (ids, labels, scores, centers, boxes))
    return PanopticResult(panoptic, ids, labels, scores, centers, boxes, semantic)


def _boxes(pixels: Tensor, owner: Tensor, count: int, width: int) -> Tensor:
    """Extent (count, 4) of the pixels of each owner; ``pixels`` (P,) are indices into a map of this width."""
    columns, rows = (pixels % width).float(), torch.div(pixels, width, rounding_mode='floor').float()
    empty = columns.new_zeros(count)
    low = [empty.scatter_reduce(0, owner, values, 'amin', include_self=False) for values in (columns, rows)]
    high = [empty.scatter_reduce(0, owner, values + 1, 'amax', include_self=False) for values in (columns, rows)]
    return torch.stack([*low, *high], 1)


def check_options(
    nms_kernel: int = 7,
    top_k: int = 200,
    stuff_area_hw: Sequence[int] | None = None,
    of_highest: float | None = None,
    **_others: float,
) -> None:
    """Refuses arguments of :func:`panoptic_from_maps` that are out of range, before there are maps.

    Raises:
        ValueError: Naming the argument.
    """
    _check_options(nms_kernel, top_k, stuff_area_hw, of_highest)


def _check_maps(semantic: Tensor, center: Tensor, offset: Tensor, num_things: int) -> None:
    size = tuple(semantic.shape[-2:])
    if semantic.dim() != 3 or tuple(center.shape) != (1, *size) or tuple(offset.shape) != (2, *size):
        raise BadValue(
            f'semantic_logits {tuple(semantic.shape)}, center {tuple(center.shape)} and offset {tuple(offset.shape)} '
            'do not fit; '
            'expected (C, H, W), (1, H, W) and (2, H, W): one image, all maps resized to its size'
        )
    if not 0 <= num_things <= len(semantic) < INSTANCE_OFFSET:
        raise BadValue(
            f'num_things={num_things} of {len(semantic)} classes; expected 0 <= num_things <= classes < '
            f'{INSTANCE_OFFSET}'
        )


def _check_options(nms_kernel: int, top_k: int, stuff_area_hw: Sequence[int] | None, of_highest: float | None) -> None:
    if nms_kernel < 3 or nms_kernel % 2 == 0:
        raise BadValue(f'nms_kernel={nms_kernel}; expected an odd number of pixels from 3 up')
    if not 1 <= top_k <= MAX_INSTANCES:
        raise BadValue(f'top_k={top_k}; expected 1..{MAX_INSTANCES}, as many as a panoptic PNG can tell apart')
    if stuff_area_hw is not None and (len(stuff_area_hw) != 2 or min(stuff_area_hw) < 1):
        raise BadValue(f'stuff_area_hw={stuff_area_hw}; expected (height, width) in pixels')
    if of_highest is not None and not 0 < of_highest < 1:
        raise BadValue(f'of_highest={of_highest}; expected a share between 0 and 1, e.g. 0.5, or None')


def _stuff(semantic: Tensor, classes: int, num_things: int, stuff_area: float) -> Tensor:
    """Labels (H*W,) of the stuff pixels; things and stuff that is too small are void."""
    areas = counted(semantic, classes)  # (C,)
    label = torch.arange(classes, device=semantic.device)
    return torch.where((label >= num_things) & (areas >= stuff_area), label, classes)[semantic]


def lower_threshold(heatmap: Tensor, threshold: float, of_highest: float) -> Tensor:
    """The least of ``threshold`` and a share of the highest value, for each heatmap of (..., H, W): (..., 1, 1)."""
    return (of_highest * heatmap.amax((-2, -1), keepdim=True)).clamp(max=threshold)


def find_centers(
    heatmap: Tensor, threshold: float, nms_kernel: int, top_k: int, of_highest: float | None = None
) -> tuple[Tensor, Tensor]:
    """Finds the peaks of a heatmap (H, W).

    A peak is above ``threshold``, or where that is less ``of_highest`` of the highest value, and nowhere exceeded in
    the square around it. Peaks that touch, and so are equally high, are one: their middle.

    Returns:
        (row, column) (N, 2) float32 and heights (N,), falling, N <= ``top_k``.
    """
    least = threshold if of_highest is None else lower_threshold(heatmap, threshold, of_highest)
    peaks = ((heatmap > least) & (heatmap >= _local_maximum(heatmap, nms_kernel))).nonzero()  # (P, 2), row by row
    heights = heatmap[peaks[:, 0], peaks[:, 1]]
    centers = peaks.to(heatmap.dtype)
    plateau = _plateaus(peaks, heatmap.shape[1])
    if plateau is not None:
        count = torch.bincount(plateau)  # (N,)
        centers = peaks.new_zeros(len(count), 2).index_add_(0, plateau, peaks) / count[:, None]
        heights = heights.new_zeros(len(count)).index_copy_(0, plateau, heights)
    heights, order = heights.sort(descending=True, stable=True)  # topk would leave the order of equal heights open
    return centers[order[:top_k]], heights[:top_k]


def _local_maximum(values: Tensor, kernel: int) -> Tensor:
    """Largest value in the square of odd side ``kernel`` around each pixel of a map (H, W); ten times as fast on a CPU
    as ``max_pool2d``.
    """
    for dim in range(2):
        reach, length = kernel // 2, values.shape[dim]
        padding = (reach, reach) if dim else (0, 0, reach, reach)
        padded = F.pad(values, padding, value=-torch.inf)
        values = padded.narrow(dim, 0, length)
        for step in range(1, kernel):
            values = torch.maximum(values, padded.narrow(dim, step, length))
    return values


def _plateaus(peaks: Tensor, width: int) -> Tensor | None:
    """Numbers (P,) of the connected groups that pixels (P, 2) in row-major order form; None where no two touch.

    Works on the pixels' runs within rows, so that a plateau as large as the image costs little.
    """
    # a column to spare on both sides: the neighbour of the last pixel of a row is not the first of the next
    stride = width + 2
    keys = peaks[:, 0] * stride + peaks[:, 1]
    first = torch.ones_like(keys, dtype=torch.bool)
    first[1:] = keys.diff() > 1
    places = first.nonzero().squeeze(1)
    starts, ends = keys[places], keys[places.roll(-1) - 1]  # (R,); the last run ends with the last pixel, at -1
    # The runs that touch a run from the row above are neighbours in the list too.
    low = torch.searchsorted(ends, starts - stride - 1)
    count = (torch.searchsorted(starts, ends - stride + 1, right=True) - low).clamp(min=0)
    if len(starts) == len(keys) and not count.any():
        return None
    lower = torch.arange(len(starts), device=keys.device).repeat_interleave(count)  # (E,)
    upper = low[lower] + torch.arange(len(lower), device=keys.device) - (count.cumsum(0) - count)[lower]
    roots = _connected(lower, upper, len(starts))
    return torch.unique(roots, return_inverse=True)[1][first.cumsum(0) - 1]  # (R,) -> (P,)


def _connected(one: Tensor, other: Tensor, count: int) -> Tensor:
    """The least node (count,) of each node's connected component, for edges from ``one`` (E,) to ``other`` (E,).

    Every node takes the least root across its edges and then that root's own root, so few rounds are needed.
    """
    root = torch.arange(count, device=one.device)
    while True:
        least = root.scatter_reduce(0, one, root[other], 'amin').scatter_reduce(0, other, root[one], 'amin')
        least = least[least]
        if torch.equal(least, root):
            return root
        root = least


def _chunk_length(device: torch.device, row: int) -> int:
    return max(1, (_CPU_CHUNK if device.type == 'cpu' else _DEVICE_CHUNK) // row)


def _owners(pixels: Tensor, offset: Tensor, centers: Tensor) -> Tensor:
    """Index (P,) of the centre nearest to each pixel plus its offset.

    Differences are squared: the faster |c|^2 - 2 p.c loses small distances in float32, and so mixes up centres a few
    pixels apart.

    Args:
        pixels: Flat indices (P,).
        offset: (2, H, W).
        centers: (N, 2).
    """
    width = offset.shape[2]
    moves = offset.flatten(1)  # (2, H, W) -> (2, H*W)
    rows = (pixels // width + moves[0, pixels].float())[:, None]  # (P, 1)
    columns = (pixels % width + moves[1, pixels].float())[:, None]
    center_rows, center_columns = centers[:, 0].contiguous(), centers[:, 1].contiguous()  # (N,)
    owner = torch.empty_like(pixels)
    length = _chunk_length(pixels.device, len(centers))
    for start in range(0, len(pixels), length):
        chunk = slice(start, start + length)
        down, right = rows[chunk] - center_rows, columns[chunk] - center_columns  # (length, N)
        owner[chunk] = down.square_().addcmul_(right, right).min(1).indices
    return owner


def _probabilities(logits: Tensor, pixels: Tensor, labels: Tensor) -> Tensor:
    """Probability (P,) of the label (P,) at each pixel (P,) of logits (C, H*W); the softmax of all pixels is never
    held.
    """
    probability = torch.empty(len(pixels), device=logits.device)
    length = _chunk_length(logits.device, len(logits))
    channels_last = logits.stride(0) == 1  # index_select would copy such a map whole, for every chunk
    logits = logits if channels_last else logits.contiguous()
    for start in range(0, len(pixels), length):
        chunk = slice(start, start + length)
        chosen = pixels[chunk]
        part = (
            logits.t().index_select(0, chosen).t() if channels_last else logits.index_select(1, chosen)
        ).float()  # (C, length)
        probability[chunk] = (part.gather(0, labels[None, chunk]).squeeze(0) - part.logsumexp(0)).exp()
    return probability


def average_maps(views: Iterable[tuple[tuple[Tensor, Tensor, Tensor], bool]]) -> PanopticMaps:
    """Averages predictions for the same images at several sizes and mirrored.

    Args:
        views: For each view (semantic (B, C, h, w), center (B, 1, h, w), offset (B, 2, h, w)) of any size, and whether
            its image was mirrored left to right. Each is added up as it comes, so an iterator keeps memory to two
            views.

    Returns:
        Averages at the size of the first view. ``semantic`` is the logarithm of the averaged probabilities, which goes
        wherever logits go.

    Raises:
        ValueError: Without views.
    """
    total: PanopticMaps | None = None
    count = 0
    for maps, flipped in views:
        height, width = total.semantic.shape[2:] if total else maps[0].shape[2:]
        aligned = _align(PanopticMaps(*maps), flipped, (height, width))
        total = aligned if total is None else PanopticMaps(*(a.add_(b) for a, b in zip(total, aligned, strict=True)))
        count += 1
    if total is None:
        raise BadValue('no views; expected at least one to average')
    semantic, center, offset = (t.div_(count) for t in total)
    return PanopticMaps(semantic.clamp_(min=torch.finfo(semantic.dtype).tiny).log_(), center, offset)


def _align(maps: PanopticMaps, flipped: bool, size: tuple[int, int]) -> PanopticMaps:
    """Undoes a view's mirroring and size; ``semantic`` (B, C, H, W) are probabilities then."""
    scale = [new / old for new, old in zip(size, maps.offset.shape[2:], strict=True)]
    if flipped:
        scale[1] = -scale[1]  # right is left in a mirror
        maps = PanopticMaps(*(m.flip(3) for m in maps))
    semantic, center, offset = (
        m.float()
        if tuple(m.shape[2:]) == tuple(size)
        else F.interpolate(m.float(), size, mode='bilinear', align_corners=False)
        for m in maps
    )
    # numbers, not a tensor: that would be a copy to the device
    offset = torch.stack([offset[:, 0] * scale[0], offset[:, 1] * scale[1]], 1)
    return PanopticMaps(semantic.softmax(1), center.clone(), offset)
