from .odm_data_sample import ODMDataSample

__all__ = ['ODMDataSample']
