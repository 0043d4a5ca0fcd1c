from .destylize import RenderDestylizedLabel
from .formatting import PackODMInputs
from .guarded_loading import GuardedLoadImageFromFile
from .loading import LoadCharPolygons, LoadTextScores
from .prompt import DropText, IgnoreUnknownText, NoiseText, ensure_prompt
from .warp_scene import WarpScene

__all__ = [
    'DropText',
    'GuardedLoadImageFromFile',
    'IgnoreUnknownText',
    'LoadCharPolygons',
    'LoadTextScores',
    'NoiseText',
    'PackODMInputs',
    'RenderDestylizedLabel',
    'WarpScene',
    'ensure_prompt',
]
