"""BatchNorm's running statistics, averaged over the processes before anything is made of them."""

from collections.abc import Iterable

import torch
from mmengine.dist import all_reduce, get_rank, get_world_size
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmocr.registry import HOOKS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@HOOKS.register_module()
class AverageStatisticsHook(Hook):
    """Let every process have the mean of all processes' BatchNorm statistics.

    Each process follows the statistics of its own share of the data. Before every validation, and
    before every checkpoint with the backbone beside it, they are averaged, also those of averaged
    weights (EMA). Between them nothing is exchanged: moving averages are linear, so it does not
    matter to a mean how often it is taken. With one process nothing happens.
    """

    # After hooks that copy statistics (EMA), before checkpoints.
    priority = 'LOW'

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Average where a checkpoint is due."""
        if any(_saves_now(hook, runner) for hook in runner.hooks):
            self.average(runner)

    def after_train_epoch(self, runner) -> None:
        """Average before a checkpoint of an epoch."""
        self.average(runner)

    def before_val(self, runner) -> None:
        """Average before validation, and so before the best checkpoint."""
        self.average(runner)

    def average(self, runner) -> None:
        """Average now. All processes must call this."""
        averaged = [hook.ema_model for hook in runner.hooks if isinstance(hook, EMAHook)]
        average_statistics([runner.model, *averaged])


@torch.no_grad()
def average_statistics(models: Iterable[nn.Module]) -> None:
    """Average the running statistics of BatchNorm over the processes, in one exchange.

    Statistics that are equal in all processes stay as they are, bit for bit. Counters of batches
    become those of the first process. All processes must call this.

    Args:
        models: Alike in every process; they are changed.
    """
    if get_world_size() == 1:
        return
    buffers = [
        buffer
        for model in models
        for module in model.modules()
        if isinstance(module, _BatchNorm)
        for buffer in module.buffers(recurse=False)
    ]
    if not buffers:
        return
    count, rank = get_world_size(), get_rank()
    # In double precision the sum of equal numbers, and so their mean, is exact.
    summed = torch.cat(
        [
            buffer.flatten().to(buffers[0].device, torch.float64)
            * (buffer.is_floating_point() or rank == 0)
            for buffer in buffers
        ]
    )
    all_reduce(summed)
    for buffer, values in zip(buffers, summed.split([buffer.numel() for buffer in buffers])):
        buffer.copy_((values / count if buffer.is_floating_point() else values).view_as(buffer))


def _saves_now(hook: Hook, runner) -> bool:
    return (
        isinstance(hook, CheckpointHook)
        and not hook.by_epoch
        and (
            hook.every_n_train_iters(runner, hook.interval, hook.save_begin)
            or (hook.save_last and hook.is_last_train_iter(runner))
        )
    )
