"""Words and polygons of images without labels, by an OCR engine."""

from .annotations import Report, write_annotations
from .engines import OCREngine, RapidOCREngine
from .filters import FilterSettings, WordFilter
from .labeller import Labeller
from .perceptual_hash import find_near_duplicates, perceptual_hash
from .reading_run import Shard, read_images
from .readings import ReadingsFile, RecordedReadings
from .sources import ImageSource, open_source
from .words import ReadWord, cut_polygon, split_line
from .workers import read_in_processes

__all__ = [
    'FilterSettings',
    'ImageSource',
    'Labeller',
    'OCREngine',
    'RapidOCREngine',
    'ReadWord',
    'ReadingsFile',
    'RecordedReadings',
    'Report',
    'Shard',
    'WordFilter',
    'cut_polygon',
    'find_near_duplicates',
    'open_source',
    'perceptual_hash',
    'read_images',
    'read_in_processes',
    'split_line',
    'write_annotations',
]
