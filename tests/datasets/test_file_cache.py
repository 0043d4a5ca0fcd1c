"""One process makes a file, whatever becomes of it, and on whatever file system."""

import errno
import fcntl
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from odm_mmocr.datasets import file_cache
from odm_mmocr.datasets.file_cache import ProgressLog, cache_folder, sole_writer, written_by_one

fork = multiprocessing.get_context('fork')


@pytest.mark.parametrize(
    ('odm', 'xdg', 'expected'),
    [
        ('/a', '/b', '/a'),
        ('', '/b', '/b/odm_mmocr'),
        ('', 'relative', '~/.cache/odm_mmocr'),
        ('', '', '~/.cache/odm_mmocr'),
    ],
)
def test_cache_folder(monkeypatch, odm, xdg, expected):
    monkeypatch.setenv('ODM_CACHE', odm)
    monkeypatch.setenv('XDG_CACHE_HOME', xdg)
    assert cache_folder() == Path(expected).expanduser()


def make_unless_there(path, started):
    started.wait()
    with sole_writer(path):
        if not path.exists():
            with open(f'{path}.log', 'a') as log:
                log.write('made\n')
            time.sleep(0.2)
            with written_by_one(path) as file:
                file.write(b'content')


def test_one_of_many_processes_makes_it(tmp_path):
    path = tmp_path / 'folder' / 'file'
    path.parent.mkdir()
    started = fork.Barrier(6)
    processes = [fork.Process(target=make_unless_there, args=(path, started)) for _ in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    assert path.read_bytes() == b'content'
    assert Path(f'{path}.log').read_text() == 'made\n'
    assert sorted(os.listdir(path.parent)) == ['file', 'file.log']  # no lock is left


def write_half(path, begun):
    with sole_writer(path), written_by_one(path) as file:
        file.write(b'half')
        file.flush()
        begun.set()
        time.sleep(60)


def test_a_killed_process_holds_nobody_off_and_leaves_nothing(tmp_path):
    path = tmp_path / 'file'
    begun = fork.Event()
    process = fork.Process(target=write_half, args=(path, begun))
    process.start()
    assert begun.wait(30)
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    assert not path.exists() and len(os.listdir(tmp_path)) == 2  # the lock and the half
    with sole_writer(path), written_by_one(path) as file:
        file.write(b'whole')
    assert path.read_bytes() == b'whole'
    assert os.listdir(tmp_path) == ['file']


def test_without_locks_each_writes_a_file_of_its_own(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(errno.ENOLCK, 'no locks available')

    monkeypatch.setattr(fcntl, 'flock', refuse)
    path = tmp_path / 'file'
    with sole_writer(path), sole_writer(path), written_by_one(path) as mine:
        monkeypatch.setattr(file_cache.socket, 'gethostname', lambda: 'elsewhere')
        with written_by_one(path) as other:
            other.write(b'content')
        mine.write(b'content')
    assert path.read_bytes() == b'content'
    assert os.listdir(tmp_path) == ['file']


def test_progress_is_told_every_ten_seconds(monkeypatch):
    told = []
    clock = iter([0, 5, 11, 12, 22])
    monkeypatch.setattr(file_cache.time, 'monotonic', lambda: next(clock))
    monkeypatch.setattr(file_cache, 'print_log', lambda message, **_: told.append(message))
    progress = ProgressLog('indexing a.json', int(100e6))
    for done in (10e6, 22e6, 24e6, 44e6):
        progress.report(done)
    assert told == [
        'indexing a.json: 22%, 2 MB/s, 39 s left',
        'indexing a.json: 44%, 2 MB/s, 28 s left',
    ]
