import sys

import pytest

STEADY = 'import time; kept = bytearray(10**8); time.sleep(1)'
GROWING = 'import time\nkept = []\nfor _ in range(20): kept.append(b"x" * 10**7); time.sleep(0.05)'


@pytest.fixture
def command(load_tool, as_command):
    return as_command(load_tool('watch_memory'))


def test_steady_and_growing(command, capsys, tmp_path):
    options = ('--warm-up', '0.1', '--interval', '0.02', '--limit', '3')
    table = tmp_path / 'memory.csv'
    command(*options, '--csv', table, '--', sys.executable, '-c', STEADY)
    assert 'main: ' in capsys.readouterr().out
    lines = table.read_text().splitlines()
    assert lines[0] == 'seconds,main,workers,total'
    assert len(lines) > 10
    with pytest.raises(SystemExit, match='error: more than 3 %'):
        command(*options, '--', sys.executable, '-c', GROWING)


def test_wrong_input(command, capsys):
    with pytest.raises(SystemExit, match='2'):
        command('--limit', '3')
    assert 'a command is needed after --' in capsys.readouterr().err
    with pytest.raises(SystemExit, match='error: the command ended with status 4'):
        command('--', sys.executable, '-c', 'raise SystemExit(4)')
    with pytest.raises(SystemExit, match='error: .*no-such-program'):
        command('--', 'no-such-program')
