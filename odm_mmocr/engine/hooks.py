"""Hooks: whole checkpoints, the backbone beside them, counts of faults, losses without waiting."""

import math
import os
from collections import Counter
from typing import Any

import torch
from mmengine.dist import all_reduce, is_main_process
from mmengine.hooks import CheckpointHook, Hook, LoggerHook, RuntimeInfoHook
from mmengine.runner import BaseLoop
from mmocr.registry import HOOKS
from torch import nn

from odm_mmocr.checkpoints import (
    architecture_name,
    extract_backbone,
    save_checkpoint,
    save_whole_files,
)
from odm_mmocr.output_files import written_whole

from .finite_steps import FiniteSteps
from .memory import keep_freed_memory
from .optim_wrapper import multiplies_bfloat16

MAX_EXAMPLES = 20


class DeferredRemoval:
    """A file backend that only notes what it is asked to remove.

    Args:
        backend: Does everything else.
    """

    def __init__(self, backend):
        self._backend = backend
        self.outdated = []

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def remove(self, path) -> None:
        """Note a file."""
        self.outdated.append((self._backend.remove, path))

    def rmtree(self, path) -> None:
        """Note a folder."""
        self.outdated.append((self._backend.rmtree, path))


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's checkpoint hook, except that nothing is ever lost or half written.

    A checkpoint is written beside its place and renamed, ``last_checkpoint`` follows, and only
    then are older ones deleted. MMEngine deletes first and writes in place: a full disk or a
    kill at the wrong moment leaves neither the old nor the new one.

    Args:
        As in :class:`mmengine.hooks.CheckpointHook`.
    """

    def before_train(self, runner) -> None:
        """Make this process write checkpoints whole, then as in MMEngine."""
        save_whole_files()
        super().before_train(runner)

    def _save_checkpoint_with_step(self, runner, step, meta):
        outdated = self._choose_outdated(runner, step)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if not is_main_process():
            return
        with written_whole(os.path.join(runner.work_dir, 'last_checkpoint')) as file:
            file.write(self.last_ckpt.encode())
        for old in outdated:
            path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old))
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)

    def _save_best_checkpoint(self, runner, metrics) -> None:
        # MMEngine removes the former best one first; here that waits until the new one is written.
        backend = self.file_backend
        self.file_backend = DeferredRemoval(backend)
        try:
            super()._save_best_checkpoint(runner, metrics)
            outdated = self.file_backend.outdated
        finally:
            self.file_backend = backend
        for remove, path in outdated:
            remove(path)

    def _choose_outdated(self, runner, step) -> list:
        """Take ``step`` into the list of kept checkpoints; return those that fall out of it."""
        if self.max_keep_ckpts <= 0 or step in self.keep_ckpt_ids:
            return []
        ids = [*self.keep_ckpt_ids, step]
        self.keep_ckpt_ids.append(step)
        runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        return ids[: -self.max_keep_ckpts]


@HOOKS.register_module()
class BackboneExportHook(Hook):
    """Write the bare backbone beside every checkpoint, ready for a detector.

    Args:
        filename: Name in the work directory; None: ``backbone_<architecture>.pth``.
    """

    # After hooks that change the weights to be saved (EMA).
    priority = 'LOWEST'

    def __init__(self, filename: str | None = None):
        self.filename = filename

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Export from the checkpoint that is about to be written."""
        if not is_main_process():
            return
        backbone = extract_backbone(checkpoint)
        name = self.filename or f'backbone_{architecture_name(backbone)}.pth'
        save_checkpoint(backbone, os.path.join(runner.work_dir, name))


