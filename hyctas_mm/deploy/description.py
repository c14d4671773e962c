"""What a user of an exported file must know. It travels in the file, as JSON in its ``metadata_props``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hyctas_mm.errors import BadValue

FORMAT = 'hyctas_mm/onnx-1'
KEY = 'hyctas_mm'
OUTPUTS = ('logits', 'probabilities', 'classes')
LAYOUTS = ('nhwc', 'nchw')
ORDERS = ('rgb', 'bgr')
SMALLEST = 64
"""Least height and width of a file for varying sizes, in pixels: the map at stride 32 has two rows then; one row would
mean broadcasting.
"""


@dataclass(frozen=True)
class NetDescription:
    """An exported network's interface.

    Attributes:
        task: ``'semantic'`` or ``'panoptic'``.
        input_hw: Height and width in pixels; of a file for varying sizes, those it was made with.
        dynamic: What may vary: some of ``'batch'``, ``'size'``.
        multiple: Height and width must be multiples of this, as the config's preprocessor pads to it; 1 where the file
            pads by itself.
        preprocessing: Whether the file takes uint8 images, and normalises and pads them. Otherwise it takes normalised
            float32, (B, 3, H, W).
        layout: Of uint8 images: ``'nhwc'`` (B, H, W, 3) or ``'nchw'`` (B, 3, H, W).
        channel_order: Of the input, ``'rgb'`` or ``'bgr'``.
        mean: Of each channel in this order, 0..255.
        std: Likewise.
        outputs: ``'logits'``, ``'probabilities'`` (of the softmax) or ``'classes'`` (int32 indices, (B, H, W)). A
            panoptic file's other outputs are ``center``, with ``'classes'`` instead ``peaks``, that is the heatmap
            where it has a centre and 0 elsewhere, and ``offset`` as (down, right) in pixels.
        classes: Names of the classes.
        palette: RGB of each class.
        grouping: Of a panoptic file ``num_things`` and the arguments of ``panoptic_from_maps``.
        binary_threshold: Of a file with one logit, the probability above which a pixel is of class 1.
    """

    task: str
    input_hw: tuple[int, int]
    dynamic: tuple[str, ...] = ()
    multiple: int = 1
    preprocessing: bool = False
    layout: str = 'nchw'
    channel_order: str = 'rgb'
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    outputs: str = 'logits'
    classes: tuple[str, ...] = ()
    palette: tuple[tuple[int, ...], ...] = ()
    grouping: Mapping[str, Any] | None = None
    binary_threshold: float | None = None

    @property
    def raw_outputs(self) -> tuple[str, ...]:
        """What the network computes."""
        return ('logits', 'center', 'offset') if self.task == 'panoptic' else ('logits',)

    @property
    def output_names(self) -> tuple[str, ...]:
        """What the file gives."""
        names = {
            'logits': self.outputs,
            'center': 'peaks' if self.outputs == 'classes' else 'center',
            'offset': 'offset',
        }
        return tuple(names[name] for name in self.raw_outputs)

    @property
    def compared_outputs(self) -> tuple[str, ...]:
        """What the file gives, and what that is derived from."""
        return tuple(dict.fromkeys((*self.output_names, *self.raw_outputs)))

    @property
    def pads_to_one(self) -> bool:
        """Whether the file has one size and its config pads, so that smaller images are padded to it."""
        return self.multiple > 1 and 'size' not in self.dynamic

    @property
    def accepted(self) -> str:
        """The sizes that the file takes, in words."""
        if 'size' not in self.dynamic:
            up_to = 'up to ' if self.pads_to_one else ''
            return up_to + '{} x {} pixels (height x width)'.format(*self.input_hw)
        text = f'heights and widths from {SMALLEST} pixels up'
        return text if self.multiple == 1 else f'{text} that are multiples of {self.multiple}'

    def check_size(self, height: int, width: int) -> None:
        """Refuses a size that the file does not take.

        Raises:
            ValueError: Naming the sizes that it takes.
        """
        if 'size' in self.dynamic:
            good = min(height, width) >= SMALLEST and height % self.multiple == width % self.multiple == 0
        else:
            good = (height, width) == self.input_hw
        if not good:
            raise BadValue(
                f'an image of {height} x {width} pixels; the network takes {self.accepted}: resize the image, or '
                'export with --dynamic size'
            )

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """The size that an image is padded to for the file: its only one where the config pads, or the next multiples.

        Raises:
            ValueError: Naming the sizes that it takes.
        """
        if self.pads_to_one and height <= self.input_hw[0] and width <= self.input_hw[1]:
            return self.input_hw
        down, right = (-side % self.multiple for side in (height, width))
        self.check_size(height + down, width + right)
        return height + down, width + right

    def check(self) -> None:
        """Refuses a description that contradicts itself.

        Raises:
            ValueError: Naming the value and what was expected.
        """
        for name, known in (('outputs', OUTPUTS), ('layout', LAYOUTS), ('channel_order', ORDERS)):
            if getattr(self, name) not in known:
                raise BadValue(f'{name}={getattr(self, name)!r}; expected one of {", ".join(known)}')
        unknown = sorted(set(self.dynamic) - {'batch', 'size'})
        if unknown:
            raise BadValue(f'dynamic has {", ".join(unknown)}; expected some of batch, size')
        if min(self.input_hw) < 1 or any(s % self.multiple for s in self.input_hw):
            height, width = (max(1, -(-s // self.multiple)) * self.multiple for s in self.input_hw)
            raise BadValue(
                f'input_hw={self.input_hw}; the network takes multiples of {self.multiple} pixels, to which its '
                'config pads '
                f'(pad_size_divisor): use {height} x {width}, or let the file pad (--preprocess)'
            )
        self.check_size(*self.input_hw)

    def write(self, path: str | Path) -> None:
        """Writes it into an ONNX file, beside what is there."""
        import onnx

        model = onnx.load(str(path))
        entries = {entry.key: entry.value for entry in model.metadata_props} | {KEY: self.to_json()}
        onnx.helper.set_model_props(model, entries)
        onnx.save(model, str(path))

    def to_json(self) -> str:
        """As text."""
        return json.dumps(dict(format=FORMAT, smallest=SMALLEST, **asdict(self)))

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], source: str | Path) -> NetDescription:
        """Reads it from a file's metadata.

        Raises:
            ValueError: If it has none, or another version.
        """
        fields = json.loads(metadata.get(KEY, '{}'))
        if fields.pop('format', None) != FORMAT:
            raise BadValue(
                f'{source}: no metadata {KEY} of format {FORMAT}; expected a file of tools/export_onnx.py of '
                'this version'
            )
        fields.pop('smallest')
        lists = {
            k: tuple(tuple(v) if isinstance(v, list) else v for v in fields[k])
            for k in fields
            if isinstance(fields[k], list)
        }
        return replace(cls(task=fields['task'], input_hw=(1, 1)), **(fields | lists))
