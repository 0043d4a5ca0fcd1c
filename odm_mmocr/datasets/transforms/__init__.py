from .formatting import PackODMInputs
from .prompt import DropText, IgnoreUnknownText, NoiseText, ensure_prompt

__all__ = ['DropText', 'IgnoreUnknownText', 'NoiseText', 'PackODMInputs', 'ensure_prompt']
