"""What each part of a training step costs, forward and backward, in FLOP or in seconds."""

import operator
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from .step_setting import BACKWARD, TrainStep

REST = 'rest'


@dataclass
class Cost:
    """Cost of a part, in seconds or FLOP.

    Attributes:
        forward: Outside the backward pass.
        backward: In the backward pass.
    """

    forward: float = 0.0
    backward: float = 0.0

    @property
    def total(self) -> float:
        """Both together."""
        return self.forward + self.backward


class PartMeter:
    """Splits the cost of a step among its parts by reading a meter where one gives way to another.

    Forward, that is where a method of a part begins and ends; what runs inside another part counts
    for the inner one only. Backward, autograd goes through the operations in reverse order; hooks
    read the meter before each operation that made an output of a part, which begins the part, or an
    input, which ends it. What belongs to no part is :data:`REST`: stacking of prompts and labels,
    the sum of the losses, and backward what made the inputs of a part. Other operations between two
    parts count, backward, for the part that comes before them there.

    Args:
        read: Gives the reading of the meter.
        subtract: What lies between two readings, the later one first.
    """

    def __init__(
        self, read: Callable[[], Any], subtract: Callable[[Any, Any], float] = operator.sub
    ):
        self._read = read
        self._subtract = subtract

    def measure(self, step: TrainStep) -> dict[str, Cost]:
        """Make one step and return the cost of every part that ran, in the order of the parts."""
        self._marks: list[tuple[Any, str, bool]] = []  # reading; the part from here on; backward
        self._running = [REST]
        self._backward = False
        self._nodes: set[Any] = set()  # of the graph, with a hook
        for part in step.parts:
            method = getattr(part.owner, part.method)
            if part.name == BACKWARD:
                method = self._wrap_backward(method)
            else:
                method = self._wrap(part.name, method)
            setattr(part.owner, part.method, method)
        try:
            self._mark(REST)
            step.eager()
            self._mark(REST)
        finally:
            for part in step.parts:
                delattr(part.owner, part.method)  # the class still has it
            self._nodes.clear()
        seen = {part for _, part, _ in self._marks}
        names = dict.fromkeys([*(part.name for part in step.parts), REST])
        costs = {name: Cost() for name in names if name in seen}
        for (start, part, backward), (end, *_) in zip(self._marks, self._marks[1:]):
            cost = costs[part]
            spent = self._subtract(end, start)
            if backward:
                cost.backward += spent
            else:
                cost.forward += spent
        return costs

    def _mark(self, part: str) -> None:
        self._marks.append((self._read(), part, self._backward))

    def _wrap(self, name: str, method: Callable) -> Callable:
        def measured(*args, **kwargs):
            if self._backward:  # activation checkpointing runs it again
                return method(*args, **kwargs)
            self._watch((args, kwargs), self._running[-1])
            self._running.append(name)
            self._mark(name)
            result = method(*args, **kwargs)
            self._running.pop()
            self._watch(result, name)
            self._mark(self._running[-1])
            return result

        return measured

    def _wrap_backward(self, method: Callable) -> Callable:
        def measured(*args, **kwargs):
            self._backward = True
            self._mark(REST)
            method(*args, **kwargs)
            self._backward = False
            self._mark(self._running[-1])

        return measured

    def _watch(self, values: Any, part: str) -> None:
        """Let the backward pass of operations that made these values count for a part."""
        for tensor in _tensors(values):
            node = tensor.grad_fn
            if node is not None and node not in self._nodes:
                self._nodes.add(node)
                node.register_prehook(lambda gradients: self._mark(part))


def _tensors(values: Any) -> Iterator[Tensor]:
    """All tensors in nested lists, tuples and dictionaries."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (list, tuple, dict)):
        for value in values.values() if isinstance(values, dict) else values:
            yield from _tensors(value)


def _attention_flop(query, key, value, *others, **named) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_backward_flop(gradient, query, key, value, *others, **named) -> int:
    return sdpa_backward_flop_count(gradient, query, key, value)


# PyTorch itself counts the attention kernels of GPUs only.
_CPU_ATTENTION_FLOP = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flop,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward_flop,
}


def count_flops(step: TrainStep) -> dict[str, Cost]:
    """Count the FLOP of one step, for each part.

    Args:
        step: Makes one step.

    Returns:
        FLOP of the whole batch, 2 for each multiply-add, of matrix products, convolutions and
        attention; causal attention counts in full.
    """
    with FlopCounterMode(display=False, custom_mapping=_CPU_ATTENTION_FLOP) as counter:
        return PartMeter(counter.get_total_flops).measure(step)


def time_parts(step: TrainStep, device: str) -> dict[str, Cost]:
    """Measure the seconds of one step, for each part; with CUDA by events on its stream."""
    if device == 'cuda':
        return PartMeter(_record_event, _seconds_between).measure(step)
    return PartMeter(time.perf_counter).measure(step)


def _record_event() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def _seconds_between(later: torch.cuda.Event, earlier: torch.cuda.Event) -> float:
    later.synchronize()
    return earlier.elapsed_time(later) / 1e3
