from .masked_image import BackboneEncoder, MaskedImageModel
from .oclip import OCLIP
from .stkm import STKM

__all__ = ['OCLIP', 'STKM', 'BackboneEncoder', 'MaskedImageModel']
