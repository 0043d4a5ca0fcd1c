"""Fixtures that tests of several rooms share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """The folder of shared data sets: $ODM_SHARED_DATA, else `shared/data` beside the repository.

    Skips the test, with the reason, where there is no such folder.
    """
    given = os.environ.get('ODM_SHARED_DATA')
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / 'shared' / 'data'
    if not folder.is_dir():
        pytest.skip(f'shared data sets are not at {folder} (set ODM_SHARED_DATA to their folder)')
    return folder
