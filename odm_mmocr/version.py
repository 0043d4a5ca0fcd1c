"""The version of this package, in one place for `setup.py` and for `odm_mmocr.__version__`."""

__version__ = '0.1.0'
