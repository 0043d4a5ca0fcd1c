"""Frozen networks that read, whose features OCR-LPIPS compares pictures in."""

from .base import FrozenFeatures
from .ppocr import PPOCRFeatures

__all__ = ['FrozenFeatures', 'PPOCRFeatures']
