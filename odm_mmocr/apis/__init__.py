from .predictions import build_model, evaluate_model, predict_samples, validation_samples

__all__ = ['build_model', 'evaluate_model', 'predict_samples', 'validation_samples']
