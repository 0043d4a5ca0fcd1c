"""Where each entry of an annotation file is, kept in a file that processes share."""

import errno
import hashlib
import json
import os
import struct
import time
import weakref
import zlib
from array import array
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from .annotation_stream import AnnotationStream
from .file_cache import ProgressLog, cache_folder, sole_writer, written_by_one

SUFFIX = '.odm_index'
_MAGIC = b'ODMINDEX'
_VERSION = 1
# Magic, version, checksum of all that follows, bytes of the head.
_START = struct.Struct('<8sIIQ')
_ENDS = 64 * 2**10  # bytes of the beginning and the end of an annotation that tell it from others
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)

Rows = range | np.ndarray


class AnnotationIndex:
    """The entries of an annotation file, each read from the file when it is asked for.

    Of a million entries, 16 MB are in memory: begin and end of each, mapped from the index file, so
    that all processes share them. Copies share them too, and pickling sends the paths alone.

    Args:
        annotation: MMOCR's JSON, or JSON Lines, see :class:`AnnotationStream`.
        path: Its index, as :func:`open_index` makes it.

    Attributes:
        metainfo (dict): What the annotation says of itself.

    Raises:
        FileNotFoundError: One of them is missing.
        StaleIndex: The index is of another annotation or state of it, cut off or damaged.
    """

    def __init__(self, annotation: Path, path: Path) -> None:
        self.annotation = annotation
        self.path = path
        self._descriptor = os.open(annotation, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)
        head, self._spans, self._checksum = _map(path)
        if head['signature'] != _sign(self._descriptor):
            raise StaleIndex(f'{path} is of another state of {annotation}')
        self.metainfo: dict = head['metainfo']
        self._common = set(head['common'])
        self._lacking: dict[str, int] = head['lacking']

    def __len__(self) -> int:
        return len(self._spans)

    def __getitem__(self, number: int) -> dict:
        """Read entry `number`, from 0.

        Raises:
            ValueError: The annotation has been written over since it was opened.
        """
        begin, end = self._spans[number].tolist()
        try:
            return json.loads(os.pread(self._descriptor, end - begin, begin))
        except ValueError as error:
            raise ValueError(
                f'{self.annotation}: entry {number}, bytes {begin} to {end}: {error}. The file was '
                'written over while in use; start again, and put new annotations beside old ones '
                'and rename them'
            ) from error

    def first_without(self, key: str) -> int | None:
        """Number of the first entry that lacks a key, or None if there is none."""
        return None if key in self._common else self._lacking.get(key, 0)

    def __deepcopy__(self, memo: dict) -> 'AnnotationIndex':
        return self

    def __reduce__(self) -> tuple:
        return _reopen, (self.annotation, self.path, self._checksum)


class StaleIndex(ValueError):
    """An index that does not belong to its annotation as it is now."""


def open_index(annotation: Path) -> AnnotationIndex:
    """Open the index of an annotation; make it where there is none that fits.

    It lies beside the annotation, and where that folder cannot be written, in
    :func:`~odm_mmocr.datasets.file_cache.cache_folder`. It fits as long as size, time of
    modification, beginning and end of the annotation stay the same. One process makes it and others
    that open it wait.

    Args:
        annotation: The file; of JSON Lines its name ends in `.jsonl`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is malformed, see :class:`AnnotationStream`, has no entries, or changes while
            it is read.
        OSError: The index cannot be written; the error says where to.
    """
    open(annotation, 'rb').close()  # its own errors, before those of the index
    annotation = Path(os.path.abspath(annotation))
    name = hashlib.sha256(os.fsencode(annotation)).hexdigest()[:16]
    places = (
        annotation.with_name(annotation.name + SUFFIX),
        cache_folder() / 'indexes' / f'{name}-{annotation.name}{SUFFIX}',
    )
    for path in places:
        if (index := _open_fitting(annotation, path)) is not None:
            return index
    for path in places:
        try:
            with sole_writer(path):
                # Another process may have made it while this one waited.
                if (index := _open_fitting(annotation, path)) is not None:
                    return index
                build_index(annotation, path)
                return AnnotationIndex(annotation, path)
        except OSError as error:
            if error.errno not in _NOT_ALLOWED:
                raise
            refusal = error
    raise OSError(
        refusal.errno,
        f'the index of {annotation} can be written neither beside it nor to {path.parent}; set '
        '$ODM_CACHE to a folder that can be written',
    ) from refusal


