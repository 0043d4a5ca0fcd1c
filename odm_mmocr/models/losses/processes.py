"""A loss over what several processes have, with the value and the gradients of one process.

Data-parallel training averages gradients over its processes. Every loss of this package is made so
that this average is the gradient of the loss of one process with the whole batch, and the average
of the processes' losses is that loss.
"""

import functools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather, all_reduce, get_rank, get_world_size
from torch import Tensor, distributed
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def mean_over_processes(total: Tensor, count: Tensor) -> Tensor:
    """Divide a sum of this process by the count of all, so that the gradients add up right.

    Args:
        total: Scalar with gradient, the sum over what this process has.
        count: Scalar without gradient, how many this process has, or the sum of their weights.

    Returns:
        Scalar, whose average over the processes is (sum of all processes) / (count of all); zero
        (and with zero gradient) where all processes together have none.
    """
    count = count.detach().float().clone()
    all_reduce(count)
    return total * get_world_size() / torch.where(count > 0, count, 1)


def exchange(value: Any) -> list:
    """Tell all processes a small Python object, without waiting for a GPU.

    All processes must call this, as often and in the same order.

    Args:
        value: What this process has to tell; can be pickled.

    Returns:
        What each process has told, in the order of ranks.
    """
    if get_world_size() == 1:
        return [value]
    values = [None] * get_world_size()
    distributed.all_gather_object(values, value, group=_group_of_hosts(distributed.group.WORLD))
    return values


@functools.cache
def _group_of_hosts(world: distributed.ProcessGroup) -> distributed.ProcessGroup:
    """A group like ``world`` whose messages go from CPU to CPU."""
    if distributed.get_backend(world) == 'gloo':
        return world
    return distributed.new_group(backend='gloo')


def gather_rows(rows: Tensor, counts: Sequence[int] | None = None) -> Tensor:
    """Concatenate the rows of all processes, with gradients to each.

    All processes must call this, those without a row too, and all must run it backward.

    Args:
        rows: (R, ...); R may differ between processes, the rest may not.
        counts: R of each process; None: they tell each other.

    Returns:
        (sum of R, ...), in the order of ranks, of single precision at least; the input itself with
        one process.
    """
    if get_world_size() == 1:
        return rows
    counts = exchange(len(rows)) if counts is None else counts
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    return _GatherRows.apply(rows, counts) if any(counts) else rows


class _GatherRows(Function):
    """Backward adds up what all processes pass back for a row, and gives it to its owner."""

    @staticmethod
    def forward(ctx, rows, counts):
        ctx.counts = counts
        padding = (0, 0) * (rows.dim() - 1) + (0, max(counts) - len(rows))
        parts = all_gather(F.pad(rows, padding).contiguous())
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        grad = grad.clone(memory_format=torch.contiguous_format)
        all_reduce(grad)
        return grad.split(ctx.counts)[get_rank()], None
