"""The one place that writes ONNX files. Knows modules, not ours."""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hyctas_mm.errors import BadValue

OPSET = 18
SCOPES = 'pkg.torch.onnx.name_scopes'
"""Under this name each node of a file tells the layers that it is in, outermost first."""
CLASSES = 'pkg.torch.onnx.class_hierarchy'
"""And under this the classes of these layers."""
Sizes = Mapping[int, Any]
"""Dimensions of the input that may vary, as ``torch.export.Dim`` by their number."""


def export_to_onnx(
    net: nn.Module, image: Tensor, path: str | Path, outputs: Sequence[str] = ('logits',), dynamic: Sizes | None = None
) -> None:
    """Writes a network as ONNX, its input is called ``image``.

    Args:
        net: In eval mode; returns a tensor, or a tuple of them.
        image: What it is traced with. A dimension that may vary must be 2 or more here.
        path: File to write.
        outputs: Names of its outputs.
        dynamic: Dimensions that may vary; all others are fixed to those of ``image``.

    Raises:
        ValueError: If a layer cannot be exported, naming it.
    """
    with _quiet():
        program = _trace(net, image, dynamic)
        try:
            torch.onnx.export(
                program,
                (),
                str(path),
                input_names=['image'],
                output_names=list(outputs),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise BadValue(_untranslated(program, error)) from error
    _shorten(path)


def _shorten(path: str | Path) -> None:
    """Drops what the exporter notes for its own developers, two thirds of the graph, with paths of this machine."""
    import onnx

    model = onnx.load(str(path))
    for item in (*model.graph.node, *model.graph.value_info, *model.graph.initializer):
        kept = [(note.key, note.value) for note in item.metadata_props if note.key in (SCOPES, CLASSES)]
        del item.metadata_props[:]
        for key, value in kept:
            item.metadata_props.add(key=key, value=value)
    onnx.save(model, str(path))


def _trace(net: nn.Module, image: Tensor, dynamic: Sizes | None) -> Any:
    # Some layers ask about sizes what is always true and cannot be proved, e.g. a rounded-up pooling; such guards
    # become assertions.
    options: dict[str, Any] = (
        dict(dynamic_shapes=(dict(dynamic),), prefer_deferred_runtime_asserts_over_guards=True) if dynamic else {}
    )
    trace = _LayerTrace(net)
    with trace:
        try:
            return torch.export.export(net, (image,), strict=False, **options)
        except Exception as error:  # whatever the layer's own code raises
            layer = trace.fixing or (trace.stack[-1] if trace.stack else None)
            where = f'layer {layer}' if layer else f'the network ({type(net).__name__})'
            why = (
                'it fixes the size of its input; keep sizes as they come, or export with a fixed size'
                if trace.fixing
                else _first_line(error)
            )
            raise BadValue(f'{where} cannot be exported to ONNX: {why}') from error


class _LayerTrace(contextlib.AbstractContextManager['_LayerTrace']):
    """Follows a forward pass.

    Attributes:
        stack: The layers that are computing, outermost first.
        fixing: The layer that turned a varying size of the input into a number.
    """

    def __init__(self, net: nn.Module) -> None:
        self.stack: list[str] = []
        self.fixing: str | None = None
        self._net, self._sizes, self._hooks = net, [], []  # type: ignore[var-annotated]

    def __enter__(self) -> _LayerTrace:
        for name, module in self._net.named_modules():
            label = f'{name} ({type(module).__name__})' if name else type(module).__name__

            def before(_module: nn.Module, inputs: tuple[Any, ...], label: str = label) -> None:
                if not self.stack:
                    self._sizes = [s for s in inputs[0].shape if isinstance(s, torch.SymInt)]
                self.stack.append(label)

            def after(_module: nn.Module, _inputs: Any, _output: Any, label: str = label) -> None:
                self.stack.pop()
                if self.fixing is None and any(map(_is_fixed, self._sizes)):
                    self.fixing = label

            self._hooks += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()


def _is_fixed(size: torch.SymInt) -> bool:
    """Whether what was asked about a varying size so far leaves one number for it."""
    possible = size.node.shape_env.bound_sympy(size.node.expr)
    return bool(possible.lower == possible.upper)


def _untranslated(program: Any, error: Exception) -> str:
    """Names the layer of the operation that has no ONNX form."""
    found = re.search(r"target=torch\.ops\.([\w.]+)\]|OpOverload\(op='([\w.]+)', overload='(\w+)'\)", str(error))
    if found is None:
        return f'the network cannot be written as ONNX: {_first_line(error)}'
    target = found[1] or f'{found[2]}.{found[3]}'
    for graph in (program.graph, program.run_decompositions().graph):
        for node in graph.nodes:
            stack = node.meta.get('nn_module_stack') or {}
            if str(node.target) == target and stack:
                path, kind = list(stack.values())[-1]
                kind = kind if isinstance(kind, str) else kind.__name__
                return (
                    f'layer {path} ({kind.split(".")[-1]}) cannot be exported to ONNX: its operation {target} has '
                    'no ONNX form'
                )
    return f'the network cannot be exported to ONNX: its operation {target} has no ONNX form'


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporters log for their own developers."""
    loggers = [
        logging.getLogger(name)
        for name in ('torch.onnx', 'torch.fx', 'torch._subclasses', 'torch.export', 'torch._export')
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(None):
            warnings.simplefilter('ignore')
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
