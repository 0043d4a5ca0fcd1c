"""Activation checkpointing: forget what a layer computed and compute it again in the backward."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from fnmatch import fnmatchcase
from functools import cache

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import checkpoint


@contextmanager
def statistics_kept(module: nn.Module) -> Iterator[None]:
    """Let the normalisations of a module leave their running statistics alone for a while."""
    norms = [m for m in module.modules() if isinstance(m, _NormBase) and m.track_running_stats]
    before = [(norm.momentum, norm.num_batches_tracked.clone()) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, before, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(batches)


@cache
def _recomputed(cls: type) -> type:
    def forward(self, *args, **kwargs):
        if not (self.training and torch.is_grad_enabled()):
            return cls.forward(self, *args, **kwargs)
        return checkpoint(
            lambda *a, **k: cls.forward(self, *a, **k),
            *args,
            use_reentrant=False,
            # A batch must count once in BatchNorm's running statistics, not twice.
            context_fn=lambda: (nullcontext(), statistics_kept(self)),
            **kwargs,
        )

    return type(cls.__name__, (cls,), dict(forward=forward, __module__=cls.__module__))


def recompute_in_backward(model: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Make sub-modules keep only their inputs during training and run again in the backward.

    Memory for time: a sub-module costs one more forward pass, and what it would have kept for
    its backward is freed. Losses, gradients and running statistics stay the same.

    Args:
        model: Changed in place: the class of each matching sub-module is replaced by a subclass.
        patterns: Dotted names with wildcards, such as ``'image_encoder.backbone.layer1.*'``. A
            ``*`` does not reach over a dot.

    Returns:
        Names of the sub-modules.

    Raises:
        ValueError: A pattern fits no sub-module, or one inside another that was chosen as well.
    """
    names = [name for name, _ in model.named_modules() if name]
    chosen: dict[str, None] = {}
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        parts = pattern.split('.')
        fitting = [
            name
            for name in names
            if name.count('.') == pattern.count('.')
            and all(map(fnmatchcase, name.split('.'), parts))
        ]
        if not fitting:
            raise ValueError(
                f'checkpoint={pattern!r} fits no part of {type(model).__name__}; '
                f'its parts: {", ".join(name for name, _ in model.named_children())}'
            )
        chosen.update(dict.fromkeys(fitting))
    for inner in chosen:
        if outer := next((name for name in chosen if inner.startswith(f'{name}.')), None):
            raise ValueError(f'checkpoint chooses {inner} and also {outer}, which it is part of')
    for name in chosen:
        module = model.get_submodule(name)
        module.__class__ = _recomputed(type(module))
    return list(chosen)
