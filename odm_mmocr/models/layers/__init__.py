from .attention_pool import AttentionPool2d
from .positions import LearnedPositions2d, resample_positions
from .recomputation import recompute_in_backward
from .transformer import CrossAttentionBlock, QuickGELU, SelfAttentionBlock
from .upsampled_conv import UpsampledConv2d

__all__ = [
    'AttentionPool2d',
    'CrossAttentionBlock',
    'LearnedPositions2d',
    'QuickGELU',
    'SelfAttentionBlock',
    'UpsampledConv2d',
    'recompute_in_backward',
    'resample_positions',
]
