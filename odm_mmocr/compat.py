"""Checks the versions of the packages this one stands on, and mends what does not go on with them.

mmengine 0.10 reads checkpoints with `torch.load`, which since torch 2.6 unpickles nothing but
tensors and what has been allowed by name, so resuming fails. `allow_training_state` allows what a
training checkpoint holds besides, and no more: loading stays as strict as torch has made it.

mmengine's launchers give each process a GPU before the processes meet, which fails without CUDA.
`join_processes_without_cuda` lets them meet on CPUs.
"""

import functools
import os
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from .version import __version__

# Distribution -> range of versions. `requirements/openmmlab.txt` and the pinned set keep to it.
NEIGHBOURS = {
    'numpy': '>=1.23,<2',
    'torch': '>=2.4',
    'mmengine': '>=0.10.0,<0.11',
    'mmcv': '>=2.0.0,<2.1',
    'mmdet': '>=3.1.0,<3.2',
    'mmocr': '>=1.0.1,<1.1',
}

# The methods that mmengine stores by name with every history buffer.
HISTORY_STATISTICS = ('current', 'max', 'mean', 'min')

# Kinds of number that logs and metrics consist of. Objects are left out on purpose.
NUMBER_TYPES = (
    'bool_',
    'float16',
    'float32',
    'float64',
    'int8',
    'int16',
    'int32',
    'int64',
    'uint8',
    'uint16',
    'uint32',
    'uint64',
)


# Launcher of mmengine -> variable that tells a process its rank, and what sets it.
LAUNCHERS = {
    'pytorch': ('RANK', 'torchrun'),
    'slurm': ('SLURM_PROCID', 'srun'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'mpirun of Open MPI'),
}


def has_mmengine() -> bool:
    """Whether mmengine is installed, without which nothing can be registered."""
    return find_spec('mmengine') is not None


def installed_versions(names: Iterable[str]) -> dict[str, str | None]:
    """The version of each installed distribution, None for one that is not installed.

    Nothing is imported, because a neighbour of the wrong version may fail on import with a message
    of its own that does not help.
    """
    versions: dict[str, str | None] = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def find_misfits(versions: dict[str, str | None]) -> list[str]:
    """Says of each neighbour that does not fit what is wanted, what is there and what to install.

    Args:
        versions: Distribution name to version, or to None where it is not installed.

    Returns:
        One clause for each misfit, in the order of `NEIGHBOURS`; empty when all fit.
    """
    misfits = []
    for name, wanted in NEIGHBOURS.items():
        found = versions.get(name)
        if found is not None and _fits(found, wanted):
            continue
        state = 'is not installed' if found is None else f'is {found}'
        installer = 'mim' if name.startswith('mm') else 'pip'
        misfits.append(f"{name} {state}, needed is {wanted}: {installer} install '{name}{wanted}'")
    return misfits


def check_neighbours() -> None:
    """Checks the versions of torch, numpy and the OpenMMLab packages.

    Raises:
        ImportError: In one line, which package does not fit, the range that does and how to get it;
            also where mmcv lacks its compiled operators, which mmdet cannot be imported without.
    """
    misfits = find_misfits(installed_versions(NEIGHBOURS))
    if not misfits and not _has_operators('mmcv'):
        misfits.append(
            f'mmcv {metadata.version("mmcv")} is without its operators (mmcv._ext), '
            'needed is one that was built with them'
        )
    if misfits:
        raise ImportError(
            f'odm_mmocr {__version__} does not fit here: {"; ".join(misfits)} '
            '(its tools/setup_env.sh makes an environment in which all fit)'
        )


@functools.cache
def allow_training_state() -> None:
    """Lets `torch.load` read the training state in checkpoints of mmengine, and nothing beyond it.

    Allowed are `mmengine.logging.HistoryBuffer`, numpy arrays and scalars of numbers, and, in place
    of `builtins.getattr`, a function that returns the stored statistics methods of `HistoryBuffer`
    and refuses everything else. Calling it again changes nothing.
    """
    import numpy as np
    import torch
    from mmengine.logging import HistoryBuffer

    def history_statistic(owner: type, name: str) -> Callable:
        """The only use of `getattr` in a training checkpoint."""
        if owner is HistoryBuffer and isinstance(name, str) and name in HISTORY_STATISTICS:
            return getattr(HistoryBuffer, name)
        raise ValueError(
            f'this checkpoint asks for attribute {name!r} of {owner!r}, which no training state '
            'does: do not trust the file'
        )

    core = np.core.multiarray
    reconstruct, scalar = core._reconstruct, core.scalar
    dtypes = {type(np.dtype(getattr(np, kind))) for kind in NUMBER_TYPES}
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            _pickled_as('builtins', 'getattr', history_statistic),
            np.ndarray,
            np.dtype,
            *sorted(dtypes, key=str),
            # numpy 1 writes numpy.core, numpy 2 writes numpy._core: files of both can be read.
            *(
                _pickled_as(module, function.__name__, function)
                for module in ('numpy.core.multiarray', 'numpy._core.multiarray')
                for function in (reconstruct, scalar)
            ),
        ]
    )


def check_launcher(launcher: str) -> None:
    """Checks that this process was started by the program that a launcher of mmengine wants.

    Args:
        launcher: One of `LAUNCHERS`, or ``'none'``.

    Raises:
        ValueError: It was not; mmengine ends with a KeyError of the missing variable.
    """
    variable, program = LAUNCHERS.get(launcher, (None, None))
    if variable is not None and variable not in os.environ:
        raise ValueError(
            f'--launcher {launcher}: {variable} is not set; start the command with {program}'
        )


def join_processes_without_cuda(launcher: str, env_cfg: Mapping) -> None:
    """Lets a launcher of mmengine join the processes over gloo, on machines without CUDA.

    Args:
        launcher: One of `LAUNCHERS`.
        env_cfg: As in a config; the backend that its ``dist_cfg`` names is not used.
    """
    import torch
    from mmengine.dist import init_dist
    from mmengine.utils.dl_utils import set_multi_processing

    # mmengine does this before it joins: later it would warn of another start method.
    set_multi_processing(**env_cfg.get('mp_cfg', {}), distributed=True)
    choose_gpu = torch.cuda.set_device
    torch.cuda.set_device = lambda device: None
    try:
        init_dist(launcher, **{**env_cfg.get('dist_cfg', {}), 'backend': 'gloo'})
    finally:
        torch.cuda.set_device = choose_gpu


def _pickled_as(module: str, name: str, function: Callable) -> Callable:
    """A function that stands in for the global `module.name` of a pickle.

    torch knows an allowed function by `__module__` and `__qualname__`; the pair (function, name)
    that `add_safe_globals` also takes is not understood by every version of torch in our range.
    """

    def stand_in(*arguments):
        return function(*arguments)

    stand_in.__module__, stand_in.__qualname__, stand_in.__name__ = module, name, name
    return stand_in


def _fits(version: str, wanted: str) -> bool:
    try:
        return SpecifierSet(wanted).contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


def _has_operators(package: str) -> bool:
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec is not None else None
    return any(any(Path(folder).glob('_ext.*')) for folder in folders or ())
