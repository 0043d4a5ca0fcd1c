"""What tests of several modules need."""

import sys
from pathlib import Path

import pytest


@pytest.fixture(scope='session')
def faulty_work():
    """The module of that name, importable also in other processes that are started."""
    folder = str(Path(__file__).parent)
    sys.path.insert(0, folder)
    import faulty_work

    yield faulty_work
    sys.path.remove(folder)
