"""TensorRT on NVIDIA's GPUs. UNTESTED: there was no machine with it to run this on."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from hyctas_mm.costs.targets.files import FileRuntime
from hyctas_mm.costs.targets.target import Call, register_runtime
from hyctas_mm.errors import BadValue


@register_runtime('tensorrt')
class TensorRT(FileRuntime):
    """Builds an engine from an ONNX file, in 8 bits ours with symmetric QDQ nodes. UNTESTED."""

    precisions = ('fp32', 'fp16', 'int8')
    packages = ('tensorrt',)
    signed = True

    def open(self, path: Path, x: Tensor) -> Call:
        import tensorrt

        if x.device.type != 'cuda':
            raise BadValue(f"target 'tensorrt' runs on a GPU; here the device is {x.device.type}; use --device cuda")
        logger = tensorrt.Logger(tensorrt.Logger.ERROR)
        builder = tensorrt.Builder(logger)
        network = builder.create_network(0)
        parser = tensorrt.OnnxParser(network, logger)
        if not parser.parse(path.read_bytes()):
            raise self.refusal(path, RuntimeError(str(parser.get_error(0))))
        config = builder.create_builder_config()
        for flag in dict(fp16=['FP16'], int8=['INT8', 'FP16']).get(self.target.precision, []):
            config.set_flag(getattr(tensorrt.BuilderFlag, flag))
        built = builder.build_serialized_network(network, config)
        if built is None:
            raise BadValue(f'the network cannot run in {self.target}: TensorRT builds no engine of it')
        engine = tensorrt.Runtime(logger).deserialize_cuda_engine(built)
        context = engine.create_execution_context()
        outputs = []
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            place = x.contiguous()
            if engine.get_tensor_mode(name) == tensorrt.TensorIOMode.OUTPUT:
                place = torch.empty(tuple(engine.get_tensor_shape(name)), device=x.device)
                outputs.append(place)
            context.set_tensor_address(name, place.data_ptr())

        def call(_: Tensor = x) -> list[Tensor]:  # kept alive: the context has its address only
            stream = torch.cuda.current_stream(x.device)
            context.execute_async_v3(stream.cuda_stream)
            stream.synchronize()
            return outputs

        return call
