from .destylize import RenderDestylizedLabel
from .formatting import PackODMInputs
from .loading import LoadCharPolygons, LoadTextScores
from .prompt import DropText, IgnoreUnknownText, NoiseText, ensure_prompt
from .warp_scene import WarpScene

__all__ = [
    'DropText',
    'IgnoreUnknownText',
    'LoadCharPolygons',
    'LoadTextScores',
    'NoiseText',
    'PackODMInputs',
    'RenderDestylizedLabel',
    'WarpScene',
    'ensure_prompt',
]
