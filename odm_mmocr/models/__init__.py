from .data_preprocessor import ODMDataPreprocessor
from .destylization_head import DestylizationHead
from .image_encoder import ODMImageEncoder
from .losses import (
    BatchContrastiveLoss,
    DestylizationSegLoss,
    OCRLPIPSLoss,
    WordContrastiveLoss,
)
from .ocr_features import PPOCRFeatures
from .odm import ODM
from .text_controller import TextController

__all__ = [
    'ODM',
    'BatchContrastiveLoss',
    'DestylizationHead',
    'DestylizationSegLoss',
    'OCRLPIPSLoss',
    'ODMDataPreprocessor',
    'ODMImageEncoder',
    'PPOCRFeatures',
    'TextController',
    'WordContrastiveLoss',
]
