"""ONNX Runtime, on the CPU and on NVIDIA's GPUs."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from hyctas_mm.costs.targets.files import FileRuntime
from hyctas_mm.costs.targets.target import Call, register_runtime
from hyctas_mm.errors import BadValue


@register_runtime('onnxruntime')
class OnnxRuntime(FileRuntime):
    """ONNX files; in 8 bits with QDQ nodes. On a GPU input and output stay there, and a call gives its own values."""

    precisions = ('fp32', 'int8')
    packages = ('onnxruntime',)
    on_cpu_unless_told = True

    def open(self, path: Path, x: Tensor) -> Call:
        import onnxruntime

        provider = f'{x.device.type.upper()}ExecutionProvider'
        if provider not in onnxruntime.get_available_providers():
            known = ', '.join(onnxruntime.get_available_providers())
            raise BadValue(
                f"target 'onnxruntime' has no {provider} here (it has {known}); install one that has, or use another "
                '--device'
            )
        return super().open(path, x) if x.device.type == 'cpu' else _bound(path, x, provider)


def _bound(path: Path, x: Tensor, provider: str) -> Call:
    import onnxruntime

    place = (x.device.type, x.device.index or 0)
    session = onnxruntime.InferenceSession(str(path), providers=[(provider, dict(device_id=place[1]))])
    binding = session.io_binding()
    image = x.contiguous()
    binding.bind_input('image', *place, 'float32', tuple(image.shape), image.data_ptr())
    for output in session.get_outputs():
        binding.bind_output(output.name, *place)

    def call(_: Tensor = image) -> object:  # kept alive: the binding has its address only
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return binding.get_outputs()

    return call
