"""Steps that would ruin the weights are left out, counted and explained."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dist import all_gather_object, all_reduce, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.structures import BaseDataElement, InstanceData, LabelData, PixelData
from mmocr.registry import HOOKS
from mmocr.structures import TextDetDataSample
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from odm_mmocr.checkpoints import load_checkpoint, save_checkpoint, unwrap
from odm_mmocr.structures import ODMDataSample

from .optimizer_groups import lay_out_state, merge_groups, regroup_state

ELEMENTS = {
    kind.__name__: kind
    for kind in (ODMDataSample, TextDetDataSample, PixelData, LabelData, InstanceData)
}

MAX_RESULTS = 100


class FiniteSteps:
    """Mixed into an optimizer wrapper: updates nothing where loss or gradient is NaN or infinite.

    Weights, the optimizer's state and the statistics of BatchNorm stay as they were before the
    step. With several processes all of them leave out the same step. Where losses are scaled
    (float16), gradients that overflow are left to the scaler, which lowers its factor, as long as
    that is above 1.

    A fused optimizer decides on the device, so that no step waits for a GPU; where gradients are
    clipped, or the optimizer is another, each step waits to know. Parameters with equal settings
    make one group of the optimizer. A run that was resumed may have another memory order
    (channels last) and another precision than before.

    Attributes:
        steps: Steps so far, with those that were left out.
        skipped: Steps left out, as far as they are known, see :meth:`take_results`.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._places = merge_groups(self.optimizer)
        self.steps = self.skipped = 0
        self._bad_losses: list[Tensor] = []
        self._statistics: list[tuple[list[Tensor], list[Tensor]]] = []
        self._watched: nn.Module | None = None
        self._results: list[bool] = []
        self._pending: tuple[Tensor, torch.cuda.Event] | None = None

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Context of a training step; remembers BatchNorm's statistics."""
        if not self._bad_losses:  # else in the middle of an accumulation
            self._remember_statistics(model)
        with super().optim_context(model):
            yield

    def update_params(self, loss: Tensor, *args, **kwargs) -> None:
        """Backward, and a step where one is due and all is finite."""
        self._bad_losses.append(~torch.isfinite(loss.detach()))
        super().update_params(loss, *args, **kwargs)

    def step(self, **kwargs) -> None:
        """Step, or leave it out."""
        self.steps += 1
        scaler = getattr(self, 'loss_scaler', None)
        if scaler is not None and scaler.is_enabled():
            self._step_scaled(scaler, **kwargs)
            return
        bad = self._take_bad_losses()
        gradients = self._gradients()
        if gradients:
            # The largest of a tensor: unlike a sum of squares it is finite where all values are.
            largest = torch._foreach_norm(gradients, float('inf'))
            bad = bad | ~torch.isfinite(torch.stack([n.to(bad.device) for n in largest])).all()
        bad = _any_process(bad)
        if self.clip_grad_kwargs or not getattr(self.optimizer, '_step_supports_amp_scaling', 0):
            if not bad:
                super().step(**kwargs)
        else:
            self.optimizer.found_inf = bad.float()  # by which a fused one leaves out a step
            try:
                super().step(**kwargs)
            finally:
                del self.optimizer.found_inf
        self._end_step(bad)

    def load_state_dict(self, state_dict: dict) -> None:
        """Load what `state_dict` has returned, of groups that were not merged too."""
        if not state_dict.get('loss_scaler', True):  # of bfloat16, which scales nothing
            state_dict = {key: v for key, v in state_dict.items() if key != 'loss_scaler'}
        super().load_state_dict(regroup_state(state_dict, self.optimizer, self._places))
        lay_out_state(self.optimizer)

    def take_results(self, wait: bool) -> list[bool]:
        """Tell which steps were left out, each once, in their order.

        Args:
            wait: Whether to wait for the device for the last step; else it is told of after the
                next one. On a CPU there is nothing to wait for.

        Returns:
            Of each step whether it was left out. All processes are told the same.
        """
        if wait:
            self._settle()
        results, self._results = self._results, []
        return results

    def _clip_grad(self) -> None:
        parameters = self._moved()
        if not parameters:
            return
        norm = self.clip_func(parameters, **self.clip_grad_kwargs)
        # Where gradients overflow, the scaler leaves the step out: a mean with them is no number.
        if norm is not None and math.isfinite(norm):
            self.message_hub.update_scalar(f'train/{self.grad_name}', float(norm))

    def _step_scaled(self, scaler: Any, **kwargs) -> None:
        bad = _any_process(self._take_bad_losses())
        gradients = self._gradients()
        if bad and gradients:
            gradients[0].fill_(float('inf'))  # so that the scaler leaves the step out
        before = scaler.get_scale()
        super().step(**kwargs)
        overflow = scaler.get_scale() < min(before, 1.0)
        self._end_step(bad | overflow)

    def _take_bad_losses(self) -> Tensor:
        bad = torch.stack(self._bad_losses).any() if self._bad_losses else torch.tensor(False)
        self._bad_losses = []
        return bad

    def _gradients(self) -> list[Tensor]:
        return [parameter.grad for parameter in self._moved()]

    def _moved(self) -> list[nn.Parameter]:
        return [
            parameter
            for group in self.optimizer.param_groups
            for parameter in group['params']
            if parameter.grad is not None
        ]

    @torch.no_grad()
    def _end_step(self, bad: Tensor) -> None:
        for current, before in self._statistics:
            for buffer, kept in zip(current, before, strict=True):
                buffer.copy_(torch.where(bad, kept, buffer))
        self._settle()
        if bad.is_cuda:
            told = torch.empty((), dtype=torch.bool, pin_memory=True).copy_(bad, non_blocking=True)
            event = torch.cuda.Event()
            event.record()
            self._pending = told, event
        else:
            self._settle_as(bool(bad))

    def _settle(self) -> None:
        if self._pending is not None:
            told, event = self._pending
            self._pending = None
            event.synchronize()
            self._settle_as(bool(told))

    def _settle_as(self, bad: bool) -> None:
        self.skipped += bad
        self._results.append(bad)
        del self._results[:-MAX_RESULTS]  # of nobody's interest without the hook

    @torch.no_grad()
    def _remember_statistics(self, model: nn.Module) -> None:
        if model is not self._watched:
            self._watched = model
            kinds: dict[torch.dtype, list[Tensor]] = {}
            for norm in (m for m in model.modules() if isinstance(m, _BatchNorm)):
                for buffer in norm.buffers(recurse=False):
                    kinds.setdefault(buffer.dtype, []).append(buffer)
            self._statistics = [(b, [buffer.clone() for buffer in b]) for b in kinds.values()]
        for current, before in self._statistics:
            torch._foreach_copy_(before, current)


