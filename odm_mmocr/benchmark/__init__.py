"""What an initialisation is worth: the same detector, trained from several starts."""

from .comparison import Comparison, Plan
from .execution import Outcome
from .protocol import Protocol, Recipe, Run, Start
from .starts import parse_start

__all__ = ['Comparison', 'Outcome', 'Plan', 'Protocol', 'Recipe', 'Run', 'Start', 'parse_start']
