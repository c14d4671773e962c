"""What a network ships to: a runtime, a precision, a number of threads."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hyctas_mm.errors import BadValue, MissingPackage

Call = Callable[..., Any]
"""One forward pass. Called without arguments it takes the image that it was prepared with."""

_runtimes: dict[str, type[Runtime]] = {}
MODES = ('eager', 'channels_last', 'compile', 'cudagraph')
"""Of PyTorch; each may stand for ``pytorch`` where a runtime is named in a word."""


@dataclass(frozen=True)
class Target:
    """What a network ships to.

    Attributes:
        runtime: One of :func:`runtime_names`.
        precision: ``'fp32'``, ``'int8'``, or what else the runtime has.
        threads: Threads that it computes with on a CPU.
        mode: PyTorch's, one of :data:`MODES`; empty for other runtimes.
        device: ``'cuda'`` for ONNX Runtime on a GPU, which is else on the CPU wherever a search runs; PyTorch's is the
            search's.

    Raises:
        ValueError: For what no runtime has; the message lists what there is.
    """

    runtime: str = 'pytorch'
    precision: str = 'fp32'
    threads: int = 1
    mode: str = ''
    device: str = ''

    def __post_init__(self) -> None:
        if self.runtime not in _runtimes:
            raise BadValue(f'runtime {self.runtime!r}; expected one of {", ".join(_runtimes)}')
        if self.runtime == 'pytorch' and not self.mode:
            object.__setattr__(self, 'mode', MODES[0])
        if self.mode not in (MODES if self.runtime == 'pytorch' else ('',)):
            wanted = f'one of {", ".join(MODES)}' if self.runtime == 'pytorch' else 'none: modes are those of pytorch'
            raise BadValue(f'mode {self.mode!r} of {self.runtime}; expected {wanted}')
        precisions = _runtimes[self.runtime].precisions
        if self.precision not in precisions:
            raise BadValue(f'precision {self.precision!r} of {self.runtime}; expected one of {", ".join(precisions)}')
        if self.device not in (('', 'cuda') if self.software.on_cpu_unless_told else ('',)):
            raise BadValue(f"device {self.device!r} of {self.runtime}; expected none, or 'cuda' of onnxruntime")
        if type(self.threads) is not int or self.threads < 1:
            raise BadValue(f'threads {self.threads!r} of {self.runtime}; expected 1 or more')

    @classmethod
    def read(cls, value: Target | str | Mapping[str, Any], precision: str = 'fp32', threads: int = 1) -> Target:
        """From a config's ``dict(runtime='openvino', precision='int8', threads=1)``, or a word: a runtime, or one of
        :data:`MODES`; ``precision`` and ``threads`` are for words.

        Raises:
            ValueError: For an unknown word or key.
        """
        if isinstance(value, Target):
            return value
        if isinstance(value, str):
            if value not in target_names():
                raise BadValue(f'target {value!r}; expected one of {", ".join(target_names())}')
            mode = value if value in MODES else ''
            return cls('pytorch' if mode else value, precision, threads, mode)
        if not isinstance(value, Mapping):
            raise BadValue(f"target {value!r}; expected dict(runtime='openvino', precision='int8') or a word")
        unknown = set(value) - {field.name for field in fields(cls)}
        if unknown:
            expected = ', '.join(field.name for field in fields(cls))
            raise BadValue(f'target has no {", ".join(sorted(unknown))}; expected some of {expected}')
        return cls(**value)

    def to_dict(self) -> dict[str, Any]:
        """As :meth:`read` takes it."""
        return {key: value for key, value in asdict(self).items() if value != ''}

    @property
    def software(self) -> type[Runtime]:
        """The class of its runtime."""
        return _runtimes[self.runtime]

    def place(self, device: torch.device) -> torch.device:
        """Where it is measured on a machine whose networks are on ``device``."""
        if self.device:
            return torch.device(self.device)
        return torch.device('cpu') if self.software.cpu_only or self.software.on_cpu_unless_told else device

    def __str__(self) -> str:
        name = self.mode or self.runtime
        return name if self.precision == 'fp32' else f'{name} {self.precision}'


class Runtime(ABC):
    """The software that runs networks; a subclass for each, with :func:`register_runtime`.

    Args:
        target: Which precision, threads and mode.
        elsewhere: Whether it runs on another machine, and only its files are written here.

    Raises:
        MissingPackage: If it is not installed; the message says how.
    """

    precisions: ClassVar[tuple[str, ...]] = ('fp32',)
    packages: ClassVar[tuple[str, ...]]
    """Names to import; to be installed under the same names."""
    writers: ClassVar[tuple[str, ...]] = ()
    """Those that its files cannot be written without."""
    cpu_only: ClassVar[bool] = False
    on_cpu_unless_told: ClassVar[bool] = False

    def __init__(self, target: Target, elsewhere: bool = False) -> None:
        self.target = target
        needed = self.writers if elsewhere else self.packages
        missing = [name for name in needed if find_spec(name) is None]
        if missing:
            raise MissingPackage(
                f'target {target}: {", ".join(missing)} is not installed here; pip install {" ".join(missing)}, or '
                'measure on another machine with tools/target_kit.py'
            )

    @classmethod
    def versions(cls) -> dict[str, str]:
        """The version of each package that is there."""
        found = {}
        for name in cls.packages:
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                if find_spec(name):
                    found[name] = str(getattr(importlib.import_module(name), '__version__', '?'))
        return found

    @abstractmethod
    def prepare(self, net: nn.Module, x: Tensor) -> Call:
        """One forward pass as a call, already converted and compiled.

        Args:
            net: In eval mode, on the device of ``x``, batch norm fused.
            x: The input, (N, 3, H, W).

        Raises:
            ValueError: If it does not work here or with this network; the message says why, and names the layer.
        """


def register_runtime(name: str) -> Callable[[type[Runtime]], type[Runtime]]:
    """Registers a runtime under the name that configs and commands use."""

    def register(kind: type[Runtime]) -> type[Runtime]:
        _runtimes[name] = kind
        return kind

    return register


def runtime_names() -> tuple[str, ...]:
    """All registered runtimes."""
    return tuple(_runtimes)


def target_names() -> tuple[str, ...]:
    """What :meth:`Target.read` takes as a word."""
    return (*MODES, *(name for name in _runtimes if name != 'pytorch'))
