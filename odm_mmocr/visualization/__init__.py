from .annotations import draw_annotations
from .labels import LABEL_COLUMNS, label_row, write_pages
from .readings import READING_COLUMNS, reading_row
from .sheets import draw_sheet, prediction_sheet

__all__ = [
    'LABEL_COLUMNS',
    'READING_COLUMNS',
    'draw_annotations',
    'draw_sheet',
    'label_row',
    'prediction_sheet',
    'reading_row',
    'write_pages',
]
