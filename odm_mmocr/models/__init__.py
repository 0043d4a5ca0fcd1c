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
from .postprocessors import FastFCEPostprocessor
from .rivals import OCLIP, STKM, BackboneEncoder, MaskedImageModel
from .sharding import ODMFullyShardedDataParallel
from .text_controller import TextController
from .word_encoder import WordEncoder

__all__ = [
    'OCLIP',
    'ODM',
    'STKM',
    'BackboneEncoder',
    'BatchContrastiveLoss',
    'CRAFTFeatures',
    'DestylizationHead',
    'DestylizationSegLoss',
    'DetectorFeatures',
    'FastFCEPostprocessor',
    'MaskedImageModel',
    'OCRLPIPSLoss',
    'ODMDataPreprocessor',
    'ODMFullyShardedDataParallel',
    'ODMImageEncoder',
    'PPOCRFeatures',
    'TextController',
    'WordContrastiveLoss',
    'WordEncoder',
]
