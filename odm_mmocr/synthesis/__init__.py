"""Synthetic scene-text images: backgrounds + words + fonts, with exact annotation."""

from odm_mmocr.synthesis.scene import Scene, SceneSynthesizer

__all__ = ['Scene', 'SceneSynthesizer']
