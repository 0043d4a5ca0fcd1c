"""How fast, how large and how costly a training step is, whole and part by part.

Contenders are measured in turns, each in a process of its own, so that what slows the machine down
slows all of them, and the memory of one is not that of another.
"""

import logging
import multiprocessing
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from mmengine.utils import ProgressBar

from .data_speed import Spread
from .step_parts import Cost
from .step_setting import Contender, StepSetting
from .step_worker import LargestBatch, LoaderSpeed, Memory, StepWorker

EXPECTED_ERRORS = (OSError, ValueError, KeyError, ImportError)

# Dense bf16 peaks from the data sheets, in TFLOP a second; more specific names stand first.
_PEAK_TFLOPS = {
    'H200': 989.0,
    'H100 PCIe': 756.0,
    'H100': 989.0,
    'A100': 312.0,
    'L40S': 362.0,
    'RTX 4090': 165.0,
}


@dataclass
class StepSpeed:
    """Figures of a contender.

    Attributes:
        name: Of the contender.
        setting: What it was measured with.
        seconds: Of a step, one figure a repeat.
        memory: Peak memory over all repeats.
        flops: For each part, FLOP an image, 2 for each multiply-add. Matrix products, convolutions
            and attention are counted; what activation checkpointing repeats is counted twice.
        parts: For each part, seconds of a step, median over the repeats; None: not asked for.
        loader: With the config's data loader; None: not asked for.
        largest: The largest batch; None: not asked for.
    """

    name: str
    setting: StepSetting
    seconds: list[float]
    memory: Memory
    flops: dict[str, Cost]
    parts: dict[str, Cost] | None = None
    loader: LoaderSpeed | None = None
    largest: LargestBatch | None = None

    @property
    def images_per_second(self) -> Spread:
        """Median and quartiles over the repeats."""
        return Spread.of([self.setting.batch_size / seconds for seconds in self.seconds])

    @property
    def flops_per_image(self) -> Cost:
        """Of all parts."""
        costs = self.flops.values()
        return Cost(sum(cost.forward for cost in costs), sum(cost.backward for cost in costs))

    @property
    def flops_per_second(self) -> float:
        """Forward and backward FLOP a second, at the median speed."""
        return self.flops_per_image.total * self.images_per_second.median


@dataclass
class Comparison:
    """One contender against another.

    Attributes:
        speed: How many times as fast, by the medians.
        paired: The same repeat by repeat.
        memory: Its peak memory as a share of the other's.
        memory_above_idle: Likewise without what a process takes when idle.
    """

    speed: float
    paired: Spread
    memory: float
    memory_above_idle: float

    @classmethod
    def of(cls, one: StepSpeed, other: StepSpeed) -> 'Comparison':
        """Compare figures that were measured in the same run, by time for an image."""
        mine, theirs = (np.divide(s.seconds, s.setting.batch_size) for s in (one, other))
        return cls(
            float(np.median(theirs) / np.median(mine)),
            Spread.of(theirs / mine),
            one.memory.peak / other.memory.peak,
            one.memory.above_idle / other.memory.above_idle,
        )


