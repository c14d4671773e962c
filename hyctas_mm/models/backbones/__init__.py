"""Backbones."""

from hyctas_mm.models.backbones.hrvit import HRViT
from hyctas_mm.models.backbones.hyctas import BranchFeatures, HyCTASBackbone

__all__ = ['BranchFeatures', 'HRViT', 'HyCTASBackbone']
