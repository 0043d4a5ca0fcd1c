from .destylize import RenderDestylizedLabel
from .formatting import PackODMInputs
from .prompt import DropText, IgnoreUnknownText, NoiseText, ensure_prompt
from .warp_scene import WarpScene

__all__ = [
    'DropText',
    'IgnoreUnknownText',
    'NoiseText',
    'PackODMInputs',
    'RenderDestylizedLabel',
    'WarpScene',
    'ensure_prompt',
]
