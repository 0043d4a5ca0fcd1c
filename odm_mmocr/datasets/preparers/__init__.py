from .icdar2015 import prepare_icdar2015
from .packers import HeaderTextSpottingPacker
from .parsers import ICDARTxtTextSpottingParser, parse_icdar_line
from .preparation import PreparationError, Report, write_splits

__all__ = [
    'HeaderTextSpottingPacker',
    'ICDARTxtTextSpottingParser',
    'PreparationError',
    'Report',
    'parse_icdar_line',
    'prepare_icdar2015',
    'write_splits',
]
