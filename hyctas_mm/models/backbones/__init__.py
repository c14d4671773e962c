"""Backbones."""

from hyctas_mm.models.backbones.hrvit import HRViT
from hyctas_mm.models.backbones.hyctas import BranchFeatures, HyCTASBackbone
from hyctas_mm.models.backbones.mobilenet_v3 import StridedMobileNetV3
from hyctas_mm.models.backbones.seaformer import SeaFormer

__all__ = ['BranchFeatures', 'HRViT', 'HyCTASBackbone', 'SeaFormer', 'StridedMobileNetV3']
