"""How networks compute. Importing registers backbones, necks, heads, cells, nodes and ops."""

from hyctas_mm.models.backbones import BranchFeatures, HRViT, HyCTASBackbone, SeaFormer, StridedMobileNetV3
from hyctas_mm.models.cells import HyCTASCell
from hyctas_mm.models.data_preprocessor import LeanSegDataPreProcessor
from hyctas_mm.models.decode_heads import HyCTASHead, LightHead, LinearSegformerHead
from hyctas_mm.models.losses import HardestPixelsCELoss
from hyctas_mm.models.necks import DenseFusionNeck
from hyctas_mm.models.nodes import HyCTASNode
from hyctas_mm.models.subnet import copy_subnet_weights, cut_subnet, set_arch, subnet_model_cfg

__all__ = [
    'BranchFeatures',
    'DenseFusionNeck',
    'HRViT',
    'HardestPixelsCELoss',
    'HyCTASBackbone',
    'HyCTASCell',
    'HyCTASHead',
    'HyCTASNode',
    'LeanSegDataPreProcessor',
    'LightHead',
    'LinearSegformerHead',
    'SeaFormer',
    'StridedMobileNetV3',
    'copy_subnet_weights',
    'cut_subnet',
    'set_arch',
    'subnet_model_cfg',
]
