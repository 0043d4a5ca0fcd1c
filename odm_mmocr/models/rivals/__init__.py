from .base import BackboneEncoder
from .masked_image import MaskedImageModel
from .oclip import OCLIP
from .stkm import STKM

__all__ = ['OCLIP', 'STKM', 'BackboneEncoder', 'MaskedImageModel']
