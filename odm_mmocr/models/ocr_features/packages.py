"""Weights that installed packages carry: nothing is downloaded at run time."""

import importlib.util
from pathlib import Path


def packaged_file(module: str, file: str, user: str, install: str) -> Path:
    """Find a file in an installed package, without importing the package.

    Args:
        module: Name under which the package is imported.
        file: Path of the file in the package.
        user: What needs the file, for messages.
        install: How to install the package, for messages.

    Returns:
        Path of the file.

    Raises:
        ImportError: The package is not installed.
        FileNotFoundError: The package has no such file.
    """
    spec = importlib.util.find_spec(module)
    if spec is None:
        raise ImportError(f'{user} needs the package {module}, for its file {file}; {install}')
    path = Path(spec.submodule_search_locations[0]) / file
    if not path.is_file():
        raise FileNotFoundError(
            f'{user}: the package {module} is installed, but without {path}; {install}'
        )
    return path