def measure_steps(
    contenders: Sequence[tuple[Contender, StepSetting]],
    steps: int = 2,
    repeats: int = 5,
    warmup: int = 1,
    parts: bool = False,
    loader: bool = False,
    largest_batch: bool = False,
) -> list[StepSpeed]:
    """Measure contenders in turns.

    Args:
        contenders: Contenders and their settings, at least one.
        steps: Training steps a repeat.
        repeats: How often each contender has its turn.
        warmup: Steps of each before the first repeat.
        parts: Also time the parts, in a further step a repeat.
        loader: Also train the first contender, a :class:`ConfigContender`, on its own data.
        largest_batch: Also find the largest batch of each that fits into the GPU's memory.

    Returns:
        The figures of each.

    Raises:
        ValueError, OSError: A setting or contender that cannot be measured.
        RuntimeError: Building or running one failed.
    """
    for contender, setting in contenders:
        setting.check()
        contender.check(setting)
    turns = len(contenders) * (2 + repeats * (1 + parts) + largest_batch) + loader
    print('\ntraining steps', file=sys.stderr)
    bar = ProgressBar(turns, file=sys.stderr)

    def turn(process: ContenderProcess, method: str, *arguments) -> Any:
        result = process.call(method, *arguments)
        bar.update()
        return result

    with ExitStack() as stack:
        processes = [stack.enter_context(ContenderProcess(*pair)) for pair in contenders]
        for process in processes:
            turn(process, 'warm_up', warmup)
        seconds = [[turn(p, 'repeat', steps) for p in processes] for _ in range(repeats)]
        memories = [process.call('memory') for process in processes]
        flops = [turn(process, 'count_flops') for process in processes]
        timed = [[turn(p, 'time_parts') for p in processes] for _ in range(repeats * parts)]
        speeds = [
            StepSpeed(contender.name, setting, list(of_repeats), memory, flop)
            for (contender, setting), of_repeats, memory, flop in zip(
                contenders, zip(*seconds), memories, flops
            )
        ]
        for speed, costs in zip(speeds, zip(*timed)):
            speed.parts = _median_costs(costs)
        if loader:
            speeds[0].loader = turn(processes[0], 'run_loader', steps * repeats)
    if largest_batch:
        for speed, pair in zip(speeds, contenders):
            with ContenderProcess(*pair) as process:  # alone on the GPU
                speed.largest = turn(process, 'find_largest_batch', steps)
    return speeds


def _median_costs(costs: Sequence[dict[str, Cost]]) -> dict[str, Cost]:
    return {
        part: Cost(
            float(np.median([cost[part].forward for cost in costs])),
            float(np.median([cost[part].backward for cost in costs])),
        )
        for part in costs[0]
    }


class ContenderProcess:
    """A fresh process that holds a contender and waits to be told what to do.

    Args:
        contender: Is built there.
        setting: What to measure with; the threads are set before the process imports PyTorch.

    Raises:
        RuntimeError: Building failed.
    """

    def __init__(self, contender: Contender, setting: StepSetting):
        self.name = contender.name
        context = multiprocessing.get_context('spawn')
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, contender, setting))
        threads = {} if setting.threads is None else {'OMP_NUM_THREADS': str(setting.threads)}
        before = {name: os.environ.get(name) for name in threads}
        os.environ.update(threads)
        try:
            self._process.start()
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        theirs.close()

    def __enter__(self) -> 'ContenderProcess':
        self._answer()  # is built
        return self

    def __exit__(self, *error) -> None:
        self._connection.close()  # it ends by itself
        self._process.join()

    def call(self, method: str, *arguments) -> Any:
        """Let it run a method of :class:`StepWorker` and return the result.

        Raises:
            RuntimeError: It failed there, or the process is gone.
        """
        return self._answer((method, *arguments))

    def _answer(self, command: tuple = ()) -> Any:
        try:
            if command:
                self._connection.send(command)
            error, result = self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            raise RuntimeError(
                f'{self.name}: its process ended with code {self._process.exitcode}; mostly it is '
                'the system that kills one, for want of memory: use a smaller batch or size'
            ) from None
        if error is not None:
            raise RuntimeError(f'{self.name}: {error}')
        return result


def _serve(connection: Connection, contender: Contender, setting: StepSetting) -> None:
    """Main function of a contender's process: does what it is told until it is told to stop."""
    logging.disable(logging.INFO)  # of each parameter's weight decay, for example
    try:
        worker = StepWorker(contender, setting)
        connection.send((None, None))
        while (command := _receive(connection)) is not None:
            method, *arguments = command
            connection.send((None, getattr(worker, method)(*arguments)))
    except Exception as error:
        message = str(error)
        if not isinstance(error, EXPECTED_ERRORS):
            traceback.print_exc()
            message = f'{type(error).__name__}: {message.splitlines()[0] if message else ""}'
        connection.send((message, None))


def _receive(connection: Connection) -> tuple | None:
    try:
        return connection.recv()
    except EOFError:  # the parent is gone
        return None


def peak_tflops(device_name: str) -> float | None:
    """Dense bf16 peak of a GPU in TFLOP a second, None for one that is not in the table."""
    return next((peak for name, peak in _PEAK_TFLOPS.items() if name in device_name), None)
