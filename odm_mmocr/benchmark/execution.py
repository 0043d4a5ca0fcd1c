"""Runs, one process each, resumable, in any number of programs at once."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock
from typing import IO, Protocol

import torch

from odm_mmocr.output_files import lock_file, written_whole

from .protocol import read_json
from .training import CONFIG, RESULT

LOG, FAILURE = 'log.txt', 'failure.txt'
COMMAND = (sys.executable, '-m', f'{__package__}.training')
LOG_TAIL = 4000  # bytes, in which the reason of a failure is looked for
PATIENCE = 0.5  # seconds between looks at a lock that another program holds


class Run(Protocol, Hashable):
    """What can be made: a training of a detector, a pre-training."""

    @property
    def name(self) -> str:
        """Of its folder."""


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Attributes:
        run: The run.
        result: What its process has written, as :func:`odm_mmocr.benchmark.training.train_run`
            does, or None.
        error: Why there is no result; empty where there is one.
        seconds: How long it took now, 0 where the result was there.
    """

    run: Run
    result: dict | None
    error: str = ''
    seconds: float = 0.0


class Executor:
    """Makes runs that are not made yet.

    Any number of programs, also on machines that share the folder, may work on the same runs:
    each is locked while it is made, also when the program that has started it is killed. A run
    that was stopped goes on from its last checkpoint, one that failed is tried again; until then
    `failure.txt` in its folder says why.

    Args:
        folder: Each run has a folder of its own in it.
        configure: Writes the config of a run: from run and folder to the text of `config.py`.
        jobs: Runs at a time. With CUDA they are dealt out to the GPUs, without they share the
            cores.
        command: What makes a run, without its folder, which is added.

    Raises:
        ValueError: `jobs` is below 1.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        configure: Callable[[Run, Path], str],
        jobs: int = 1,
        command: Sequence[str] = COMMAND,
    ) -> None:
        if jobs < 1:
            raise ValueError(f'jobs must be at least 1, not {jobs}')
        self._folder = Path(folder)
        self._configure = configure
        self._jobs = jobs
        self._command = list(command)
        self._slots: SimpleQueue[int] = SimpleQueue()
        for slot in range(jobs):
            self._slots.put(slot)
        self._processes: set[subprocess.Popen] = set()
        # MMEngine's configs and registries are not made for threads.
        self._configuring = Lock()
        self._stopped = Event()

    def run_all(
        self, runs: Iterable[Run], follow: Callable[[Outcome], Iterable[Run] | None]
    ) -> list[Outcome]:
        """Make runs, and those that follow from their outcomes.

        Args:
            runs: The first runs.
            follow: Called with each outcome as soon as it is known; returns runs that it calls for.

        Returns:
            The outcomes, in the order of the runs; those that followed come after the first.
        """
        order = list(dict.fromkeys(runs))
        outcomes: dict[Run, Outcome] = {}
        self._stopped.clear()
        with ThreadPoolExecutor(self._jobs) as pool:
            try:
                waiting = {pool.submit(self._make, run): run for run in order}
                held: list[Run] = []  # by other programs; looked at where there is nothing to do
                while waiting or held:
                    if len(waiting) < self._jobs and held:
                        time.sleep(PATIENCE)
                        waiting.update((pool.submit(self._make, run), run) for run in held)
                        held = []
                    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        run = waiting.pop(future)
                        outcome = future.result()
                        if outcome is None:
                            held.append(run)
                            continue
                        outcomes[run] = outcome
                        more = [new for new in follow(outcome) or () if new not in order]
                        order += more
                        waiting.update((pool.submit(self._make, new), new) for new in more)
            except BaseException:
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                for process in list(self._processes):
                    process.terminate()
                raise
        return [outcomes[run] for run in order]

    def _make(self, run: Run) -> Outcome | None:
        folder = self._folder / run.name
        if (result := read_result(folder)) is not None:
            return Outcome(run, result)
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / '.lock') as lock:
            if lock is None:
                return None
            if (result := read_result(folder)) is not None:  # made meanwhile
                return Outcome(run, result)
            slot = self._slots.get()
            started = time.monotonic()
            (folder / FAILURE).unlink(missing_ok=True)
            try:
                error = self._train(run, folder, slot, lock)
            finally:
                self._slots.put(slot)
            if error and not self._stopped.is_set():  # else it was stopped, and goes on next time
                with written_whole(folder / FAILURE) as file:
                    file.write(error.encode())
            return Outcome(run, read_result(folder), error, time.monotonic() - started)

    def _train(self, run: Run, folder: Path, slot: int, lock: IO) -> str:
        try:
            with self._configuring, written_whole(folder / CONFIG) as file:
                file.write(self._configure(run, folder).encode())
        except (OSError, ValueError) as error:  # of this run alone; the others go on
            return str(error)
        with open(folder / LOG, 'ab') as log:
            process = subprocess.Popen(
                [*self._command, str(folder.resolve())],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment(slot)},
                # The lock is held as long as the run goes on, whatever becomes of this program.
                pass_fds=[lock.fileno()],
            )
            self._processes.add(process)
            if self._stopped.is_set():  # since the others were ended
                process.terminate()
            try:
                status = process.wait()
            finally:
                self._processes.discard(process)
        if status == 0:
            return ''
        return f'exit status {status}: {_last_line(folder / LOG)} ({folder / LOG})'

    def _environment(self, slot: int) -> dict[str, str]:
        if torch.cuda.is_available():
            visible = os.environ.get('CUDA_VISIBLE_DEVICES')
            devices = visible.split(',') if visible else range(torch.cuda.device_count())
            return {'CUDA_VISIBLE_DEVICES': str(list(devices)[slot % len(devices)])}
        threads = max(1, len(os.sched_getaffinity(0)) // self._jobs)
        return {'OMP_NUM_THREADS': os.environ.get('OMP_NUM_THREADS', str(threads))}


def read_result(folder: Path) -> dict | None:
    """The result of a run, or None where it is not finished.

    Raises:
        ValueError: The file is cut off; it names it.
    """
    path = folder / RESULT
    return read_json(path) if path.is_file() else None


@contextmanager
def locked(path: Path, wait_for_it: bool = False) -> Iterator[IO | None]:
    """Hold a lock that programs share.

    Args:
        path: File of the lock.
        wait_for_it: Whether to wait for another program that holds it.

    Yields:
        The file, or None where another program holds it.
    """
    with open(path, 'a') as file:
        yield None if lock_file(file, wait_for_it) is False else file


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other programs from writing into a folder at the same time; made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / '.lock', wait_for_it=True):
        yield


def _last_line(log: Path) -> str:
    lines = log.read_bytes()[-LOG_TAIL:].decode(errors='replace').strip().splitlines()
    return lines[-1] if lines else 'it said nothing'
