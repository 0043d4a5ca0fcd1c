from .odm_data_sample import ODMDataSample
from .tensors import map_tensors

__all__ = ['ODMDataSample', 'map_tensors']