@HOOKS.register_module()
class DataFaultsHook(Hook):
    """Count, over all workers of a process, what is wrong with the training data.

    Samples that :class:`SeededDataset` had to skip are ``skipped`` in the log, words that
    :class:`RenderDestylizedLabel` could not draw as they should be are ``label_faults``. What they
    were stands there at the end of training.
    """

    def before_train(self, runner) -> None:
        """Start from zero."""
        self.skipped: Counter[str] = Counter()
        self.label_faults: Counter[str] = Counter()
        self.examples: dict[str, dict[str, str]] = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Collect what the samples of this batch tell."""
        for sample in data_batch['data_samples']:
            self.skipped.update(sample.metainfo.get('skipped', ()))
            for kind, where, report in sample.metainfo.get('label_faults', ()):
                self.label_faults[kind] += 1
                examples = self.examples.setdefault(kind, {})
                if len(examples) < MAX_EXAMPLES:
                    examples.setdefault(where, report)
        for name in ('skipped', 'label_faults'):
            if counter := getattr(self, name):
                runner.message_hub.update_scalar(f'train/{name}', counter.total())

    def after_train(self, runner) -> None:
        """Say once what was wrong, and where."""
        for reason, times in self.skipped.most_common(MAX_EXAMPLES):
            runner.logger.warning(f'Skipped {times} time(s): {reason}')
        for kind, times in self.label_faults.most_common():
            lines = ''.join(f'\n  {report}' for report in self.examples[kind].values())
            runner.logger.warning(f'Labels: {kind}, {times} time(s), as in{lines}')


@HOOKS.register_module()
class DeferredRuntimeInfoHook(RuntimeInfoHook):
    """Note losses without waiting for the GPU in every step.

    MMEngine asks the GPU for each loss of each step, and the next step cannot be prepared until it
    answers. Here losses stay where they are until the logger wants them; the log is the same. With
    several processes it has the losses of the whole batch, not those of the first process.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner) -> None:
        """Find out when losses are wanted."""
        super().before_train(runner)
        self.waiting: list[dict] = []
        # Pairs (begin, interval) of the iterations after which something is logged or saved.
        self.due = {(0, hook.interval) for hook in runner.hooks if isinstance(hook, LoggerHook)}
        self.due |= {
            (hook.save_begin, hook.interval)
            for hook in runner.hooks
            if isinstance(hook, CheckpointHook) and not hook.by_epoch
        }

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Keep the losses of a step; hand them over before something is logged or saved."""
        if outputs is not None:
            self.waiting.append({name: torch.as_tensor(v).detach() for name, v in outputs.items()})
        if (
            any(
                interval > 0 and (count - begin) % interval == 0
                for begin, interval in self.due
                for count in (runner.iter + 1, batch_idx + 1)
            )
            or self.is_last_train_iter(runner)
            or self.end_of_epoch(runner.train_dataloader, batch_idx)
        ):
            self.hand_over(runner)

    def after_train_epoch(self, runner) -> None:
        """Hand over before something is saved at the end of an epoch."""
        self.hand_over(runner)

    def before_val(self, runner) -> None:
        """Hand over before the best checkpoint is saved."""
        self.hand_over(runner)
        super().before_val(runner)

    def after_train(self, runner) -> None:
        """Hand over what is left."""
        self.hand_over(runner)
        super().after_train(runner)

    def hand_over(self, runner) -> None:
        """Move the losses that are waiting into the message hub, with one copy from the GPU."""
        waiting, self.waiting = getattr(self, 'waiting', []), []
        losses = [(name, value) for step in waiting for name, value in step.items()]
        if not losses:
            return
        values = [value.float().reshape(()) for _, value in losses]
        if len({value.device for value in values}) > 1:
            values = [value.cpu() for value in values]
        steps = torch.stack(values)
        all_reduce(steps, 'mean')
        skips = isinstance(runner.optim_wrapper, FiniteSteps)
        for (name, _), value in zip(losses, steps.tolist(), strict=True):
            # One step that is skipped (`FiniteStepsHook` tells of it) would blank all means.
            if math.isfinite(value) or not skips:
                runner.message_hub.update_scalar(f'train/{name}', value)


@HOOKS.register_module()
class KeepFreedMemoryHook(Hook):
    """On a CPU, let the C library keep freed memory: faster steps, somewhat more memory.

    See :func:`keep_freed_memory`. Nothing happens where there is a GPU.
    """

    def before_run(self, runner) -> None:
        """Tell the C library."""
        if not torch.cuda.is_available():
            keep_freed_memory()


@HOOKS.register_module()
class CpuDetectionHook(Hook):
    """On a CPU, let an MMOCR detector train and test faster.

    Weights are laid out with channels last, which convolutions are faster in; validation and test
    run in bfloat16 where the CPU multiplies that, and the maps of the head are float32 again before
    they become polygons. Nothing happens where there is a GPU.
    """

    def __init__(self) -> None:
        self._watched: nn.Module | None = None

    def before_run(self, runner) -> None:
        """Lay out the weights."""
        if not torch.cuda.is_available():
            runner.model.to(memory_format=torch.channels_last)

    def before_val(self, runner) -> None:
        """Let the loop use bfloat16."""
        self._use_bfloat16(runner.model, runner.val_loop)

    def before_test(self, runner) -> None:
        """Let the loop use bfloat16."""
        self._use_bfloat16(runner.model, runner.test_loop)

    def _use_bfloat16(self, model: nn.Module, loop: BaseLoop) -> None:
        head = getattr(model, 'det_head', None)
        if head is None or torch.cuda.is_available() or not multiplies_bfloat16():
            return
        if head is not self._watched:
            head.register_forward_hook(_to_float32)
            self._watched = head
        loop.fp16 = True  # MMEngine's name; on a CPU it is bfloat16


def _to_float32(head: nn.Module, inputs: tuple, outputs: Any) -> Any:
    return outputs if head.training else _float32(outputs)


def _float32(values: Any) -> Any:
    if isinstance(values, torch.Tensor):
        return values.float() if values.is_floating_point() else values
    if isinstance(values, dict):
        return {key: _float32(value) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        return type(values)(_float32(value) for value in values)
    return values
