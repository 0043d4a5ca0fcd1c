"""MMEngine's own reading of checkpoints, made to run nothing that stands in them."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any

import torch
from mmengine.runner.checkpoint import CheckpointLoader

from .loading import explain_refusal

_LOADING = RLock()  # threads that put back what another one has put there would leave it


@functools.cache
def guard_mmengine() -> None:
    """Let MMEngine run nothing that stands in a checkpoint; calling it again changes nothing.

    By itself it unpickles whatever it downloads, with torch below 2.6 local files as well, and
    executes the config in `meta['config']` when a run resumes. All ways into it (`load_from`,
    `resume`, `init_cfg`, its inferencers) go through one function, which is replaced by one that
    reads tensors and plain data only and raises :class:`UnreadableCheckpoint` for anything else.
    """
    load = CheckpointLoader.load_checkpoint.__func__

    def load_weights_only(cls, filename: str, *args: Any, **kwargs: Any) -> Any:
        with _weights_only():
            try:
                checkpoint = load(cls, filename, *args, **kwargs)
            except (OSError, ImportError):
                raise
            except Exception as error:  # torch raises seven kinds of errors for broken files
                raise explain_refusal(filename, error) from error
        meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
        if isinstance(meta, dict):
            # All that MMEngine would take from it is the number of GPUs of a config of MMCV 1.
            meta.pop('config', None)
        return checkpoint

    CheckpointLoader.load_checkpoint = classmethod(load_weights_only)


@contextmanager
def _weights_only() -> Iterator[None]:
    with _LOADING:
        load = torch.load
        torch.load = functools.partial(_load_weights_only, load)
        try:
            yield
        finally:
            torch.load = load


def _load_weights_only(load: Callable, *args: Any, **kwargs: Any) -> Any:
    # Said at every call: the default depends on the version and on an environment variable.
    return load(*args, **{**kwargs, 'weights_only': True})
