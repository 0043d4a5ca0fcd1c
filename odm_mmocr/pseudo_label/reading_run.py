"""A run over many images: what is done is kept, what is left is read, progress is told."""

import logging
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from .labeller import Labeller, Task
from .readings import ReadingsFile
from .sources import ImageSource
from .workers import read_in_processes

MAX_SHARDS = 100_000
MAX_LOGGED = 20  # images that could not be read
_REPORT_SECONDS = 10

logger = logging.getLogger('odm_mmocr.pseudo_label')
Runner = Callable[[Labeller, Iterable[Sequence[Task]]], Iterator[list[dict]]]


@dataclass(frozen=True)
class Shard:
    """A share of the images, chosen by their names, so that several machines share the work.

    An image belongs to the same shard whatever other images there are: files that come or go while
    the machines work neither double nor lose others.

    Attributes:
        number: Of this shard, from 0.
        count: Of all shards.

    Raises:
        ValueError: The number is not below the count, or that is above 100,000.
    """

    number: int = 0
    count: int = 1

    def __post_init__(self):
        if not 0 <= self.number < self.count <= MAX_SHARDS:
            raise ValueError(
                f'shard {self.number}/{self.count}: expected i/n with 0 <= i < n, such as 0/4, and '
                f'at most {MAX_SHARDS:,} shards'
            )

    @classmethod
    def parse(cls, text: str) -> 'Shard':
        """Parse ``i/n``.

        Raises:
            ValueError: It is something else.
        """
        try:
            number, count = map(int, text.split('/'))
        except ValueError:
            raise ValueError(f'shard {text!r}: expected i/n, such as 0/4') from None
        return cls(number, count)

    def has(self, name: str) -> bool:
        """Whether an image belongs to it."""
        if self.count == 1:
            return True
        return zlib.crc32(name.encode('utf-8', 'surrogatepass')) % self.count == self.number

    def path(self, path: Path) -> Path:
        """The file of this shard: ``readings.jsonl`` becomes ``readings.0-of-4.jsonl``."""
        if self.count == 1:
            return path
        return path.with_name(f'{path.stem}.{self.number}-of-{self.count}{path.suffix}')


def read_images(
    source: ImageSource,
    labeller: Labeller,
    readings: str | os.PathLike,
    settings: dict,
    shard: Shard = Shard(),
    runner: Runner = read_in_processes,
    batch_size: int = 1,
    restart: bool = False,
    retry_failed: bool = False,
    stream: TextIO | None = None,
) -> 'Progress':
    """Read the images that have not been read yet.

    Args:
        source: The images.
        labeller: Reads them.
        readings: File that the records are appended to, see :class:`ReadingsFile`.
        settings: What the records depend on: a file of others, or of names that belong to another
            place, is refused.
        shard: Which of the images are read.
        runner: Has the work done: :func:`read_in_processes` with its settings, or
            :func:`~.ray_runner.read_with_ray`.
        batch_size: Images that are handed over at once.
        restart: Whether to forget what has been read before.
        retry_failed: Whether to read images again that could not be read before.
        stream: For progress; None: stderr.

    Returns:
        What has been done.

    Raises:
        ValueError: A setting is out of range, or the file was made with others.
        RuntimeError: No engine can be made.
        OSError: The file cannot be written.
    """
    if batch_size < 1:
        raise ValueError(f'batch_size must be at least 1, not {batch_size}')
    settings = dict(settings, images=source.place, shard=f'{shard.number}/{shard.count}')
    with ReadingsFile(readings, settings, retry_failed, restart) as file:
        tasks = [(index, name) for index, name in enumerate(source.names) if shard.has(name)]
        todo = [task for task in tasks if task[1] not in file.done]
        progress = Progress(len(tasks), len(tasks) - len(todo), file.failed, stream or sys.stderr)
        batches = (todo[i : i + batch_size] for i in range(0, len(todo), batch_size))
        for records in runner(labeller, batches) if todo else ():
            file.append(records)
            progress.add(records)
        file.finish()
        progress.finish()
    return progress


class Progress:
    """How far a run is: images, rate, time left, failures.

    Args:
        total: Images of the run.
        before: How many of them were done before.
        failed: How many of those could not be read.
        stream: Where it is told.

    Attributes:
        total, before: As given.
        done: Images that are done by this run.
        failed: Images that could not be read, those of before included.
        words: Words that this run has found.
        seconds: That it has taken.
    """

    def __init__(self, total: int, before: int, failed: int, stream: TextIO):
        self.total = total
        self.before = before
        self.failed = failed
        self.done = 0
        self.words = 0
        self.seconds = 0.0
        self._stream = stream
        self._started = self._told = time.monotonic()
        self._logged = self._invalid = 0
        if before:
            print(f'{before:,} of {total:,} images were read before', file=stream)

    def add(self, records: Sequence[dict]) -> None:
        """Count records, and log the first that failed."""
        for record in records:
            self.done += 1
            self.words += len(record.get('words', ()))
            if 'error' in record:
                self.failed += 1
                self._logged = self._log(record, record['error'], 'skipped', self._logged)
            elif 'invalid' in record:
                reason = f'{len(record["invalid"])} words left out, {record["invalid"][0]}'
                self._invalid = self._log(record, reason, 'in', self._invalid)
        now = time.monotonic()
        self.seconds = now - self._started
        # A terminal gets one line that is written over, a log a line from time to time.
        terminal = self._stream.isatty()
        if now - self._told >= (1 if terminal else _REPORT_SECONDS):
            self._told = now
            print(self._line(), end='\r' if terminal else '\n', file=self._stream, flush=True)

    def finish(self) -> None:
        """Tell the whole."""
        print(self._line(), file=self._stream, flush=True)

    def _log(self, record: dict, reason: str, what: str, logged: int) -> int:
        if logged < MAX_LOGGED:
            logger.warning('%s %a: %s', what, record['img_path'], reason)
        elif logged == MAX_LOGGED:
            logger.warning('further such images are counted but not logged')
        return logged + 1

    def _line(self) -> str:
        finished = self.before + self.done
        parts = [f'{finished:,} of {self.total:,} images']
        if self.done and self.seconds:
            rate = self.done / self.seconds
            parts.append(f'{rate:.2f} a second')
            if finished < self.total:
                parts.append(f'{_duration((self.total - finished) / rate)} left')
            else:
                parts.append(f'in {_duration(self.seconds)}')
        parts.append(f'{self.words:,} words')
        if self.failed:
            parts.append(f'{self.failed:,} could not be read')
        return ', '.join(parts)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f'{hours} h {minutes:02d} min'
    return f'{minutes} min {seconds:02d} s' if minutes else f'{seconds} s'