def build_index(annotation: Path, path: Path) -> None:
    """Read an annotation once and write its index.

    Args:
        annotation: The file.
        path: The index.

    Raises:
        ValueError: As :func:`open_index`.
        OSError: The index cannot be written.
    """
    started = time.monotonic()
    with open(annotation, 'rb') as file:
        signature = _sign(file.fileno())
        stream = AnnotationStream(file, str(annotation), annotation.suffix.lower() == '.jsonl')
        progress = ProgressLog(f'indexing {annotation}', signature['size'])
        spans = array('Q')
        common: set[str] = set()
        lacking: dict[str, int] = {}
        for entry, begin, end in stream:
            number = len(spans) // 2
            if not number:
                common.update(entry)
            elif not common <= entry.keys():
                lacking.update(dict.fromkeys(common - entry.keys(), number))
                common &= entry.keys()
            spans.append(begin)
            spans.append(end)
            if not number % 1000:
                progress.report(end)
        if _sign(file.fileno()) != signature:
            raise ValueError(f'{annotation} was changed while it was indexed; start again')
    if not spans:
        raise ValueError(f'{annotation} has no entries')
    head = dict(
        signature=signature,
        metainfo=stream.metainfo,
        common=sorted(common),
        lacking=lacking,
    )
    encoded = json.dumps(head).encode()
    encoded += b' ' * (-(_START.size + len(encoded)) % 8)  # the numbers are aligned
    table = np.frombuffer(spans, np.uint64).astype('<u8', copy=False).data.cast('B')
    checksum = zlib.crc32(table, zlib.crc32(encoded))
    with written_by_one(path) as file:
        file.write(_START.pack(_MAGIC, _VERSION, checksum, len(encoded)))
        file.write(encoded)
        file.write(table)
    seconds = time.monotonic() - started
    print_log(
        f'indexed the {len(spans) // 2} entries of {annotation} in {seconds:.1f} s: {path}',
        logger='current',
    )


def pick(rows: Rows, indices: int | Iterable[int]) -> Rows:
    """Take some rows of many, as MMEngine's data sets do by their `indices`.

    Args:
        rows: Numbers of entries.
        indices: So many of the first ones, of the last ones where it is negative, or which ones.

    Raises:
        IndexError: One of the indices is beyond the rows.
        TypeError: They are of another type.
    """
    if isinstance(indices, int):
        return rows[:indices] if indices >= 0 else rows[indices:]
    chosen = np.asarray(indices)
    if chosen.ndim != 1 or (len(chosen) and chosen.dtype.kind not in 'iu'):
        raise TypeError(f'indices should be a number or a list of numbers, not {indices!r:.80}')
    chosen = chosen.astype(np.int64)
    if len(outside := chosen[(chosen < -len(rows)) | (chosen >= len(rows))]):
        raise IndexError(f'index {outside[0]} of {len(rows)} entries')
    return np.asarray(rows)[chosen]


def _open_fitting(annotation: Path, path: Path) -> AnnotationIndex | None:
    try:
        return AnnotationIndex(annotation, path)
    except FileNotFoundError:
        return None
    except (StaleIndex, PermissionError) as error:
        print_log(f'{error}; it is made again', logger='current')
        return None


def _reopen(annotation: Path, path: Path, checksum: int) -> AnnotationIndex:
    index = AnnotationIndex(annotation, path)
    if index._checksum != checksum:
        raise StaleIndex(f'{annotation} was changed while in use; start again')
    return index


def _map(path: Path) -> tuple[dict, np.ndarray, int]:
    """Head, begins and ends (entries, 2) and checksum of an index."""
    try:
        content = np.asarray(np.memmap(path, np.uint8, 'r'))
        magic, version, checksum, size = _START.unpack_from(content)
        if magic != _MAGIC or version != _VERSION:
            raise StaleIndex(f'{path} is of another format')
        if zlib.crc32(content[_START.size :]) != checksum:
            raise StaleIndex(f'{path} is cut off or damaged')
        begin = _START.size + size
        head = json.loads(content[_START.size : begin].tobytes())
        return head, content[begin:].view('<u8').reshape(-1, 2), checksum
    except (ValueError, struct.error) as error:
        if isinstance(error, StaleIndex):
            raise
        raise StaleIndex(f'{path} is no index: {error}') from error


def _sign(descriptor: int) -> dict:
    """What tells an open annotation from others, and from itself as it was before."""
    status = os.fstat(descriptor)
    ends = (0, max(status.st_size - _ENDS, 0))
    digest = hashlib.sha256(b''.join(os.pread(descriptor, _ENDS, begin) for begin in ends))
    return dict(size=status.st_size, modified=status.st_mtime_ns, digest=digest.hexdigest())
