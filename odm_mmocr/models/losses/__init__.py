from .contrastive import BatchContrastiveLoss, contrastive_loss
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
    'contrastive_loss',
    'dice_loss',
    'exchange',
    'gather_rows',
    'mean_over_processes',
    'ocr_lpips',
]
