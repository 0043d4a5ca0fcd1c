"""All tensors of a batch at once."""

from collections.abc import Callable, Collection
from typing import Any

from mmengine.structures import BaseDataElement
from torch import Tensor


def map_tensors(
    value: Any, function: Callable[[Tensor], Tensor], leave: Collection[str] = ()
) -> Any:
    """Apply a function to all tensors of a batch.

    Args:
        value: Tensors and what else there is, in dictionaries, lists, tuples and data elements.
        function: Takes and returns a tensor.
        leave: Names of fields of data elements that stay as they are.

    Returns:
        The same in containers and data elements of its own.
    """
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, BaseDataElement):
        mapped = value.new()
        for name, item in value.items():
            if name not in leave and isinstance(item, (Tensor, BaseDataElement)):
                mapped.set_data({name: map_tensors(item, function, leave)})
        return mapped
    if isinstance(value, dict):
        return {key: map_tensors(item, function, leave) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, '_fields'):
        return type(value)(*(map_tensors(item, function, leave) for item in value))
    if isinstance(value, (list, tuple)):
        return type(value)(map_tensors(item, function, leave) for item in value)
    return value
