"""Annotation files of remote storage, copied once."""

import glob
import hashlib
import json
import os
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from mmengine.fileio import (
    BaseStorageBackend,
    HTTPBackend,
    LmdbBackend,
    LocalBackend,
    get_file_backend,
)
from mmengine.fileio.backends import backends
from mmengine.logging import print_log

from .file_cache import ProgressLog, cache_folder, sole_writer, written_by_one

_TIMEOUT = 60  # seconds without an answer
_PIECE = 2**20
_VALIDATORS = ('ETag', 'Last-Modified', 'Content-Length')


def local_annotation(ann_file: str, backend_args: dict | None = None) -> Path:
    """Where an annotation is on this machine; a remote one is copied to the cache first.

    Over HTTP it is streamed, and copied again when the server says that it has changed; from LMDB
    when the database has. MMEngine's other backends do not tell the state of a file: the copy is
    used as long as it is there. All but HTTP hand a file over as a whole: it passes through memory.

    Args:
        ann_file: Path, or address as MMEngine's file backends know it.
        backend_args: The backend, as `mmengine.fileio.get_file_backend` takes it.

    Returns:
        The path given, or that of the copy.

    Raises:
        ValueError: There is no such backend.
        OSError: The file cannot be had, or the copy not be written.
    """
    try:
        backend = get_file_backend(ann_file, backend_args=backend_args)
    except KeyError as error:
        raise ValueError(
            f'MMEngine has no file backend {error} for {ann_file}; it has {", ".join(backends)}, '
            'and those that are registered by mmengine.fileio.register_backend'
        ) from error
    if isinstance(backend, LocalBackend):
        return Path(ann_file)
    state = _read_state(ann_file, backend)
    # Without an address, the backend's settings say where it is, perhaps by relative paths.
    where = '' if '://' in ann_file else os.getcwd()
    source = _digest(json.dumps([ann_file, backend_args, where], sort_keys=True, default=str))
    name = Path(unquote(urlsplit(ann_file).path)).name[-100:] or 'annotation.json'
    folder = cache_folder() / 'annotations'
    path = folder / f'{source}-{_digest(state or "")}-{name}'
    if state is None:
        path = next(folder.glob(f'{source}-*-{glob.escape(name)}'), path)
    if path.is_file():
        print_log(f'a copy of {ann_file} is used, made before: {path}', logger='current')
        return path
    with sole_writer(path):
        if not path.is_file():
            print_log(f'copying {ann_file} to {path}', logger='current')
            with written_by_one(path) as file:
                for piece in _read(ann_file, backend):
                    file.write(piece)
            for old in folder.glob(f'{source}-*'):  # of another state, and indexes of those
                if not old.name.startswith(path.name):
                    old.unlink(missing_ok=True)
    return path


def _read(ann_file: str, backend: BaseStorageBackend) -> Iterator[bytes]:
    if isinstance(backend, HTTPBackend):
        yield from _stream(ann_file)
        return
    content = backend.get(ann_file)
    if content is None:  # LMDB's way of saying so
        raise FileNotFoundError(f'there is no {ann_file} in {type(backend).__name__}')
    yield content


def _stream(url: str) -> Iterator[bytes]:
    done = 0
    try:
        with urlopen(url, timeout=_TIMEOUT) as answer:
            size = int(answer.headers.get('Content-Length') or 0)
            progress = ProgressLog(f'copying {url}', size) if size else None
            while piece := answer.read(_PIECE):
                done += len(piece)
                yield piece
                if progress:
                    progress.report(done)
    except (OSError, HTTPException) as error:
        raise OSError(f'{url} cannot be read: {error}') from error
    if done < size:
        raise OSError(f'{url}: the connection ended after {done} of {size} bytes; start again')


def _read_state(ann_file: str, backend: BaseStorageBackend) -> str | None:
    """What tells a state of the file from others; None where a server says nothing."""
    if isinstance(backend, LmdbBackend):
        path = Path(backend.db_path)
        status = (path / 'data.mdb' if path.is_dir() else path).stat()
        return json.dumps([status.st_size, status.st_mtime_ns])
    if not isinstance(backend, HTTPBackend):
        return ''
    try:
        with urlopen(Request(ann_file, method='HEAD'), timeout=_TIMEOUT) as answer:
            return json.dumps([answer.headers.get(name) for name in _VALIDATORS])
    except (OSError, HTTPException):
        return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
