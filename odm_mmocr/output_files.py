"""Files that are whole or not there at all, and locks on what several processes write."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def open_output(path: str | os.PathLike, mode: str) -> IO:
    """Open a file for writing that is no link.

    Data sets come as archives, and what is written beside their images must not follow a link in
    these to a file elsewhere.

    Args:
        path: The file.
        mode: As of :func:`open`.

    Raises:
        OSError: It is a link, or it cannot be written.
    """
    try:
        return open(path, mode, opener=lambda p, flags: os.open(p, flags | os.O_NOFOLLOW, 0o666))
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise OSError(
            errno.ELOOP, f'{path} is a link, through which nothing is written; remove it'
        ) from error


@contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[IO[bytes]]:
    """Open a binary file for writing that appears under its name only when it is complete.

    It is written beside, then renamed: what stood there before stays until then, also when the
    disk is full or the process is killed.

    Args:
        path: The file; its folder is made where needed.

    Yields:
        The open file.

    Raises:
        OSError: The file cannot be written; when the disk is full the error says so.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # One name for all tries: what a killed process has left is overwritten by the next.
    beside = path.with_name(f'.{path.name}.part')
    try:
        with open_output(beside, 'wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        _flush_folder(path.parent)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        # torch.save turns a failed write into a RuntimeError and keeps the OSError as context.
        full = disk_full(error)
        if full is None:
            raise
        raise OSError(
            full.errno,
            f'{os.strerror(full.errno)}: {path} was not written, files saved before are whole; '
            'free space and try again',
        ) from error


def _flush_folder(folder: Path) -> None:
    """Let a new name in a folder survive a power failure, before older files are deleted."""
    with suppress(OSError):  # a file system that cannot, a folder that must not be read
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def lock_file(file: IO, wait: bool = False) -> bool | None:
    """Lock an open file against other processes until it is closed.

    Args:
        file: The file.
        wait: Whether to wait for another process that has locked it.

    Returns:
        Whether it is locked now: False where another process has locked it, None on file systems
        without locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def lock_output(file: IO, path: str | os.PathLike) -> None:
    """Lock a file that is being written until it is closed; nothing on file systems without locks.

    Args:
        file: The open file.
        path: What it is to become, for the message.

    Raises:
        BlockingIOError: Another process has locked it.
    """
    if lock_file(file) is False:
        raise BlockingIOError(f'another process writes {path}; wait for it, or give another --out')


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it came from, down to the first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def disk_full(error: BaseException) -> OSError | None:
    """Find the error of a full disk among the causes of an error."""
    found = (e for e in causes(error) if isinstance(e, OSError) and e.errno in NO_SPACE)
    return next(found, None)
