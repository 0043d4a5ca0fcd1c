"""The file of what has been read so far: a record of each image in a line of JSON."""

import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from odm_mmocr.output_files import lock_output, open_output
from odm_mmocr.rendering.meshes import MAX_COORDINATE

from .words import ReadWord

FORMAT = 'odm_mmocr readings'
VERSION = 1
_FINISHED = dict(finished=True)  # the last line of a run that has read all its images
_HASH = re.compile('[0-9a-f]{16}')
_SYNC_SECONDS = 10  # of work that a failing machine may lose; a killed process loses none


class ReadingsFile:
    """Records are appended; a run that was killed goes on where it was.

    The first line says how the file came about. A record that was cut off is removed when the file
    is opened again, and its image is read again.

    Args:
        path: The file; it is made where it is not there.
        settings: What the records depend on, ready for JSON.
        retry_failed: Whether images that could not be read count as not done; of several records of
            an image the last one counts.
        restart: Whether to forget what is in the file.

    Attributes:
        done: Names of the images that it has records of.
        failed: Number of those among them that could not be read.

    Raises:
        ValueError: The file is none of these, or was made with other settings.
        BlockingIOError: Another process is writing it.
        OSError: It cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        settings: dict,
        retry_failed: bool = False,
        restart: bool = False,
    ):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open_output(self.path, 'a+b')
        self._retry_failed = retry_failed
        try:
            lock_output(self._file, self.path)
            if restart:  # not before it is known that no other process writes it
                self._file.truncate(0)
            self.done: set[str] = set()
            self.failed = 0
            self._finished = False
            self._recover(settings)
        except BaseException:
            self._file.close()
            raise
        self._synced = time.monotonic()

    def append(self, records: Iterable[dict]) -> None:
        """Write records; a process that is killed after that does not lose them."""
        self._finished = False
        lines = b''.join(_encode(record) for record in records)
        self._file.write(lines)
        self._file.flush()
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def finish(self) -> None:
        """Note that all images are read; records that follow undo that."""
        if not self._finished:
            self._file.write(_encode(_FINISHED))
            self._file.flush()
            self._finished = True

    def close(self) -> None:
        """Write what is left to the disk and let others have the file."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def __enter__(self) -> 'ReadingsFile':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _recover(self, settings: dict) -> None:
        self._file.seek(0)
        whole = 0
        failures: set[str] = set()
        for number, line in enumerate(self._file):
            if not line.endswith(b'\n'):
                if number == 0:
                    _check_cut_header(self.path, line)
                break
            if number == 0:
                _check_header(self.path, line, settings)
            else:
                record = _decode(self.path, number, line)
                self._finished = record == _FINISHED
                if self._finished:
                    whole += len(line)
                    continue
                if not isinstance(record.get('img_path'), str):
                    raise ValueError(f'{self.path}:{number + 1} is no record of an image')
                failures.discard(record['img_path'])
                self.done.add(record['img_path'])
                if 'error' in record:
                    failures.add(record['img_path'])
            whole += len(line)
        if self._retry_failed:
            self.done -= failures
        else:
            self.failed = len(failures)
        self._file.truncate(whole)
        self._file.seek(whole)
        if not whole:
            self._file.write(_encode(dict(format=FORMAT, version=VERSION, settings=settings)))
            self._file.flush()


def read_header(path: str | os.PathLike) -> dict:
    """The settings that a file of readings was made with; empty for one of another engine."""
    with open(path, 'rb') as file:
        header = _decode(Path(path), 0, file.readline() or b'{}')
    settings = header.get('settings', {}) if header.get('format') == FORMAT else {}
    if not isinstance(settings, dict):
        raise ValueError(f'{path}: expected an object as "settings" in its first line')
    return settings


def iterate_records(path: str | os.PathLike) -> Iterator[tuple[int, dict]]:
    """Read the records of a file, without the lines about the file itself and a cut-off last one.

    Yields:
        Where in the file the record begins, in bytes, and the record.

    Raises:
        ValueError: A line is no record; it says which.
    """
    start = 0
    with open(path, 'rb') as file:
        for number, line in enumerate(file):
            if not line.endswith(b'\n') and not _is_whole(line):
                return
            if line.strip():
                record = _decode(Path(path), number, line)
                if record.get('format') != FORMAT and record != _FINISHED:
                    yield start, record
            start += len(line)


def check_record(record: dict, path: str | os.PathLike) -> None:
    """Check that a record is one that :class:`.Labeller` makes: files travel between machines.

    Args:
        record: From :func:`iterate_records`.
        path: Its file, for messages.

    Raises:
        ValueError: It is none; the message says what is wrong with it.
    """
    name = record.get('img_path')
    if not isinstance(name, str) or not _is_count(record.get('index')):
        raise ValueError(f'{path}: expected "index" and "img_path" in {str(record)[:80]!a}')
    if 'error' in record:
        return
    hashed = record.get('hash')
    if hashed is not None and not (isinstance(hashed, str) and _HASH.fullmatch(hashed)):
        raise ValueError(f'{path}: {name!a}: expected a "hash" of 16 digits, found {hashed!a:.40}')
    words = record.get('words')
    sizes = record.get('height'), record.get('width')
    if not all(map(_is_count, sizes)) or not isinstance(words, list):
        raise ValueError(f'{path}: {name!a}: expected "height", "width" and a list "words"')
    if not isinstance(record.get('invalid', []), list):
        raise ValueError(f'{path}: {name!a}: expected a list "invalid"')
    for number, word in enumerate(words):
        if not _is_word(word):
            raise ValueError(
                f'{path}: {name!a}, word {number}: expected "text", "polygon" of four points or '
                f'more and "score" from 0 to 1, found {str(word)[:80]!a}'
            )


