"""Files that are made once and used by many processes."""

import glob
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mmengine.logging import print_log

from odm_mmocr.output_files import lock_file, open_output, written_whole

_REPORT_SECONDS = 10.0


def cache_folder() -> Path:
    """Folder of files that can be made again: $ODM_CACHE, else `odm_mmocr` in $XDG_CACHE_HOME."""
    if given := os.environ.get('ODM_CACHE'):
        return Path(given)
    # What is not absolute is to be ignored, says the XDG Base Directory Specification.
    base = Path(os.environ.get('XDG_CACHE_HOME') or '')
    return (base if base.is_absolute() else Path.home() / '.cache') / 'odm_mmocr'


@contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Hold other processes off while a file is made; wait for one that makes it already.

    What was made by another process meanwhile is found by looking again. A process that is killed
    holds nobody off. On file systems without locks nobody is held off, and each makes the file.

    Args:
        path: The file; its folder is made where needed.

    Raises:
        OSError: Nothing can be written to its folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f'.{path.name}.lock')
    held = _hold(lock, path)
    try:
        if held is not None:
            # Of processes that were killed.
            for left in path.parent.glob(f'.{glob.escape(path.name)}.*.part'):
                left.unlink(missing_ok=True)
        yield
    finally:
        lock.unlink(missing_ok=True)
        if held is not None:
            held.close()


@contextmanager
def written_by_one(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that appears when it is complete, whoever else writes it at that time.

    Args:
        path: The file.

    Yields:
        The open file.

    Raises:
        OSError: As :func:`odm_mmocr.output_files.written_whole`.
    """
    mine = path.with_name(f'{path.name}.{socket.gethostname()}-{os.getpid()}')
    with written_whole(mine) as file:
        yield file
    os.replace(mine, path)


class ProgressLog:
    """Tells in the log, every ten seconds, how far the reading of a file is.

    Args:
        what: What is done, with the name of the file.
        size: Its bytes.
    """

    def __init__(self, what: str, size: int) -> None:
        self._what = what
        self._size = size
        self._started = self._told = time.monotonic()

    def report(self, done: int) -> None:
        """Take note that so many bytes, 1 or more, are done."""
        now = time.monotonic()
        if now - self._told < _REPORT_SECONDS:
            return
        self._told = now
        rate = done / (now - self._started)
        print_log(
            f'{self._what}: {done / self._size:.0%}, {rate / 1e6:.0f} MB/s, '
            f'{(self._size - done) / rate:.0f} s left',
            logger='current',
        )


def _hold(lock: Path, path: Path) -> IO | None:
    while True:
        file = open_output(lock, 'a')
        try:
            held = lock_file(file)
            if held is False:
                print_log(f'waiting for another process that makes {path}', logger='current')
                held = lock_file(file, wait=True)
        except BaseException:
            file.close()
            raise
        if held is None:
            file.close()
            return None
        # The process that held it has deleted it, and another may have made a new one.
        if _is_open(lock, file):
            return file
        file.close()


def _is_open(path: Path, file: IO) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
