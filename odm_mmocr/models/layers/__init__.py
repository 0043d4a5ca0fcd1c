from .attention_pool import AttentionPool2d
from .positions import LearnedPositions2d, resample_positions
from .transformer import CrossAttentionBlock, QuickGELU, SelfAttentionBlock

__all__ = [
    'AttentionPool2d',
    'CrossAttentionBlock',
    'LearnedPositions2d',
    'QuickGELU',
    'SelfAttentionBlock',
    'resample_positions',
]
