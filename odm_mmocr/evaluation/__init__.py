from .end_to_end import EndToEndMetric
from .metrics import DestylizationMetric, PromptControlMetric
from .read_back_metric import ReadBackMetric
from .retrieval import RetrievalMetric

__all__ = [
    'DestylizationMetric',
    'EndToEndMetric',
    'PromptControlMetric',
    'ReadBackMetric',
    'RetrievalMetric',
]
