from .browsing import LabelBrowser, LabelledSample
from .inferencer import Inference, ODMInferencer
from .predictions import (
    build_model,
    evaluate_model,
    figures_table,
    predict_samples,
    validation_samples,
)

__all__ = [
    'Inference',
    'LabelBrowser',
    'LabelledSample',
    'ODMInferencer',
    'build_model',
    'evaluate_model',
    'figures_table',
    'predict_samples',
    'validation_samples',
]
