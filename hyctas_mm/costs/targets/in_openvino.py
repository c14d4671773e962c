"""OpenVINO on the CPU."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from torch import Tensor, nn

from hyctas_mm.costs.targets.files import FileRuntime
from hyctas_mm.costs.targets.target import Call, register_runtime
from hyctas_mm.errors import BadValue

COMPILE = 'import sys, openvino; openvino.Core().compile_model(sys.argv[1], "CPU")'


@register_runtime('openvino')
class OpenVino(FileRuntime):
    """Reads ONNX files, in 8 bits ours with QDQ nodes. Floats are 32 bits wide: where the CPU has bfloat16 OpenVINO
    would take that by itself, and be up to twice as fast and 0.4 % off.
    """

    precisions = ('fp32', 'int8')
    packages = ('openvino',)
    cpu_only = True

    def prepare(self, net: nn.Module, x: Tensor) -> Call:
        with tempfile.TemporaryDirectory() as folder:
            path = self.write(net, x, Path(folder), 'model')
            if self.target.precision == 'int8':
                self._try_elsewhere(path)
            return self.open(path, x)

    def _try_elsewhere(self, path: Path) -> None:
        """Compiles a file in another process first: OpenVINO 2026.4 ends the process on some networks in 8 bits, DDRNet
        and PIDNet among them. Searches, whose networks it takes, open their files at once.
        """
        done = subprocess.run([sys.executable, '-c', COMPILE, str(path)], capture_output=True)
        if done.returncode < 0:
            name = signal.Signals(-done.returncode).name
            raise BadValue(f'the network cannot run in {self.target}: OpenVINO itself ends with {name}; use fp32')
