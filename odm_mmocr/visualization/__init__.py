from .sheets import draw_sheet, prediction_sheet

__all__ = ['draw_sheet', 'prediction_sheet']