def _any_process(bad: Tensor) -> Tensor:
    """Whether it is so in any process."""
    if get_world_size() > 1:
        bad = bad.float()
        all_reduce(bad, 'max')
    return bad > 0


class _Part(NamedTuple):
    """What a step is made of; several of them where gradients are accumulated."""

    iteration: int
    batch: dict
    losses: dict[str, Tensor]

    def find_numbers(self) -> dict[str, float]:
        """Losses as numbers."""
        return {name: float(torch.as_tensor(v).detach()) for name, v in self.losses.items()}


@HOOKS.register_module()
class FiniteStepsHook(Hook):
    """Say which steps were left out and why, and stop where there is no end to them.

    For the optimizer wrappers of this package. Each step that was left out is a warning with the
    losses and samples of it; the log counts them as ``skipped_steps``. After ``max_in_row`` without
    a good one in between each process writes what reproduces its batch to
    ``non_finite/iter_<step>_rank_<rank>.pth`` in the work directory, see :func:`load_bad_batch` and
    ``tools/replay_batch.py``, and training ends. Where gradients are accumulated, the batch is the
    first whose loss is not finite, else the last.

    Args:
        max_in_row: Steps, at least 1.

    Raises:
        ValueError: ``max_in_row`` is out of range.
        FloatingPointError: In training, after so many steps.
    """

    def __init__(self, max_in_row: int = 10):
        if max_in_row < 1:
            raise ValueError(f'max_in_row={max_in_row}: at least 1')
        self.max_in_row = max_in_row
        self.works = False

    def before_train(self, runner) -> None:
        """Start counting, where a run was resumed from its count."""
        self.skipped = runner.message_hub.get_info('skipped_steps', 0)
        self.in_row = 0
        self.parts: list[_Part] = []  # of the step that is not made yet
        self.waiting: list[list[_Part]] = []  # of steps of which nothing is known yet
        self.works = isinstance(runner.optim_wrapper, FiniteSteps)
        if self.works:
            self.steps = runner.optim_wrapper.steps
            runner.optim_wrapper.take_results(wait=True)
        else:
            runner.logger.warning(
                f'FiniteStepsHook: {type(runner.optim_wrapper).__name__} makes steps that are not '
                'finite too; take FiniteOptimWrapper or AutoAmpOptimWrapper'
            )

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Look whether a step was left out."""
        if not self.works:
            return
        self.parts.append(_Part(runner.iter, data_batch, outputs or {}))
        if runner.optim_wrapper.steps == self.steps:
            return
        self.steps = runner.optim_wrapper.steps
        self.waiting.append(self.parts)
        self.parts = []
        # What is dumped must not be a step late.
        self.look(runner, wait=self.in_row > 0 or self.max_in_row == 1)
        if self.in_row > 0:  # since now, of the step before
            self.look(runner, wait=True)

    def before_val(self, runner) -> None:
        """Look at the last step too."""
        if self.works:
            self.look(runner, wait=True)

    def after_train(self, runner) -> None:
        """Look at the last step too."""
        if self.works:
            self.look(runner, wait=True)

    def look(self, runner, wait: bool) -> None:
        """Tell of the steps that are known by now.

        Args:
            runner: The runner.
            wait: As of :meth:`FiniteSteps.take_results`.
        """
        for bad in runner.optim_wrapper.take_results(wait):
            parts = self.waiting.pop(0)
            self.in_row = self.in_row + 1 if bad else 0
            if not bad:
                continue
            self.skipped += 1
            runner.message_hub.update_info('skipped_steps', self.skipped)
            runner.message_hub.update_scalar('train/skipped_steps', self.skipped)
            numbers = [part.find_numbers() for part in parts]
            spoiled = (place for place, found in enumerate(numbers) if not _all_finite(found))
            place = next(spoiled, -1)
            part, losses = parts[place], numbers[place]
            runner.logger.warning(
                f'Iteration {part.iteration + 1}: a loss or a gradient is not finite, the step is '
                f'skipped ({self.in_row} in a row, {self.skipped} in all)'
                + ''.join(_gather_reports(losses, part.batch['data_samples']))
            )
            if self.in_row >= self.max_in_row:
                path = self.dump(runner, part, losses)
                raise FloatingPointError(
                    f'{self.in_row} steps in a row have losses or gradients that are not finite; '
                    f'the last checkpoint is from before. {path} reproduces the last batch: '
                    f'python tools/replay_batch.py {path}'
                )

    def dump(self, runner, part: _Part, losses: dict[str, float]) -> Path:
        """Write what reproduces a batch; see :func:`load_bad_batch`."""
        rank = get_rank()
        path = Path(runner.work_dir, 'non_finite', f'iter_{part.iteration + 1}_rank_{rank}.pth')
        save_checkpoint(
            dict(
                meta=dict(
                    cfg=runner.cfg.pretty_text,
                    seed=runner.seed,
                    rank=rank,
                    iteration=part.iteration,
                    losses=losses,
                ),
                state_dict=unwrap(runner.model).state_dict(),
                batch=to_plain(part.batch),
            ),
            path,
        )
        return path


def load_bad_batch(path) -> dict:
    """Read what :class:`FiniteStepsHook` has written.

    Args:
        path: The file.

    Returns:
        ``meta`` with ``cfg`` (text of the config), ``seed``, ``rank``, ``iteration`` (from 0; these
        three are the arguments of :func:`seed_step`) and ``losses``; ``state_dict``, the weights
        before the step; ``batch``, as the loader gave it.

    Raises:
        FileNotFoundError, ValueError: As :func:`load_checkpoint`.
        ValueError: It is another kind of file.
    """
    dump = load_checkpoint(path)
    if 'batch' not in dump or 'iteration' not in dump.get('meta', {}):
        raise ValueError(
            f'{path} holds no batch; expected is a file of the folder non_finite/ of a work '
            'directory, where a training has ended on losses that are not finite'
        )
    return dict(dump, batch=from_plain(dump['batch']))


def to_plain(value: Any) -> Any:
    """Turn a batch into tensors, arrays and plain data, which can be loaded without running code.

    Args:
        value: Data samples, tensors, and containers of them.

    Returns:
        The same with a dictionary in place of each data sample, and memory of its own for each
        tensor: a file takes none that lies beside others of another type.
    """
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, BaseDataElement):
        return dict(
            __element__=type(value).__name__,
            metainfo=to_plain(dict(value.metainfo_items())),
            data=to_plain(dict(value.items())),
        )
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(to_plain(item) for item in value)
    if isinstance(value, (np.ndarray, np.generic, str, bytes, bool, type(None))):
        return value
    if isinstance(value, int):
        return int(value)
    return value if isinstance(value, float) else str(value)


def from_plain(value: Any) -> Any:
    """Undo :func:`to_plain`."""
    if isinstance(value, dict) and '__element__' in value:
        element = ELEMENTS.get(value['__element__'], BaseDataElement)(
            metainfo=from_plain(value['metainfo'])
        )
        for name, item in from_plain(value['data']).items():
            setattr(element, name.removeprefix('_'), item)
        return element
    if isinstance(value, dict):
        return {key: from_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(from_plain(item) for item in value)
    return value


def describe_sample(sample: BaseDataElement) -> str:
    """Name a sample by its image, and by the index and epoch by which it was drawn."""
    image = sample.metainfo.get('img_path', 'image without a name')
    drawn = sample.metainfo.get('drawn')
    return f'{image} (index {drawn[0]}, epoch {drawn[1]})' if drawn else str(image)


def _all_finite(losses: dict[str, float]) -> bool:
    return all(map(math.isfinite, losses.values()))


def _gather_reports(losses: dict[str, float], samples: list) -> Iterator[str]:
    """A line for each process with losses that are not finite, or for all where none has."""
    reports = all_gather_object((losses, [describe_sample(sample) for sample in samples]))
    bad = [not _all_finite(found) for found, _ in reports]
    for rank, (found, names) in enumerate(reports):
        if bad[rank] or not any(bad):
            numbers = ', '.join(f'{name} {number:.4g}' for name, number in found.items())
            yield f'\n  process {rank}: {numbers}; samples: {", ".join(names)}'
