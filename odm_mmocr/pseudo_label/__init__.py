"""Words and polygons of images without labels, by an OCR engine."""

from .engines import OCREngine, RapidOCREngine, ReadWord, split_line

__all__ = ['OCREngine', 'RapidOCREngine', 'ReadWord', 'split_line']
