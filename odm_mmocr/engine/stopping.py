"""Leaving on a signal, with everything saved."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType

import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.runner import IterBasedTrainLoop
from mmocr.registry import HOOKS
from torch.utils.data import DataLoader

from .batch_statistics import AverageStatisticsHook
from .hooks import DeferredRuntimeInfoHook


@HOOKS.register_module()
class StopSignalHook(Hook):
    """On SIGTERM, save a checkpoint and leave, so that ``--resume`` goes on with the next step.

    A scheduler announces the end of a job by a signal, some seconds before it kills. The step or
    the batch of the validation that is under way is finished, a checkpoint written through the
    run's own checkpoint hook, and the process leaves with status 128 + the signal's number (143
    for SIGTERM), which shells and schedulers read as: ended by this signal.

    With several processes all leave after the same step, also when the signal reaches them at
    different moments. They agree over the CPU while the next step computes, so that no step waits
    for it. In a validation the first process saves and leaves when a signal reaches it; the others
    go on to the end of the validation, where it may be waiting for them.

    Args:
        signals: Names of the signals. Slurm sends another one ahead of time where a job asks for it
            (``--signal=USR1@120``); it has to be SIGUSR1 to be understood here.

    Raises:
        ValueError: There is no such signal, or, at the start of training, the run's loop or its
            checkpoint hook counts epochs: training cannot go on in the middle of one.
    """

    # After all that changes weights, schedules and counts, and after the regular checkpoint.
    priority = 'LOWEST'

    def __init__(self, signals: Sequence[str] = ('SIGTERM', 'SIGUSR1')):
        unknown = [name for name in signals if not hasattr(signal, name)]
        if unknown:
            raise ValueError(f'signals={list(signals)}: this system has no {", ".join(unknown)}')
        self.signals = [getattr(signal, name) for name in signals]
        self.received = 0
        self.former: dict = {}
        self.pending = None

    def before_train(self, runner) -> None:
        """Listen from now on."""
        self.checkpoints = _checkpoint_hook(runner)
        self.group = torch.distributed.new_group(backend='gloo') if get_world_size() > 1 else None
        if runner.val_loop is not None:
            shield_workers(runner.val_loop.dataloader)
        self.received = 0
        self.pending = None
        if threading.current_thread() is not threading.main_thread():
            runner.logger.warning(
                'StopSignalHook: signals reach the main thread only, not this one'
            )
            return
        for number in self.signals:
            self.former[number] = signal.signal(number, self.note)

    def note(self, number: int, frame: FrameType | None) -> None:
        """Remember a signal."""
        self.received = self.received or number

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Leave, if a signal has come and all processes know."""
        received = self.received if self.group is None else self.agree()
        # In the middle of an accumulation there are gradients, which no checkpoint has.
        whole = (runner.iter + 1) % runner.optim_wrapper._accumulative_counts == 0
        if received and whole:
            for hook in runner.hooks:
                if isinstance(hook, AverageStatisticsHook):
                    hook.average(runner)
            self.save(runner)
            self.leave(runner, received)

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Leave in the middle of a validation during training."""
        if not self.received or not self.former or not is_main_process():
            return
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):
                hook.after_val_epoch(runner)  # gives the trained weights back
        loop = runner.train_loop
        loop._iter -= 1  # MMEngine counts a step when its hooks are through, and saves before
        self.save(runner)
        loop._iter += 1
        self.leave(runner, self.received)

    def after_train(self, runner) -> None:
        """Listen no more."""
        if self.pending is not None:
            self.pending[0].wait()
            self.pending = None
        while self.former:
            signal.signal(*self.former.popitem())

    def agree(self) -> int:
        """Learn which signal had reached any process one step ago, and tell what has come here."""
        agreed = 0
        if self.pending is not None:
            work, flag = self.pending
            work.wait()
            agreed = int(flag)
        flag = torch.tensor(self.received)
        work = torch.distributed.all_reduce(
            flag, torch.distributed.ReduceOp.MAX, group=self.group, async_op=True
        )
        self.pending = (work, flag)
        return agreed

    def save(self, runner) -> None:
        """Write a checkpoint, unless the regular one has just been written."""
        for hook in runner.hooks:
            if isinstance(hook, DeferredRuntimeInfoHook):
                hook.hand_over(runner)  # what the log of the checkpoint would lack
        name = self.checkpoints.filename_tmpl.format(runner.iter + 1)
        if not str(self.checkpoints.last_ckpt or '').endswith(name):
            self.checkpoints._save_checkpoint(runner)

    def leave(self, runner, received: int) -> None:
        """End training as at its regular end, then the process."""
        if is_main_process():
            runner.logger.warning(
                f'{signal.Signals(received).name}: saved {self.checkpoints.last_ckpt}; --resume '
                'goes on from it'
            )
        runner.call_hook('after_train')
        runner.call_hook('after_run')
        raise SystemExit(128 + received)


def shield_workers(loader: DataLoader) -> None:
    """Let workers that start from now on survive the signal that a scheduler sends to all.

    A signal to the whole job reaches the workers of the loader too; if they went at once, the main
    process could not end its step. They go with the main process, or when that tells them to.
    Where the system cannot say who sends a signal (other than Linux), nothing happens.

    Args:
        loader: Its ``worker_init_fn`` is wrapped.
    """
    shielded = isinstance(loader.worker_init_fn, _ShieldedWorker)
    if hasattr(signal, 'sigwaitinfo') and not shielded:
        loader.worker_init_fn = _ShieldedWorker(loader.worker_init_fn)


class _ShieldedWorker:
    """A ``worker_init_fn`` around another, or around none."""

    def __init__(self, init: Callable[[int], None] | None):
        self.init = init

    def __call__(self, worker: int) -> None:
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_obey, args=(os.getppid(),), daemon=True).start()
        if self.init is not None:
            self.init(worker)


def _obey(parent: int) -> None:
    """End this process at a SIGTERM of one process only."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)


def _checkpoint_hook(runner) -> CheckpointHook:
    if not isinstance(runner.train_loop, IterBasedTrainLoop):
        raise ValueError(
            f'StopSignalHook: {type(runner.train_loop).__name__} counts epochs, and training '
            'cannot go on in the middle of one; take a loop by iterations, or leave out the hook'
        )
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and not hook.by_epoch:
            return hook
    raise ValueError('StopSignalHook: there is no checkpoint hook with by_epoch=False to save with')
