from .contrastive import BatchContrastiveLoss, contrastive_loss, gather_features
from .ocr_lpips import OCRLPIPSLoss, ocr_lpips
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
    'gather_features',
    'ocr_lpips',
]
