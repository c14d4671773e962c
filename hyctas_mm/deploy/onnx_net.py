"""Exported files as functions of images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hyctas_mm.costs.targets.on_device import OPENERS
from hyctas_mm.deploy.description import NetDescription
from hyctas_mm.errors import NoSuchFile

Array = npt.NDArray[Any]


class FileNet(ABC):
    """An exported file in a runtime. Subclasses set ``description``."""

    description: NetDescription

    def prepare(self, image: Array) -> Array:
        """The file's input for an image.

        Args:
            image: uint8 (H, W, 3), BGR as OpenCV reads it. For files that do not pad by themselves it is padded here,
                to the file's size if it has only one.

        Returns:
            uint8 or float32, a batch of one.

        Raises:
            ValueError: If the file does not take its size.
        """
        net = self.description
        x = image[..., ::-1] if net.channel_order == 'rgb' else image
        height, width = net.padded(*image.shape[:2])
        padding = ((0, height - image.shape[0]), (0, width - image.shape[1]))
        if not net.preprocessing:
            x = ((x - np.asarray(net.mean, np.float32)) / np.asarray(net.std, np.float32)).astype(np.float32)
            x = np.pad(x, (*padding, (0, 0)))
        if net.layout == 'nchw':
            x = x.transpose(2, 0, 1)  # (H, W, 3) -> (3, H, W)
        return np.ascontiguousarray(x[None])

    @abstractmethod
    def run(self, batch: Array) -> dict[str, Array]:
        """The outputs by name, for an input as :meth:`prepare` makes it."""

    def __call__(self, image: Array) -> Mapping[str, Array]:
        """The outputs by name for an image (see :meth:`prepare`), cut to its size."""
        height, width = image.shape[:2]
        return {name: x[..., :height, :width] for name, x in self.run(self.prepare(image)).items()}


class OnnxNet(FileNet):
    """Runs an exported file in ONNX Runtime on the CPU; ``tools/run_onnx.py`` shows the same without this package.

    Args:
        path: File of ``tools/export_onnx.py`` or ``tools/quantize_onnx.py``.
        threads: Threads to compute with; 0 for all cores.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no file of these tools.
    """

    def __init__(self, path: str | Path, threads: int = 0) -> None:
        import onnxruntime

        if not Path(path).is_file():
            raise NoSuchFile(f'no ONNX file {path}; write one with tools/export_onnx.py')
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
        self.description = NetDescription.from_metadata(self.session.get_modelmeta().custom_metadata_map, path)

    def run(self, batch: Array) -> dict[str, Array]:
        return dict(
            zip((o.name for o in self.session.get_outputs()), self.session.run(None, {'image': batch}), strict=True)
        )


class RuntimeNet(FileNet):
    """Runs a file of one size in the runtime that it is for.

    Args:
        path: The file.
        runtime: One of :data:`~hyctas_mm.costs.targets.on_device.OPENERS`.
        description: The file's interface.
        threads: Threads to compute with.
    """

    def __init__(self, path: Path, runtime: str, description: NetDescription, threads: int = 1) -> None:
        self.description, self._batched = description, runtime != 'ncnn'
        self.call: Callable[..., Any] = OPENERS[runtime](path, (1, 3, *description.input_hw), threads)

    def run(self, batch: Array) -> dict[str, Array]:
        found = [np.array(x) for x in self.call(batch)]  # a copy: OpenVINO writes over its own
        names = self.description.output_names
        return {name: x if self._batched else x[None] for name, x in zip(names, found, strict=True)}
