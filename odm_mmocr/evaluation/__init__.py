from .metrics import DestylizationMetric, PromptControlMetric

__all__ = ['DestylizationMetric', 'PromptControlMetric']
