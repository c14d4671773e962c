"""Export to ONNX, checked against PyTorch."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import nn

from hyctas_mm.costs.onnx_export import SCOPES, export_to_onnx
from hyctas_mm.deploy.compare import largest_difference, random_inputs
from hyctas_mm.deploy.description import SMALLEST, NetDescription
from hyctas_mm.deploy.images import class_names, open_dataset, spread_images
from hyctas_mm.deploy.onnx_net import OnnxNet
from hyctas_mm.deploy.whole_net import WholeNet, own_order, task_of
from hyctas_mm.engine.checkpoint import read_checkpoint
from hyctas_mm.engine.configs import read_config, use_scope
from hyctas_mm.errors import BadValue
from hyctas_mm.models.post_processing import panoptic_from_maps
from hyctas_mm.models.subnet import drop_training_parts, pad_divisor
from hyctas_mm.registry import MODELS


@dataclass(frozen=True)
class ExportOptions:
    """How to export.

    Attributes:
        dynamic: What may vary: some of ``'batch'``, ``'size'``.
        outputs: One of :data:`~hyctas_mm.deploy.OUTPUTS`.
        preprocessing: Whether the file takes uint8 images and normalises and pads them.
        layout: Of uint8 images, ``'nhwc'`` or ``'nchw'``.
        channel_order: Of uint8 images, ``'rgb'`` or ``'bgr'``.
        tolerance: Largest difference to PyTorch, relative to the largest value of a map.
        images: How many of the config's validation images to compare on, beside random ones.
    """

    dynamic: tuple[str, ...] = ()
    outputs: str = 'logits'
    preprocessing: bool = False
    layout: str = 'nhwc'
    channel_order: str = 'rgb'
    tolerance: float = 1e-3
    images: int = 4


@dataclass(frozen=True)
class OnnxResult:
    """An exported file and how far it is from PyTorch, relative to the largest value of a map.

    Attributes:
        path: The file.
        max_difference: On random and real images.
        random_inputs: How many random inputs were compared.
        real_images: How many real images were.
        why_no_images: Why there were none.
        description: The file's interface.
    """

    path: Path
    max_difference: float
    random_inputs: int
    real_images: int
    why_no_images: str
    description: NetDescription


def export_onnx(
    config: str | Path | Config,
    checkpoint: str | Path,
    out: str | Path,
    input_hw: Sequence[int],
    options: ExportOptions = ExportOptions(),
) -> OnnxResult:
    """Exports the network of a config and compares ONNX Runtime with PyTorch on random images and on the config's
    validation images.

    Args:
        config: Config of a segmentor or panoptic network.
        checkpoint: Its weights.
        out: File to write.
        input_hw: Height and width in pixels; for varying sizes, those to trace with.
        options: How to export.

    Raises:
        ValueError: If the network cannot be exported (the layer is named), an option or the size is not possible, or
            the exported network differs from PyTorch by more than the tolerance. No file is left then.
    """
    cfg = config if isinstance(config, Config) else read_config(config)
    use_scope(cfg)
    content = read_checkpoint(checkpoint)
    model = _load(cfg, content, checkpoint)
    net = WholeNet(model, _describe(model, cfg, content, input_hw, options)).eval()
    temporary = Path(out).with_suffix('.tmp.onnx')
    try:
        _write(net, temporary)
        result = _compare(net, temporary, cfg, options)
        difference = result.max_difference
        if not difference <= options.tolerance:  # also refuses nan
            raise BadValue(
                f'the exported network differs from PyTorch by {difference:.2e} of the largest value; at most '
                f'{options.tolerance:.0e} is accepted '
                '(--tolerance)'
            )
        _keep_outputs(temporary, net.description)
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    return replace(result, path=Path(out))


def load_network(cfg: Config, checkpoint: str | Path) -> nn.Module:
    """The network of a config with weights, in eval mode, without what only training needs.

    Raises:
        ValueError: If the weights are of another network.
    """
    return _load(cfg, read_checkpoint(checkpoint), checkpoint)


def _load(cfg: Config, content: Mapping[str, Any], checkpoint: str | Path) -> nn.Module:
    model = MODELS.build(cfg.model)
    try:
        model.load_state_dict(content['state_dict'])
    except RuntimeError as error:
        why = str(error).splitlines()[1].strip()[:300]
        raise BadValue(
            f'{checkpoint} is of another network than {cfg.filename} ({why}); give the config beside the weights'
        ) from None
    return drop_training_parts(model).eval()


def _describe(
    model: nn.Module, cfg: Config, content: Mapping[str, Any], input_hw: Sequence[int], options: ExportOptions
) -> NetDescription:
    task, own = task_of(model), own_order(model)
    order = options.channel_order if options.preprocessing else own
    step = 1 if order == own else -1
    mean, std = (
        _channels(getattr(model.data_preprocessor, name, None), default)[::step]
        for name, default in (('mean', 0.0), ('std', 1.0))
    )
    head: Any = model.panoptic_head if task == 'panoptic' else model.decode_head
    head = head[-1] if isinstance(head, nn.ModuleList) else head  # mmseg's cascades
    names, palette = class_names(cfg, (content.get('meta') or {}).get('dataset_meta'), head.num_classes)
    description = NetDescription(
        task=task,
        input_hw=(input_hw[0], input_hw[1]),
        dynamic=tuple(options.dynamic),
        outputs=options.outputs,
        classes=names,
        palette=palette,
        multiple=1 if options.preprocessing else pad_divisor(model),
        preprocessing=options.preprocessing,
        layout=options.layout if options.preprocessing else 'nchw',
        channel_order=order,
        mean=mean,
        std=std,
        grouping=_grouping(model, head) if task == 'panoptic' else None,
        binary_threshold=float(head.threshold) if getattr(head, 'out_channels', None) == 1 else None,
    )
    description.check()
    return description


def _channels(values: Any, default: float) -> tuple[float, ...]:
    return (default,) * 3 if values is None else tuple(float(v) for v in values.flatten())


def _grouping(model: nn.Module, head: Any) -> dict[str, Any]:
    """The arguments of ``panoptic_from_maps``."""
    options = inspect.signature(panoptic_from_maps).parameters.values()
    defaults = {option.name: option.default for option in options if option.default is not option.empty}
    return dict(num_things=head.num_things_classes) | defaults | dict(model.test_cfg)


def _write(net: WholeNet, path: Path) -> None:
    """Writes the file with all maps as outputs, also those that its outputs are derived from."""
    description = net.description
    batch = 2 if 'batch' in description.dynamic else 1  # with 1 the batch would be taken for a constant
    height, width = description.input_hw
    shape = (batch, height, width, 3) if description.layout == 'nhwc' else (batch, 3, height, width)
    image = torch.zeros(shape, dtype=torch.uint8) if description.preprocessing else torch.zeros(shape)
    with torch.no_grad():
        export_to_onnx(net, image, path, description.compared_outputs, _dimensions(description))
    description.write(path)


def _dimensions(description: NetDescription) -> dict[int, Any]:
    dim = torch.export.Dim
    first = 1 if description.layout == 'nhwc' else 2
    out: dict[int, Any] = {0: dim('batch', min=1)} if 'batch' in description.dynamic else {}
    if 'size' in description.dynamic:
        for number, name in ((first, 'height'), (first + 1, 'width')):
            step = description.multiple
            out[number] = (
                dim(name, min=SMALLEST) if step == 1 else step * dim(f'{name}_over_{step}', min=-(-SMALLEST // step))
            )
    return out


def _compare(net: WholeNet, path: Path, cfg: Config, options: ExportOptions) -> OnnxResult:
    file = OnnxNet(path, threads=torch.get_num_threads())
    inputs = random_inputs(net.description, np.random.default_rng(0))
    difference = largest_difference(net, file, inputs)
    count, why = 0, ''
    try:
        dataset = open_dataset(cfg, 'val')
    except ValueError as error:
        why = str(error)
    else:
        count = min(options.images, len(dataset))
        real = (file.prepare(image) for image in spread_images(dataset, count, net.description))
        difference = max(difference, largest_difference(net, file, real))
    return OnnxResult(path, difference, len(inputs), count, why, net.description)


def _keep_outputs(path: Path, description: NetDescription) -> None:
    """Takes from a file the outputs that were for the comparison, and the exporter's notes, which name this machine's
    paths, but for the layers.
    """
    import onnx

    model = onnx.load(str(path))
    for node in model.graph.node:
        notes = [note for note in node.metadata_props if note.key == SCOPES]
        del node.metadata_props[:]
        node.metadata_props.extend(notes)
    kept = [output for output in model.graph.output if output.name in description.output_names]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