def _is_word(word: object) -> bool:
    if not isinstance(word, dict) or not isinstance(word.get('text'), str):
        return False
    polygon = word.get('polygon')
    if not isinstance(polygon, list) or len(polygon) < 8 or len(polygon) % 2:
        return False
    scores = word.get('score'), word.get('detection_score', 0)
    return (
        all(_is_number(value) and abs(value) <= MAX_COORDINATE for value in polygon)
        and all(_is_number(score) and 0 <= score <= 1 for score in scores)
        and isinstance(word.get('read_back'), str | None)
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def is_finished(path: str | os.PathLike) -> bool:
    """Whether the run of a file of readings has read all its images."""
    last = b''
    with open(path, 'rb') as file:
        file.seek(max(0, os.path.getsize(path) - 2 * len(_encode(_FINISHED))))
        for line in file:
            last = line
    return last == _encode(_FINISHED)


class RecordedReadings:
    """What another program has read, from a file with a line of JSON for each image.

    A line has ``img_path`` and ``words`` (or ``instances``, or ``lines``), a list of objects with
    ``text``, ``polygon`` (flat or a list of points, pixels) or ``bbox`` (x1, y1, x2, y2), and, if
    known, ``score`` and ``detection_score`` from 0 to 1 (1 where there is no score). Polygons are
    those of an annotation: in pixels of the file without regard to its EXIF orientation.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line is no such object, or an image stands there twice.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f'there is no file of readings {self.path}')
        # In a file of ours an image that was tried again stands twice, and the last time counts.
        is_ours = bool(read_header(self.path))
        self._places: dict[str, int] = {}
        for start, record in iterate_records(self.path):
            name = record.get('img_path')
            if not isinstance(name, str):
                raise ValueError(f'{self.path}: a line lacks "img_path": {str(record)[:80]}')
            if name in self._places and not is_ours:
                raise ValueError(f'{self.path} has {name!r} twice')
            self._places[name] = start

    def look_up(self, name: str) -> list[ReadWord]:
        """The words of an image.

        Raises:
            KeyError: The file says nothing about it.
            ValueError: Its line is not as it should be.
        """
        if name not in self._places:
            raise KeyError(f'{self.path.name} says nothing about it')
        with open(self.path, 'rb') as file:
            file.seek(self._places[name])
            record = json.loads(file.readline())
        if 'error' in record:
            raise ValueError(record['error'])
        for key in ('words', 'instances', 'lines'):
            if isinstance(record.get(key), list):
                return [_parse_word(word) for word in record[key]]
        raise ValueError(f'expected a list "words" in its line of {self.path.name}')


def _parse_word(word: dict) -> ReadWord | str:
    """A word of a record; what it is instead, for the message, where it is none."""
    try:
        corners = word.get('polygon')
        if corners is None:
            left, top, right, bottom = word['bbox']
            corners = (left, top, right, top, right, bottom, left, bottom)
        polygon = np.array(corners, np.float32).reshape(-1, 2)
        return ReadWord(word['text'], polygon, word.get('score', 1.0), word.get('detection_score'))
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return json.dumps(word)


def _check_header(path: Path, line: bytes, settings: dict) -> None:
    header = _decode(path, 0, line)
    if header.get('format') != FORMAT:
        raise ValueError(_foreign(path))
    if header.get('version') != VERSION:
        raise ValueError(
            f'{path} is of version {header.get("version")!r} of the format, expected {VERSION}; '
            'start anew with --restart or another --out'
        )
    made = header.get('settings', {})
    made = made if isinstance(made, dict) else {}
    others = [key for key in {**made, **settings} if made.get(key) != settings.get(key)]
    if others:
        key = others[0]
        raise ValueError(
            f'{path} was made with {key}={made.get(key)!r}, now it is {settings.get(key)!r}; go on '
            'with the same settings, or start anew with --restart or another --out'
        )


def _check_cut_header(path: Path, line: bytes) -> None:
    """Whether it is the beginning of a header: a file of another kind is not to be emptied."""
    start = _encode(dict(format=FORMAT)).rstrip(b'}\n')
    if not start.startswith(line[: len(start)]):
        raise ValueError(_foreign(path))


def _foreign(path: Path) -> str:
    return f'{path} is there already and is no file of readings; give another --out'


def _encode(record: dict) -> bytes:
    # In ASCII, so that names of files that are no text (lone surrogates) survive.
    return json.dumps(record).encode('ascii') + b'\n'


def _decode(path: Path, number: int, line: bytes) -> dict:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{path}:{number + 1} is no line of JSON: {error}') from error
    if not isinstance(record, dict):
        raise ValueError(f'{path}:{number + 1}: expected a JSON object, found {str(record)[:40]}')
    return record


def _is_whole(line: bytes) -> bool:
    """Whether a last line without an end is a record: of other programs."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
