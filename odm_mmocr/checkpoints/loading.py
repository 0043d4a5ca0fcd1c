"""Checkpoints from disk, without running what a stranger may have put into them."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn


def load_checkpoint(path: str | os.PathLike) -> dict:
    """Read a checkpoint onto the CPU; tensors and plain data only.

    What mmengine's own training checkpoints hold beside those is allowed by `odm_mmocr.compat`.

    Args:
        path: A file that `torch.save` has written.

    Returns:
        The dictionary in the file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is cut off, is no checkpoint, holds objects whose loading could run
            code, or holds no dictionary.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        what = 'is a folder' if path.is_dir() else 'does not exist'
        raise FileNotFoundError(f'{path} {what}; a checkpoint file (.pth) is needed')
    with open(path, 'rb') as file:
        try:
            checkpoint = torch.load(file, map_location='cpu', weights_only=True)
        except Exception as error:  # torch raises seven kinds of errors for broken files
            if refused := re.search(r'(?:GLOBAL|Unsupported class) (\S+)', str(error)):
                raise ValueError(
                    f'{path} holds {refused[1]}, which is neither a tensor nor plain data. '
                    'Loading it could run code, so it is refused; where the file comes from, save '
                    "the weights alone: torch.save({'state_dict': …})"
                ) from error
            raise ValueError(
                f'{path} ({path.stat().st_size:,} bytes) cannot be read: it is cut off or no '
                'checkpoint of PyTorch; copy or download it again, or take an older one'
            ) from error
    if not isinstance(checkpoint, dict):
        raise ValueError(
            f'{path} holds a {type(checkpoint).__name__}; a checkpoint is a dictionary with a '
            "'state_dict'"
        )
    return checkpoint


def without_counters(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leave out BatchNorm's counts of batches, which are no weights."""
    return {k: v for k, v in state_dict.items() if not k.endswith('num_batches_tracked')}


def check_fit(
    weights: Mapping[str, Tensor], model: nn.Module, source: str, allow_more: bool = False
) -> None:
    """Refuse weights of another network; loading them leniently would leave parts of it random.

    Args:
        weights: A state dictionary.
        model: The network they are for; a wrapper around it is looked through.
        source: Where they come from, for messages.
        allow_more: Whether there may be tensors that the model has no place for.

    Raises:
        ValueError: Tensors are missing, of another shape or too many; it names the first of them.
    """
    while hasattr(model, 'module'):  # wrapped for several processes or for augmentation
        model = model.module
    wanted = model.state_dict()
    wrong = [
        key
        for key, tensor in without_counters(wanted).items()
        if key not in weights or weights[key].shape != tensor.shape
    ]
    more = [] if allow_more else [key for key in weights if key not in wanted]
    if wrong or more:
        found = {
            'that are not in it or have another shape': wrong,
            'that the model has no place for': more,
        }
        raise ValueError(
            f'{source} is of another model than the config: '
            + '; '.join(
                f'{len(keys)} tensors {what}, such as {", ".join(keys[:3])}'
                for what, keys in found.items()
                if keys
            )
        )


def latest_checkpoint(work_dir: str | os.PathLike) -> Path | None:
    """Find the checkpoint that a run saved last.

    Args:
        work_dir: Folder of the run. It may have been moved since.

    Returns:
        Path of the checkpoint, or None where the run has saved none.

    Raises:
        FileNotFoundError: The run names a checkpoint that is gone.
    """
    pointer = Path(work_dir) / 'last_checkpoint'
    if not pointer.is_file():
        return None
    named = Path(pointer.read_text().strip())
    for path in (named, pointer.parent / named.name):
        if path.is_file():
            return path
    others = ', '.join(sorted(p.name for p in pointer.parent.glob('*.pth'))) or 'none'
    raise FileNotFoundError(
        f'{pointer} names {named}, which is gone; checkpoints in that folder: {others}. '
        'Resume from one of them by its path'
    )
