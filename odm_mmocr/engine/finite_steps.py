"""Steps that would ruin the weights are left out, counted and explained."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, all_reduce, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.structures import BaseDataElement, InstanceData, LabelData, PixelData
from mmocr.registry import HOOKS
from mmocr.structures import TextDetDataSample
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from odm_mmocr.checkpoints import load_checkpoint, save_checkpoint
from odm_mmocr.structures import ODMDataSample

ELEMENTS = {
    kind.__name__: kind
    for kind in (ODMDataSample, TextDetDataSample, PixelData, LabelData, InstanceData)
}


class FiniteSteps:
    """Mixed into an optimizer wrapper: updates nothing where loss or gradient is NaN or infinite.

    Weights, the optimizer's state and the statistics of BatchNorm stay as they were before the
    step. With several processes all of them leave out the same step. Where losses are scaled
    (float16), gradients that overflow are left to the scaler, which lowers its factor.

    It asks the device once in each step whether the gradient is finite.

    Attributes:
        skipped: Steps left out so far.
        skipped_in_row: Steps left out since the last good one.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.skipped = self.skipped_in_row = 0
        self._bad_losses: list[Tensor] = []
        self._statistics: list[tuple[Tensor, Tensor]] = []
        self._watched: nn.Module | None = None

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
        bad = torch.stack(self._bad_losses).any() if self._bad_losses else torch.tensor(False)
        self._bad_losses = []
        scaler = getattr(self, 'loss_scaler', None)
        scaled = scaler is not None and scaler.is_enabled()
        if not scaled:
            bad = bad | self._gradients_are_bad(bad.device)
        if get_world_size() > 1:
            bad = bad.float()
            all_reduce(bad, 'max')
        if not bad:
            self.skipped_in_row = 0
            super().step(**kwargs)
            return
        self.skipped += 1
        self.skipped_in_row += 1
        if scaled:  # leaves the step out by itself, and has to know of it
            super().step(**kwargs)
        for current, before in self._statistics:
            current.copy_(before)

    def _gradients_are_bad(self, device: torch.device) -> Tensor:
        gradients = [
            parameter.grad
            for group in self.optimizer.param_groups
            for parameter in group['params']
            if parameter.grad is not None
        ]
        if not gradients:
            return torch.tensor(False, device=device)
        # The largest of a tensor: unlike a sum of squares it is finite where all values are.
        largest = torch._foreach_norm(gradients, float('inf'))
        return ~torch.isfinite(torch.stack([norm.to(device) for norm in largest])).all()

    @torch.no_grad()
    def _remember_statistics(self, model: nn.Module) -> None:
        if model is not self._watched:
            self._watched = model
            buffers = [
                buffer
                for module in model.modules()
                if isinstance(module, _BatchNorm)
                for buffer in module.buffers(recurse=False)
            ]
            self._statistics = [(buffer, buffer.clone()) for buffer in buffers]
        for current, before in self._statistics:
            before.copy_(current)


@HOOKS.register_module()
class FiniteStepsHook(Hook):
    """Say which steps were left out and why, and stop where there is no end to them.

    For the optimizer wrappers of this package. Each step that was left out is a warning with the
    losses and samples of it; the log counts them as ``skipped_steps``. After ``max_in_row`` without
    a good one in between each process writes what reproduces its batch to
    ``non_finite/iter_<step>_rank_<rank>.pth`` in the work directory, see :func:`load_bad_batch` and
    ``tools/replay_batch.py``, and training ends.

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
        self.seen = 0

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Look whether the step was left out."""
        wrapper = runner.optim_wrapper
        if getattr(wrapper, 'skipped', 0) == self.seen:
            return
        self.seen = wrapper.skipped
        runner.message_hub.update_scalar('train/skipped_steps', wrapper.skipped)
        losses = {
            name: float(torch.as_tensor(value).detach()) for name, value in (outputs or {}).items()
        }
        runner.logger.warning(
            f'Iteration {runner.iter + 1}: a loss or a gradient is not finite, the step is skipped '
            f'({wrapper.skipped_in_row} in a row, {wrapper.skipped} in all)'
            + ''.join(_gather_reports(losses, data_batch['data_samples']))
        )
        if wrapper.skipped_in_row >= self.max_in_row:
            path = self.dump(runner, data_batch, losses)
            raise FloatingPointError(
                f'{wrapper.skipped_in_row} steps in a row have losses or gradients that are not '
                f'finite; the last checkpoint is from before. {path} reproduces the last batch: '
                f'python tools/replay_batch.py {path}'
            )

    def dump(self, runner, data_batch: dict, losses: dict[str, float]) -> Path:
        """Write what reproduces a batch; see :func:`load_bad_batch`."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        rank = get_rank()
        path = Path(runner.work_dir, 'non_finite', f'iter_{runner.iter + 1}_rank_{rank}.pth')
        save_checkpoint(
            dict(
                meta=dict(
                    cfg=runner.cfg.pretty_text,
                    seed=runner.seed,
                    rank=rank,
                    iteration=runner.iter,
                    losses=losses,
                ),
                state_dict=model.state_dict(),
                batch=to_plain(data_batch),
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
        The same with a dictionary in place of each data sample.
    """
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
    if isinstance(value, (Tensor, np.ndarray, np.generic, str, bytes, bool, type(None))):
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


def _gather_reports(losses: dict[str, float], samples: list) -> Iterator[str]:
    """A line for each process with losses that are not finite, or for all where none has."""
    reports = all_gather_object((losses, [describe_sample(sample) for sample in samples]))
    bad = [not np.isfinite(list(found.values())).all() for found, _ in reports]
    for rank, (found, names) in enumerate(reports):
        if bad[rank] or not any(bad):
            numbers = ', '.join(f'{name} {number:.4g}' for name, number in found.items())
            yield f'\n  process {rank}: {numbers}; samples: {", ".join(names)}'
