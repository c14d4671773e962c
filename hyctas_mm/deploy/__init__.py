"""What ships: exported networks, described, checked, quantised and scored, and fast inference in PyTorch."""

from hyctas_mm.deploy.description import OUTPUTS, NetDescription
from hyctas_mm.deploy.onnx_net import OnnxNet
from hyctas_mm.deploy.quantize import QuantizeOptions, quantize
from hyctas_mm.deploy.scoring import compare_latency, score

__all__ = ['OUTPUTS', 'NetDescription', 'OnnxNet', 'QuantizeOptions', 'compare_latency', 'quantize', 'score']
