from .browsing import LabelBrowser, LabelledSample
from .predictions import build_model, evaluate_model, predict_samples, validation_samples

__all__ = [
    'LabelBrowser',
    'LabelledSample',
    'build_model',
    'evaluate_model',
    'predict_samples',
    'validation_samples',
]
