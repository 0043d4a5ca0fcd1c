"""ODM (OCR-Text Destylization Modeling) for MMOCR.

Importing this package registers its modules into `mmocr.registry`, so a config needs no more than
`custom_imports = dict(imports=['odm_mmocr'], allow_failed_imports=False)`. Without mmengine only
`odm_mmocr.rendering` and `odm_mmocr.synthesis` can be used; they are imported by name.
"""

import importlib
import warnings
from importlib.util import find_spec

from .compat import allow_training_state, check_neighbours, has_mmengine
from .version import __version__

__all__ = ['__version__']

if has_mmengine():
    check_neighbours()
    allow_training_state()
    for _room in (
        'checkpoints',
        'datasets',
        'engine',
        'evaluation',
        'models',
        'structures',
        'visualization',
    ):
        if find_spec(f'{__name__}.{_room}') is not None:
            importlib.import_module(f'{__name__}.{_room}')
else:
    warnings.warn(
        'mmengine is not installed: of odm_mmocr only rendering and synthesis can be used '
        '(tools/setup_env.sh installs everything)',
        UserWarning,
        stacklevel=2,
    )
