"""What an exported network is, how it is checked, quantised and scored."""

from hyctas_mm.deploy.description import OUTPUTS, NetDescription
from hyctas_mm.deploy.onnx_net import OnnxNet
from hyctas_mm.deploy.quantize import QuantizeOptions, quantize
from hyctas_mm.deploy.scoring import compare_latency, score

__all__ = ['OUTPUTS', 'NetDescription', 'OnnxNet', 'QuantizeOptions', 'compare_latency', 'quantize', 'score']
