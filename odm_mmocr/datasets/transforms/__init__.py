from .destylize import RenderDestylizedLabel
from .formatting import PackODMInputs
from .loading import LoadTextScores
from .prompt import DropText, IgnoreUnknownText, NoiseText, ensure_prompt
from .warp_scene import WarpScene

__all__ = [
    'DropText',
    'IgnoreUnknownText',
    'LoadTextScores',
    'NoiseText',
    'PackODMInputs',
    'RenderDestylizedLabel',
    'WarpScene',
    'ensure_prompt',
]
