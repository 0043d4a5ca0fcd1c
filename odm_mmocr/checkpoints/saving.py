"""Checkpoints that are whole or not there at all."""

import os
from typing import Any

import torch
from mmengine.fileio import LocalBackend, register_backend

from odm_mmocr.output_files import written_whole


def save_checkpoint(checkpoint: dict[str, Any], path: str | os.PathLike) -> None:
    """Save a dictionary with `torch.save`, whole or not at all.

    Args:
        checkpoint: The dictionary.
        path: The file; its folder is made where needed.

    Raises:
        OSError: As :func:`~odm_mmocr.output_files.written_whole`.
    """
    with written_whole(path) as file:
        torch.save(checkpoint, file)


class WholeFileBackend(LocalBackend):
    """MMEngine's local storage, but a file is whole or not there.

    MMEngine writes checkpoints in place: killed in that moment, a run leaves half a checkpoint.
    """

    def put(self, obj: bytes, filepath: str | os.PathLike) -> None:
        """Write bytes to a file; see :func:`~odm_mmocr.output_files.written_whole`."""
        with written_whole(filepath) as file:
            file.write(obj)


def save_whole_files() -> None:
    """Make MMEngine save checkpoints of this process through :class:`WholeFileBackend`."""
    register_backend('local', WholeFileBackend, force=True, prefixes='')
