from .data_preprocessor import ODMDataPreprocessor
from .destylization_head import DestylizationHead
from .image_encoder import ODMImageEncoder
from .losses import (
    BatchContrastiveLoss,
    DestylizationSegLoss,
    OCRLPIPSLoss,
    WordContrastiveLoss,
)
from .ocr_features import CRAFTFeatures, DetectorFeatures, PPOCRFeatures
from .odm import ODM
from .sharding import ODMFullyShardedDataParallel
from .text_controller import TextController

__all__ = [
    'ODM',
    'BatchContrastiveLoss',
    'CRAFTFeatures',
    'DestylizationHead',
    'DestylizationSegLoss',
    'DetectorFeatures',
    'OCRLPIPSLoss',
    'ODMDataPreprocessor',
    'ODMFullyShardedDataParallel',
    'ODMImageEncoder',
    'PPOCRFeatures',
    'TextController',
    'WordContrastiveLoss',
]
