"""A contender in its own process: steps, memory, parts, data loader and largest batch."""

import gc
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from .step_parts import Cost, count_flops, time_parts
from .step_setting import Contender, StepSetting


@dataclass
class Memory:
    """Peak memory in bytes.

    Attributes:
        peak: With CUDA, of the tensors on the GPU; else the peak resident set of the process.
        idle: That of the process after its imports; 0 with CUDA.
    """

    peak: int
    idle: int

    @property
    def above_idle(self) -> int:
        """What model, optimizer and step take."""
        return self.peak - self.idle


@dataclass
class LoaderSpeed:
    """Training on the images of the config's own data loader.

    Attributes:
        images_per_second: With the loader.
        waiting: Share of the time, 0 to 1, in which the loop stands waiting for a batch. With
            CUDA the GPU may still be at work meanwhile.
        lost: Share of the time, 0 to 1, that a batch at hand would save.
    """

    images_per_second: float
    waiting: float
    lost: float


@dataclass
class LargestBatch:
    """The largest batch that fits into the GPU's memory.

    Attributes:
        batch_size: Images.
        images_per_second: With that batch.
        memory: Of that batch.
    """

    batch_size: int
    images_per_second: float
    memory: Memory


class StepWorker:
    """A contender inside its own process; the methods are what it can be told to do.

    Args:
        contender: Is built here.
        setting: What to measure with.
    """

    def __init__(self, contender: Contender, setting: StepSetting):
        self.contender = contender
        self.setting = setting
        self.cuda = setting.device == 'cuda'
        self.idle = 0 if self.cuda else peak_resident_bytes()
        if setting.threads:
            torch.set_num_threads(setting.threads)
        torch.backends.cudnn.benchmark = True  # as the configs have it
        self.step = contender.build(setting)

    def warm_up(self, steps: int) -> None:
        """Make steps that do not count, and forget the GPU memory that they took."""
        for _ in range(steps):
            self.step()
        self._finish()
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()

    def repeat(self, steps: int) -> float:
        """Make steps and return the seconds of one."""
        if self.cuda:
            self.step()  # takes the memory again that the last repeat gave back
            self._finish()
        start = time.perf_counter()
        for _ in range(steps):
            self.step()
        self._finish()
        seconds = (time.perf_counter() - start) / steps
        if self.cuda:
            torch.cuda.empty_cache()  # for the other contenders
        return seconds

    def memory(self) -> Memory:
        """Peak memory so far."""
        if self.cuda:
            return Memory(torch.cuda.max_memory_allocated(), 0)
        return Memory(peak_resident_bytes(), self.idle)

    def count_flops(self) -> dict[str, Cost]:
        """FLOP an image."""
        costs = count_flops(self.step)
        images = self.setting.batch_size
        return {part: Cost(c.forward / images, c.backward / images) for part, c in costs.items()}

    def time_parts(self) -> dict[str, Cost]:
        """Seconds of one step, for each part."""
        return time_parts(self.step, self.setting.device)

    def run_loader(self, steps: int) -> LoaderSpeed:
        """Train on the config's own data; the steps before the timed ones fill the queues."""
        at_hand = self.repeat(steps)
        batches = self.step.load_batches()
        self.step(next(batches))
        self._finish()
        waited = 0.0
        start = time.perf_counter()
        for _ in range(steps):
            asked = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - asked
            self.step(batch)
        self._finish()
        seconds = time.perf_counter() - start
        return LoaderSpeed(
            steps * self.setting.batch_size / seconds,
            waited / seconds,
            max(0.0, 1 - steps * at_hand / seconds),
        )

    def find_largest_batch(self, steps: int) -> LargestBatch:
        """Find the largest batch that fits, and measure it. The step is gone afterwards.

        Raises:
            ValueError: Not one image fits.
        """
        size = largest_that_fits(self._fits, self.setting.batch_size)
        if not size:
            raise ValueError('not even one image fits into the memory of the GPU')
        self._rebuild(size)
        self.warm_up(1)
        rate = size / self.repeat(steps)
        return LargestBatch(size, rate, self.memory())

    def _fits(self, batch_size: int) -> bool:
        try:
            self._rebuild(batch_size)
            for _ in range(2):  # the optimizer's state is there from the first step on
                self.step()
            self._finish()
        except torch.cuda.OutOfMemoryError:
            return False
        return True

    def _rebuild(self, batch_size: int) -> None:
        # A step that ran out of memory is in no state to go on; nor may it stay in memory.
        self.step = None
        gc.collect()
        torch.cuda.empty_cache()
        self.step = self.contender.build(replace(self.setting, batch_size=batch_size))

    def _finish(self) -> None:
        if self.cuda:
            torch.cuda.synchronize()


def peak_resident_bytes() -> int:
    """Peak resident set of this process so far."""
    # Linux starts ru_maxrss of a new process with the peak of its parent, which may be larger.
    status = Path('/proc/self/status')
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith('VmHWM'))
        return 1024 * int(peak.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else 1024 * peak


def largest_that_fits(fits: Callable[[int], bool], start: int = 1) -> int:
    """Find the largest number that fits, by doubling and bisection.

    Args:
        fits: Tries a number; whatever is larger than one that does not fit does not fit either.
        start: First number to try.

    Returns:
        That number, 0 where not even 1 fits.
    """
    low, high = 0, start
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low
