"""The step at which a training ended on NaN, done again and looked into."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmocr.registry import MODELS
from torch import Tensor, nn

from odm_mmocr.checkpoints.configs import read_config_text, require_registered

from .finite_steps import describe_sample, load_bad_batch
from .optim_wrapper import (
    AutoAmpOptimWrapper,
    CpuAmpOptimWrapper,
    FiniteAmpOptimWrapper,
    FiniteOptimWrapper,
)
from .seeding import seed_step

# What of a config's optimizer wrapper decides on the forward pass.
CONTEXT_SETTINGS = ('dtype', 'loss_scale', 'cpu_bfloat16')
WRAPPERS = {
    make.__name__: make
    for make in (AutoAmpOptimWrapper, CpuAmpOptimWrapper, FiniteAmpOptimWrapper, FiniteOptimWrapper)
}


class Replay(NamedTuple):
    """What a step did.

    Attributes:
        precision: What the forward pass ran in, and where, as `bfloat16 on cuda`.
        losses: Each by its name.
        recorded: The same, as the training had them.
        samples: Of each sample of the batch the image, with index and epoch where it has them.
        module: Name and type of the module whose output was the first that is not finite; None:
            all outputs are finite.
        gradients: Names of the parameters whose gradient is not finite.
    """

    precision: str
    losses: dict[str, float]
    recorded: dict[str, float]
    samples: list[str]
    module: str | None
    gradients: list[str]


def replay(path: str | os.PathLike, device: str = 'cpu') -> Replay:
    """Do the step again that :class:`FiniteStepsHook` has kept.

    It has the precision that the training has, or would have, on this machine, whatever the device.

    Args:
        path: File of a folder ``non_finite/``.
        device: Where; what is finite may depend on it.

    Returns:
        What the step did.

    Raises:
        FileNotFoundError, ValueError: As :func:`load_bad_batch`, or the config in the file cannot
            be built.
    """
    dump = load_bad_batch(path)
    meta = dump['meta']
    cfg = read_config_text(meta['cfg'])
    init_default_scope(cfg.get('default_scope', 'mmocr'))
    require_registered(cfg.get('model'), str(path))
    settings = dict(cfg.get('optim_wrapper') or {})
    make_wrapper = WRAPPERS.get(settings.get('type'))
    if make_wrapper is None:  # no other skips steps, and with that writes such files
        raise ValueError(
            f'{path} is of a training with the optimizer wrapper {settings.get("type")!r}; '
            f'expected is one of {", ".join(WRAPPERS)}'
        )
    try:
        model = MODELS.build(cfg['model'])
        model.load_state_dict(dump['state_dict'])
        model.to(device).train()
        optimizer = torch.optim.SGD(model.parameters(), 0.0)
        chosen = {name: settings[name] for name in CONTEXT_SETTINGS if name in settings}
        wrapper = make_wrapper(optimizer=optimizer, **chosen)
    except (KeyError, RuntimeError, TypeError, AssertionError) as error:
        raise ValueError(
            f'{path}: the model of this training cannot be built here: {error}'
        ) from error
    seed_step(meta['seed'], meta['rank'], meta['iteration'])
    dtype, kind = _forward_dtype(wrapper), torch.device(device).type
    # Not the wrapper's context, which asks for CUDA wherever there is CUDA.
    with (
        torch.autocast(kind, dtype, enabled=dtype != torch.float32),
        first_bad_output(model) as found,
    ):
        data = model.data_preprocessor(dump['batch'], True)
        losses = model(**data, mode='loss')
        total, shown = model.parse_losses(losses)
    total.backward()
    return Replay(
        f'{str(dtype).removeprefix("torch.")} on {kind}',
        {name: float(value.detach()) for name, value in shown.items()},
        meta['losses'],
        [describe_sample(sample) for sample in dump['batch']['data_samples']],
        found[0] if found else None,
        [
            name
            for name, parameter in model.named_parameters()
            if parameter.grad is not None and not torch.isfinite(parameter.grad).all()
        ],
    )


def _forward_dtype(wrapper: OptimWrapper) -> torch.dtype:
    if isinstance(wrapper, FiniteAmpOptimWrapper):
        return wrapper.cast_dtype or torch.float16  # as in MMEngine
    return torch.bfloat16 if isinstance(wrapper, CpuAmpOptimWrapper) else torch.float32


@contextmanager
def first_bad_output(model: nn.Module) -> Iterator[list[str]]:
    """Find the first module of a forward pass whose output is not finite.

    Yields:
        List that gets its name and type.
    """
    found: list[str] = []
    hooks = []

    def look(name: str):
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not found and not _finite(output):
                found.append(f'{name or "the model"} ({type(module).__name__})')

        return hook

    for name, module in model.named_modules():
        hooks.append(module.register_forward_hook(look(name)))
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _finite(output: Any) -> bool:
    if isinstance(output, Tensor):
        return not output.is_floating_point() or bool(torch.isfinite(output).all())
    if isinstance(output, dict):
        return all(map(_finite, output.values()))
    if isinstance(output, (list, tuple)):
        return all(map(_finite, output))
    return True
