from .contrastive import BatchContrastiveLoss, bounded_scale, contrastive_loss, start_log_scale
from .ocr_lpips import OCRLPIPSLoss, ocr_lpips
from .processes import exchange, gather_rows, mean_over_processes
from .segmentation import DestylizationSegLoss, bce_loss, dice_loss
from .word_contrastive import WordContrastiveLoss

__all__ = [
    'BatchContrastiveLoss',
    'DestylizationSegLoss',
    'OCRLPIPSLoss',
    'WordContrastiveLoss',
    'bce_loss',
    'bounded_scale',
    'contrastive_loss',
    'dice_loss',
    'exchange',
    'gather_rows',
    'mean_over_processes',
    'ocr_lpips',
    'start_log_scale',
]
