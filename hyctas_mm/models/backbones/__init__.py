"""Backbones."""

from hyctas_mm.models.backbones.hrvit import HRViT
from hyctas_mm.models.backbones.hyctas import BranchFeatures, HyCTASBackbone
from hyctas_mm.models.backbones.mobilenet_v3 import StridedMobileNetV3

__all__ = ['BranchFeatures', 'HRViT', 'HyCTASBackbone', 'StridedMobileNetV3']
