"""Batches whose tensors travel together, from worker to training and from host to GPU."""

import io
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import FUNCTIONS
from torch import Tensor
from torch.utils.data import get_worker_info

from odm_mmocr.structures import map_tensors

ALIGNMENT = 64  # bytes; more than any element has


@FUNCTIONS.register_module()
def packed_collate(data_batch: Sequence[dict]) -> 'PackedBatch':
    """Make a batch as MMEngine's ``pseudo_collate`` does, with its tensors side by side in memory.

    From a worker each piece of memory comes with a file descriptor of its own, over a connection
    of its own; of ``pseudo_collate``'s there are as many as tensors, ten in a sample of ODM. Here
    there is one for all images and one for all the rest.

    Args:
        data_batch: Samples with the same keys, of any sizes.

    Returns:
        The batch.
    """
    batch = pseudo_collate(data_batch)
    return PackedBatch({key: _lay_together(value) for key, value in batch.items()})


class PackedBatch(dict):
    """A batch that takes each piece of memory along once, however many tensors lie in it.

    For whoever reads it, it is the dictionary that it was made of.
    """

    def __reduce__(self) -> tuple:
        file = io.BytesIO()
        pickler = _Pickler(file)
        pickler.dump(dict(self))
        return _load, (file.getvalue(), pickler.memories)

    def pin_memory(self) -> 'PackedBatch':
        """Copy the tensors into page-locked memory; PyTorch's loader calls it."""
        return PackedBatch(map_tensors(dict(self), CopyTogether(Tensor.pin_memory)))


class CopyTogether:
    """Copy tensors, all those that lie in one piece of memory at once.

    Args:
        copy: Copies a uint8 (bytes,) tensor that is the whole memory.
    """

    def __init__(self, copy: Callable[[Tensor], Tensor]):
        self.copy = copy
        self.copies: dict[int, Tensor] = {}

    def __call__(self, tensor: Tensor) -> Tensor:
        """Copy a tensor, or find it in what is already copied."""
        address = tensor.untyped_storage().data_ptr()
        if address not in self.copies:
            self.copies[address] = self.copy(_whole_memory(tensor))
        return _look_up(self.copies[address], *_describe(tensor))


def _lay_together(value: Any) -> Any:
    tensors: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        tensors.append(tensor)
        return tensor

    map_tensors(value, note)
    places, size = [], 0
    for tensor in tensors:
        places.append(size)
        size += -(-tensor.nbytes // ALIGNMENT) * ALIGNMENT
    memory = torch.empty(size, dtype=torch.uint8)
    if get_worker_info() is not None:
        memory.share_memory_()  # before it is filled: sharing it later would copy it
    following = iter(places)

    def place(tensor: Tensor) -> Tensor:
        start = next(following)
        part = memory[start : start + tensor.nbytes].view(tensor.dtype)
        return part.view(tensor.shape).copy_(tensor)

    return map_tensors(value, place)


def _whole_memory(tensor: Tensor) -> Tensor:
    empty = torch.empty(0, dtype=torch.uint8, device=tensor.device)
    return empty.set_(tensor.untyped_storage())


def _describe(tensor: Tensor) -> tuple:
    return tensor.dtype, tuple(tensor.shape), tensor.stride(), tensor.storage_offset()


def _look_up(memory: Tensor, dtype: torch.dtype, *where) -> Tensor:
    return memory.view(dtype).as_strided(*where)


class _Pickler(pickle.Pickler):
    """Notes where a tensor lies, and collects the memories."""

    def __init__(self, file: io.BytesIO):
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.memories: list[Tensor] = []
        self.numbers: dict[int, int] = {}

    def persistent_id(self, value: Any) -> tuple | None:
        if not isinstance(value, Tensor):
            return None
        address = value.untyped_storage().data_ptr()
        number = self.numbers.setdefault(address, len(self.memories))
        if number == len(self.memories):
            self.memories.append(_whole_memory(value))
        return number, *_describe(value)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, memories: list[Tensor]):
        super().__init__(file)
        self.memories = memories

    def persistent_load(self, found: tuple) -> Tensor:
        number, *where = found
        return _look_up(self.memories[number], *where)


def _load(content: bytes, memories: list[Tensor]) -> PackedBatch:
    return PackedBatch(_Unpickler(io.BytesIO(content), memories).load())
