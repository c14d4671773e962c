"""Backbones."""

from hyctas_mm.models.backbones.hyctas import BranchFeatures, HyCTASBackbone

__all__ = ['BranchFeatures', 'HyCTASBackbone']
