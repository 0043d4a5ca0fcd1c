"""Memory of a process and of those that it has started, as Linux tells it."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np


class ProcessMemory(NamedTuple):
    """Memory of a process, in megabytes.

    Attributes:
        pid: Its number.
        proportional: Of pages that processes share each counts its part (proportional set size).
        own: Pages that it shares with no other (unique set size).
    """

    pid: int
    proportional: float
    own: float


class MemorySample(NamedTuple):
    """Memory of a command at a moment.

    Attributes:
        seconds: Since its start.
        main: What the main process has of its own, megabytes.
        workers: What each of the processes that it has started has of its own, megabytes.
        total: All of them together, pages that they share counted once, megabytes.
    """

    seconds: float
    main: float
    workers: tuple[float, ...]
    total: float


class Growth(NamedTuple):
    """Memory after the warm-up and at the end, megabytes: medians of a fifth of the time each."""

    name: str
    before: float
    after: float

    @property
    def share(self) -> float:
        """Growth, relative to the memory after the warm-up."""
        return self.after / self.before - 1


def read_memory(pid: int) -> Iterator[ProcessMemory]:
    """Read the memory of a process and of those that it has started, the process first.

    Args:
        pid: Its number. Processes that have ended are left out.
    """
    for member in _family(pid):
        try:
            lines = Path(f'/proc/{member}/smaps_rollup').read_text().splitlines()[1:]
        except OSError:  # it has ended
            continue
        sizes = {name: int(size.split()[0]) for name, size in (line.split(':') for line in lines)}
        own = sizes['Private_Clean'] + sizes['Private_Dirty']
        yield ProcessMemory(member, sizes['Pss'] * 1024 / 1e6, own * 1024 / 1e6)


def watch_command(command: Sequence[str], interval: float = 1.0) -> tuple[int, list[MemorySample]]:
    """Run a command and watch its memory.

    Args:
        command: Program and arguments.
        interval: Seconds between two looks, above 0.

    Returns:
        Its exit status, and what was seen.

    Raises:
        OSError: The command cannot be started.
        ValueError: The interval is out of range.
    """
    if interval <= 0:
        raise ValueError(f'interval={interval}: seconds above 0')
    process = subprocess.Popen(command)
    start = time.monotonic()
    samples = []
    try:
        while process.poll() is None:
            family = list(read_memory(process.pid))
            if family and family[0].pid == process.pid:
                main, *workers = (member.own for member in family)
                total = sum(member.proportional for member in family)
                samples.append(MemorySample(time.monotonic() - start, main, tuple(workers), total))
            time.sleep(interval)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()
    return process.returncode, samples


def measure_growth(samples: Sequence[MemorySample], warm_up: float) -> list[Growth]:
    """Compare the memory after the warm-up with that at the end.

    Args:
        samples: What :func:`watch_command` has seen.
        warm_up: Seconds from the start that do not count.

    Returns:
        Of the main process, of its workers on average (where it has any), and of all together.

    Raises:
        ValueError: The command ended within the warm-up, or soon after.
    """
    counted = [sample for sample in samples if sample.seconds >= warm_up]
    if len(counted) < 10:
        raise ValueError(
            f'{len(counted)} looks after a warm-up of {warm_up:g} s are too few: let it run for '
            'longer, or look more often'
        )
    part = max(1, len(counted) // 5)
    series = dict(
        main=[sample.main for sample in counted],
        worker=[float(np.mean(sample.workers)) for sample in counted if sample.workers],
        total=[sample.total for sample in counted],
    )
    return [
        Growth(name, float(np.median(values[:part])), float(np.median(values[-part:])))
        for name, values in series.items()
        if values
    ]


def _family(pid: int) -> Iterator[int]:
    """A process and those that it has started."""
    yield pid
    try:
        threads = Path(f'/proc/{pid}/task').glob('*/children')
        children = ' '.join(file.read_text() for file in threads).split()
    except OSError:  # it has ended
        return
    for child in children:
        yield from _family(int(child))
