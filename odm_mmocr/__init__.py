"""ODM (OCR-Text Destylization Modeling) for MMOCR.

Importing this package registers its modules into `mmocr.registry`, so a config needs no more than
`custom_imports = dict(imports=['odm_mmocr'], allow_failed_imports=False)`. Without mmengine only
`odm_mmocr.rendering` and `odm_mmocr.synthesis` can be used; they are imported by name.
"""

import warnings

from .compat import allow_training_state, check_neighbours, has_mmengine
from .version import __version__

__all__ = ['__version__']

if has_mmengine():
    # Both before anything that imports a neighbour: the one explains what would fail there, the
    # other must hold for every checkpoint that is read from here on.
    check_neighbours()
    allow_training_state()
    from . import (  # noqa: F401  (importing them is what registers their modules)
        checkpoints,
        datasets,
        engine,
        evaluation,
        models,
        structures,
        visualization,
    )

    # Before the first checkpoint is read: whoever imports this package may go on to train.
    checkpoints.guard_mmengine()
else:
    warnings.warn(
        'mmengine is not installed: of odm_mmocr only rendering and synthesis can be used '
        '(tools/setup_env.sh installs everything)',
        UserWarning,
        stacklevel=2,
    )
