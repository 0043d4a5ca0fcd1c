from .ctw1500 import find_ctw1500, parse_ctw1500_file, parse_ctw1500_line, prepare_ctw1500
from .icdar2015 import find_icdar2015, prepare_icdar2015
from .lsvt import find_lsvt, parse_lsvt_instance, prepare_lsvt
from .mat_files import MatFile, MatFileError
from .msra_td500 import find_msra_td500, parse_msra_td500_line, prepare_msra_td500
from .packers import HeaderTextSpottingPacker
from .parsers import ICDARTxtTextSpottingParser, parse_icdar_line
from .preparation import ImageAnnotation, PreparationError, Report, SplitReader, prepare_splits
from .synthtext import SynthTextReader, find_synthtext, prepare_synthtext
from .totaltext import (
    find_totaltext,
    parse_totaltext_file,
    parse_totaltext_record,
    prepare_totaltext,
)

# own_files is not here: it reads lines as annotation_files does, which itself imports this package.
__all__ = [
    'HeaderTextSpottingPacker',
    'ICDARTxtTextSpottingParser',
    'ImageAnnotation',
    'MatFile',
    'MatFileError',
    'PreparationError',
    'Report',
    'SplitReader',
    'SynthTextReader',
    'find_ctw1500',
    'find_icdar2015',
    'find_lsvt',
    'find_msra_td500',
    'find_synthtext',
    'find_totaltext',
    'parse_ctw1500_file',
    'parse_ctw1500_line',
    'parse_icdar_line',
    'parse_lsvt_instance',
    'parse_msra_td500_line',
    'parse_totaltext_file',
    'parse_totaltext_record',
    'prepare_ctw1500',
    'prepare_icdar2015',
    'prepare_lsvt',
    'prepare_msra_td500',
    'prepare_splits',
    'prepare_synthtext',
    'prepare_totaltext',
]
