import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture(scope='session')
def load_tool(load_script):
    """Function from the name of a tool to a fresh module of it."""
    return lambda name: load_script(TOOLS / f'{name}.py')


@pytest.fixture
def as_command(monkeypatch):
    """Function from the module of a tool to one that runs it on arguments, in this process."""

    def command(tool):
        def run(*arguments):
            monkeypatch.setattr(sys, 'argv', [Path(tool.__file__).name, *map(str, arguments)])
            tool.main()

        return run

    return command
