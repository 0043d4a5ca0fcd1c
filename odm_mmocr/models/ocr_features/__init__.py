"""Frozen networks that read, whose features OCR-LPIPS compares pictures in."""

from .base import FrozenFeatures
from .craft import CRAFTFeatures
from .detector import DetectorFeatures
from .ppocr import PPOCRFeatures

__all__ = ['CRAFTFeatures', 'DetectorFeatures', 'FrozenFeatures', 'PPOCRFeatures']
