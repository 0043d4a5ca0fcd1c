"""Processes that read images: one that hangs or dies costs its image, not the run."""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection

import cv2

from .labeller import Task, describe

Work = Callable[[Sequence[Task]], list[dict]]
_KILL_SECONDS = 5  # that a process has to end by itself


def read_in_processes(
    work: Work,
    batches: Iterable[Sequence[Task]],
    workers: int = 1,
    timeout: float | None = 120.0,
) -> Iterator[list[dict]]:
    """Read batches of images in processes of their own.

    A process that needs too long, or dies, is replaced; the images of its batch are tried one by
    one, and the one at which it happens again becomes a record with an ``error``.

    Args:
        work: Function from tasks to records, such as a :class:`~.Labeller`. It is sent to the
            processes, which call its method ``prepare()``, if it has one, first.
        batches: Tasks, number and name of an image each.
        workers: Number of processes, 1 or more.
        timeout: Seconds that an image may take; None: any.

    Yields:
        The records of a batch, in the order in which they are done.

    Raises:
        RuntimeError: A process cannot be started, such as when the engine cannot be made.
        ValueError: A setting is out of range.
    """
    if workers < 1:
        raise ValueError(f'workers must be at least 1, not {workers}')
    if timeout is not None and timeout <= 0:
        raise ValueError(f'timeout must be above 0 seconds, not {timeout}')
    # Processes are forked from one that has imported everything and done nothing yet.
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload([__name__])
    todo = _Queue(iter(batches))
    pool: list[_Process] = []
    try:
        while True:
            while len(pool) < workers and (batch := todo.take()) is not None:
                pool.append(_Process(context, work, batch, timeout))
            if not pool:
                return
            for process in _wait(pool):
                finished, records = process.collect()
                if finished:
                    pool.remove(process)
                    process.stop()
                    records = todo.put_back(process.tasks, records)
                if records is None:  # it has only told that it is ready
                    continue
                if not finished:
                    if (batch := todo.take()) is not None:
                        process.give(batch)
                    else:
                        pool.remove(process)
                        process.stop()
                if records:
                    yield records
    finally:
        for process in pool:
            process.stop(at_once=True)


@dataclass
class _Queue:
    """Batches that are still to be done, those that failed as a whole first."""

    batches: Iterator[Sequence[Task]]
    again: deque = field(default_factory=deque)

    def take(self) -> Sequence[Task] | None:
        return self.again.popleft() if self.again else next(self.batches, None)

    def put_back(self, tasks: Sequence[Task], reason: list[dict]) -> list[dict]:
        """Try the images of a lost batch alone; of one that was alone, its record.

        Args:
            tasks: The batch.
            reason: Its records; none: it is not to blame.
        """
        if len(tasks) == 1 and reason:
            return reason
        self.again.extend([task] for task in tasks)
        return []


class _Process:
    """A process and the batch that it works on."""

    def __init__(self, context, work: Work, tasks: Sequence[Task], timeout: float | None):
        self.timeout = timeout
        self.ready = False
        self.deadline = None
        self.tasks = list(tasks)
        self._delivered = True
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, work), daemon=True)
        self._process.start()
        theirs.close()
        self._send()

    @property
    def handles(self) -> tuple:
        """What says that there is something to collect."""
        return self._connection, self._process.sentinel

    def give(self, tasks: Sequence[Task]) -> None:
        self.tasks = list(tasks)
        self._start_clock()
        self._send()

    def overdue(self) -> bool:
        return self.deadline is not None and time.monotonic() > self.deadline

    def collect(self) -> tuple[bool, list[dict] | None]:
        """What it says: whether it is at an end, and the records of its batch.

        Raises:
            RuntimeError: It could not be started.
        """
        try:
            message = self._connection.recv() if self._connection.poll() else None
        except (EOFError, OSError):
            message = None
        if message is None:
            if self.overdue():
                return True, self._failure(f'no answer within {self.timeout:g} seconds')
            self._process.join(_KILL_SECONDS)
            code = self._process.exitcode
            if not self.ready:
                raise RuntimeError(f'a worker process died while it started ({_exit_name(code)})')
            return True, self._failure(f'the worker process died ({_exit_name(code)})')
        kind, content = message
        if kind == 'failed':
            raise RuntimeError(content)
        if kind == 'raised':
            return True, self._failure(content)
        if kind == 'ready':
            self.ready = True
            self._start_clock()
            return False, None
        if len(content) != len(self.tasks):
            reason = f'expected {len(self.tasks)} records of a batch, found {len(content)}'
            return True, self._failure(reason)
        self.deadline = None
        return False, content

    def stop(self, at_once: bool = False) -> None:
        self._connection.close()  # which tells it to end
        if not at_once and not self.overdue():
            self._process.join(_KILL_SECONDS)
        if self._process.is_alive():
            self._process.kill()
        self._process.join()

    def _start_clock(self) -> None:
        if self.timeout is not None:
            self.deadline = time.monotonic() + self.timeout * len(self.tasks)

    def _send(self) -> None:
        try:
            self._connection.send(self.tasks)
        except OSError:
            self._delivered = False  # it has died meanwhile, which collecting notices

    def _failure(self, reason: str) -> list[dict]:
        if not self._delivered:
            return []
        return [dict(index=index, img_path=name, error=reason) for index, name in self.tasks]


def _wait(pool: Sequence[_Process]) -> list[_Process]:
    """The processes that have something to say, or say nothing for too long."""
    deadlines = [process.deadline for process in pool if process.deadline is not None]
    seconds = max(0.0, min(deadlines) - time.monotonic()) + 0.01 if deadlines else None
    handles = {handle: process for process in pool for handle in process.handles}
    speaking = {id(handles[handle]) for handle in connection.wait(list(handles), seconds)}
    return [process for process in pool if id(process) in speaking or process.overdue()]


def _serve(channel: connection.Connection, work: Work) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when it is enough
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    try:
        getattr(work, 'prepare', lambda: None)()
    except BaseException as error:
        channel.send(('failed', describe(error)))
        return
    try:
        channel.send(('ready', None))
        while True:
            tasks = channel.recv()
            try:
                answer = 'records', list(work(tasks))
            except Exception as error:
                answer = 'raised', describe(error)
            channel.send(answer)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent has gone, or needs nothing more


def _end_with_parent() -> None:
    """Ends a process also in the middle of an image, when its parent was killed."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _exit_name(code: int | None) -> str:
    if code is not None and code < 0:
        names = {known.value: known.name for known in signal.Signals}
        return names.get(-code, f'signal {-code}')
    return f'exit status {code}'
