"""Checkpoints from disk, without running what a stranger may have put into them."""

import logging
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

# What torch says of an object whose loading could run code.
_REFUSED = re.compile(r'(?:GLOBAL|Unsupported class) (\S+)')


class UnreadableCheckpoint(ValueError):
    """A checkpoint is cut off, is none, or holds what could run code; the message says which."""


def load_checkpoint(path: str | os.PathLike) -> dict:
    """Read a checkpoint onto the CPU; tensors and plain data only.

    What mmengine's own training checkpoints hold beside those is allowed by `odm_mmocr.compat`.

    Args:
        path: A file that `torch.save` has written.

    Returns:
        The dictionary in the file.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableCheckpoint: The file is cut off, is no checkpoint, holds objects whose loading
            could run code, or holds no dictionary. It is a ValueError.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        what = 'is a folder' if path.is_dir() else 'does not exist'
        raise FileNotFoundError(f'{path} {what}; a checkpoint file (.pth) is needed')
    with open(path, 'rb') as file:
        try:
            checkpoint = torch.load(file, map_location='cpu', weights_only=True)
        except Exception as error:  # torch raises seven kinds of errors for broken files
            raise explain_refusal(path, error) from error
    if not isinstance(checkpoint, dict):
        raise UnreadableCheckpoint(
            f'{path} holds a {type(checkpoint).__name__}; a checkpoint is a dictionary with a '
            "'state_dict'"
        )
    return checkpoint


def explain_refusal(path: str | os.PathLike, error: Exception) -> UnreadableCheckpoint:
    """Say of an error of `torch.load` what is wrong with the file, and what to do."""
    if refused := _REFUSED.search(str(error)):
        return UnreadableCheckpoint(
            f'{path} holds {refused[1]}, which is neither a tensor nor plain data. '
            'Loading it could run code, so it is refused; where the file comes from, save '
            "the weights alone: torch.save({'state_dict': …})"
        )
    size = f' ({os.path.getsize(path):,} bytes)' if os.path.isfile(path) else ''
    return UnreadableCheckpoint(
        f'{path}{size} cannot be read: it is cut off or no checkpoint of PyTorch; copy or '
        'download it again, or take an older one'
    )


def without_counters(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leave out BatchNorm's counts of batches, which are no weights."""
    return {k: v for k, v in state_dict.items() if not k.endswith('num_batches_tracked')}


def unwrap(model: nn.Module) -> nn.Module:
    """The model in wrappers for several processes or for augmentation; itself without any."""
    while hasattr(model, 'module'):
        model = model.module
    return model


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
    wanted = unwrap(model).state_dict()
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
    """Find the checkpoint that a run saved last, and that is whole.

    Where the last one is empty or cut off (MMEngine writes in place, and a disk may fail), this is
    logged and the one before it is taken.

    Args:
        work_dir: Folder of the run. It may have been moved or copied since: a file in it comes
            before one at the place where it was saved.

    Returns:
        Path of the checkpoint, or None where the run has saved none.

    Raises:
        FileNotFoundError: The run names a checkpoint that is gone.
        ValueError: None of its checkpoints is whole.
    """
    folder = Path(work_dir)
    pointer = folder / 'last_checkpoint'
    named = Path(pointer.read_text().strip()) if pointer.is_file() else Path()
    saved = sorted(folder.glob('*.pth'), key=_number, reverse=True)
    numbered = [path for path in saved if _number(path) >= 0]
    if named.name:
        inside = folder / named.name
        last = named
        # Two names of one file may be here: the one in the pointer holds in any current folder.
        if inside.is_file() and not (named.is_file() and named.samefile(inside)):
            last = inside
        if not last.is_file():
            raise FileNotFoundError(
                f'{pointer} names {named}, which is gone; checkpoints in that folder: '
                f'{", ".join(sorted(p.name for p in saved)) or "none"}. Resume from one of them by '
                'its path'
            )
        numbered = [last, *(path for path in numbered if _number(path) < _number(last))]
    for path in numbered:
        fault = find_fault(path)
        if fault is None:
            return path
        print_log(f'{path} is damaged ({fault})', logger='current', level=logging.WARNING)
    if numbered:
        raise ValueError(
            f'no checkpoint in {folder} is whole: {", ".join(p.name for p in numbered)}; give the '
            'path of a whole one, or start again in another folder'
        )
    return None


def find_fault(path: str | os.PathLike) -> str | None:
    """Read a checkpoint through and compare its checksums, without taking it into memory.

    Args:
        path: A file that `torch.save` has written.

    Returns:
        What is wrong with it, or None.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:  # a damaged archive raises errors of many kinds
        size = Path(path).stat().st_size
        return f'{size:,} bytes: {error}' if size else 'it is empty'
    if damaged:
        return f'its part {damaged} differs from its checksum'
    try:
        torch.load(path, map_location='cpu', mmap=True, weights_only=True)
    except Exception as error:  # torch raises seven kinds of errors for broken files
        # What holds more than tensors is not damaged; loading it says what is wrong.
        return None if _REFUSED.search(str(error)) else str(error).splitlines()[0]
    return None


def _number(path: Path) -> int:
    """The iteration or epoch in the name of a regular checkpoint; -1 for other files."""
    found = re.fullmatch(r'(?:iter|epoch)_(\d+)\.pth', path.name)
    return int(found[1]) if found else -1
