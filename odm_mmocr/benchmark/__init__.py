"""What an initialisation is worth: the same detector, trained from several starts."""

from .ablation import Ablation, PretrainingRun
from .ablation_plan import AblationPlan, Finetuning, Pretraining, Variant, load_plan
from .comparison import Comparison, Plan
from .execution import Outcome
from .protocol import Protocol, Recipe, Run, Start
from .starts import parse_start

__all__ = [
    'Ablation',
    'AblationPlan',
    'Comparison',
    'Finetuning',
    'Outcome',
    'Plan',
    'Pretraining',
    'PretrainingRun',
    'Protocol',
    'Recipe',
    'Run',
    'Start',
    'Variant',
    'load_plan',
    'parse_start',
]
