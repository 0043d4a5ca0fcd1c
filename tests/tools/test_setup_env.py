"""Each failure of the environment script that can be foreseen ends with one line that helps."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / 'tools' / 'setup_env.sh'

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith('linux') or not (3, 10) <= sys.version_info[:2] <= (3, 12),
    reason='the script serves Python 3.10 to 3.12 on Linux',
)


def write_command(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\n{script}\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def commands(tmp_path) -> Path:
    """A folder for commands that stand before those of the system; its `df` sees a large disk."""
    folder = tmp_path / 'commands'
    write_command(folder / 'df', 'echo Filesystem; echo "disk 1 1 999999999 1% /"')
    return folder


@pytest.fixture
def setup(tmp_path, commands):
    """Function that runs the script in a world of its own and returns how that ended."""

    def run(**changes) -> subprocess.CompletedProcess:
        return subprocess.run(
            ['bash', str(SCRIPT)],
            env=environment(tmp_path, commands, **changes),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def environment(folder: Path, commands: Path, **changes) -> dict[str, str]:
    """No settings of this machine; pip asks a registry at a port where nobody listens."""
    kept = {name: os.environ[name] for name in ('LANG', 'LC_ALL') if name in os.environ}
    return {
        **kept,
        'HOME': str(folder),
        'PATH': f'{commands}{os.pathsep}{os.environ["PATH"]}',
        'ODM_VENV': str(folder / 'venv'),
        'ODM_CACHE': str(folder / 'cache'),
        'PIP_CONFIG_FILE': os.devnull,
        'PIP_INDEX_URL': 'http://127.0.0.1:9/simple',
        'PIP_RETRIES': '0',
        **{name: str(value) for name, value in changes.items()},
    }


@pytest.fixture(scope='module')
def bare_venv(tmp_path_factory) -> Path:
    """An environment with pip and nothing else."""
    folder = tmp_path_factory.mktemp('bare') / 'venv'
    base = Path(sys.base_prefix) / 'bin' / f'python3.{sys.version_info.minor}'
    subprocess.run([base, '-m', 'venv', folder], check=True, timeout=120)
    return folder


def without(commands: Path, *hidden: str) -> str:
    """A search path with the commands of the system except those whose names begin so."""
    for folder in ('/usr/bin', '/bin'):
        for command in Path(folder).iterdir():
            link = commands / command.name
            if not command.name.startswith(hidden) and not os.path.lexists(link):
                link.symlink_to(command)
    return str(commands)


def assert_one_helpful_line(result: subprocess.CompletedProcess, *parts: str) -> None:
    assert result.returncode == 1, result.stdout
    (line,) = result.stderr.splitlines()
    for part in parts:
        assert part in line
    assert 'Traceback' not in result.stdout


def test_named_python_does_not_exist(setup):
    assert_one_helpful_line(
        setup(PYTHON='/nowhere/python'), '/nowhere/python does not exist', 'Python 3.10, 3.11 or'
    )


def test_python_too_new(setup, tmp_path):
    script = 'case "$1" in -V) echo Python 3.14.1;; *) echo 3.14 True;; esac'
    python = write_command(tmp_path / 'python3.14', script)
    assert_one_helpful_line(setup(PYTHON=python), 'Python 3.14.1', '3.10, 3.11 or 3.12')


def test_no_python_found(setup, commands):
    result = setup(PATH=without(commands, 'python'))
    assert_one_helpful_line(result, 'no Python 3.10', 'install', 'set PYTHON')


def test_python_without_venv(setup, tmp_path):
    python = write_command(
        tmp_path / 'python3.12', 'case "$2" in *version_info*) echo 3.12 True;; *) exit 1;; esac'
    )
    assert_one_helpful_line(setup(PYTHON=python), 'no venv module', 'python3.12-venv')


def test_folder_that_is_no_environment_is_left_alone(setup, tmp_path):
    precious = tmp_path / 'venv' / 'precious.txt'
    precious.parent.mkdir()
    precious.touch()
    assert_one_helpful_line(setup(), 'is no Python environment', 'ODM_VENV')
    assert precious.exists()


def test_too_little_disk(setup, commands, tmp_path):
    write_command(commands / 'df', 'echo Filesystem; echo "disk 9 9 2097152 9% /"')
    result = setup(PYTHON=sys.executable)
    assert_one_helpful_line(result, 'too little disk', '2 GiB free', 'ODM_VENV')
    assert not (tmp_path / 'venv').exists()


def test_environment_made_with_another_python(setup, bare_venv, tmp_path):
    other = write_command(tmp_path / 'python', 'echo 3.9 True')
    result = setup(ODM_VENV=bare_venv, PYTHON=other)
    assert_one_helpful_line(result, 'made with another Python', 'remove that folder')


def test_cache_cannot_be_written(setup, bare_venv):
    result = setup(ODM_VENV=bare_venv, ODM_CACHE=f'{os.devnull}/cache')
    assert_one_helpful_line(result, 'cannot be written', 'ODM_CACHE')


def test_no_compiler(setup, bare_venv, commands):
    result = setup(ODM_VENV=bare_venv, PATH=without(commands, 'g++', 'c++', 'clang'))
    assert_one_helpful_line(result, 'no C++ compiler', 'apt install g++', 'CXX')


def test_compiler_too_old(setup, bare_venv, tmp_path):
    compiler = write_command(tmp_path / 'old-g++', 'echo "unknown option -std=c++17"; exit 1')
    result = setup(ODM_VENV=bare_venv, CXX=compiler)
    assert_one_helpful_line(result, 'old-g++', 'does not compile C++17')


@pytest.mark.skipif(shutil.which('g++') is None, reason='no compiler')
def test_registry_not_reachable(setup, bare_venv):
    result = setup(ODM_VENV=bare_venv)
    assert_one_helpful_line(result, 'registry cannot be reached', 'pip config list')
    assert not (bare_venv / '.odm_mmocr-stamp').exists()


@pytest.mark.skipif(shutil.which('g++') is None, reason='no compiler')
def test_interrupted(bare_venv, commands, tmp_path):
    with socket.create_server(('127.0.0.1', 0)) as silent:
        address = f'http://127.0.0.1:{silent.getsockname()[1]}/simple'
        process = subprocess.Popen(
            ['bash', str(SCRIPT)],
            env=environment(tmp_path, commands, ODM_VENV=bare_venv, PIP_INDEX_URL=address),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Of a shell in the background, programs inherit that they ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        silent.settimeout(30)
        connection, _ = silent.accept()  # pip is waiting for an answer now
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=90)
        connection.settimeout(10)
        while connection.recv(4096):  # ends when pip is gone
            pass
        connection.close()
    assert process.returncode == 1
    assert 'interrupted; run it again' in errors
