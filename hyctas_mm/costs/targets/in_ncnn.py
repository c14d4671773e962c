"""ncnn on the CPU, converted by pnnx."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from hyctas_mm.costs.targets.files import FileRuntime
from hyctas_mm.costs.targets.target import Call, register_runtime
from hyctas_mm.errors import BadValue


@register_runtime('ncnn')
class Ncnn(FileRuntime):
    """A .param file and its .bin, made by pnnx from an ONNX file. Not in 8 bits: ncnn has tools of its own for that,
    which need a table of each layer's range.
    """

    packages = ('ncnn', 'pnnx')
    writers = packages
    cpu_only = True

    def write(self, net: nn.Module, x: Tensor, folder: Path, name: str) -> Path:
        with tempfile.TemporaryDirectory() as place:
            return self.convert(super().write(net, x, Path(place), 'model'), x.shape, folder / f'{name}.param')

    def convert(self, source: Path, shape: Sequence[int], path: Path) -> Path:
        """Writes an ONNX file as ncnn's two.

        Args:
            source: The ONNX file, which takes normalised float32.
            shape: Of its input, (1, 3, H, W).
            path: The .param file to write; the .bin goes beside it.

        Returns:
            ``path``.

        Raises:
            ValueError: If ncnn has no form of a layer, naming it.
        """
        import pnnx

        with tempfile.TemporaryDirectory() as place:
            model = Path(place, 'model.onnx')
            model.write_bytes(source.read_bytes())
            command = [pnnx.EXEC_PATH, str(model), f'inputshape=[{",".join(map(str, shape))}]f32', 'fp16=0']
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
            made = Path(place, 'model.ncnn.param')
            if done.returncode or not made.is_file():
                last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ['no word']
                raise self.refusal(model, RuntimeError(f'pnnx ended with {done.returncode}: {last[0]}'))
            unknown = _unknown_layers(made)
            if unknown:
                raise self.refusal(model, RuntimeError(f'pnnx has no form of {", ".join(unknown)} for ncnn'))
            path.write_bytes(made.read_bytes())
            path.with_suffix('.bin').write_bytes(made.with_suffix('.bin').read_bytes())
        return path

    def open(self, path: Path, x: Tensor) -> Call:
        if x.shape[0] != 1:
            raise BadValue(f'target ncnn takes one image at a time; expected a batch of 1, got {x.shape[0]}')
        return super().open(path, x)


def _unknown_layers(path: Path) -> list[str]:
    """Operations in a .param file that ncnn does not have; pnnx writes them as they are."""
    import ncnn

    lines = path.read_text(encoding='utf-8').splitlines()[2:]
    kinds = dict.fromkeys(line.split()[0] for line in lines if line.strip())
    return [re.sub(r'^\w+::', '', kind) for kind in kinds if ncnn.layer_to_index(kind) < 0]
