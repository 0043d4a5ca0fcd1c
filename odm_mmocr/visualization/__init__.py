from .annotations import draw_annotations
from .attention import attention_overlay, ink_overlay
from .labels import LABEL_COLUMNS, label_row, write_pages
from .predictions import attention_sheet, difference_map, prediction_row, validation_sheet
from .readings import READING_COLUMNS, reading_row
from .sheets import draw_sheet, prediction_sheet
from .visualizer import NumberedVisBackend, ODMVisualizer

__all__ = [
    'LABEL_COLUMNS',
    'READING_COLUMNS',
    'NumberedVisBackend',
    'ODMVisualizer',
    'attention_overlay',
    'attention_sheet',
    'difference_map',
    'draw_annotations',
    'draw_sheet',
    'ink_overlay',
    'label_row',
    'prediction_row',
    'prediction_sheet',
    'reading_row',
    'validation_sheet',
    'write_pages',
]
