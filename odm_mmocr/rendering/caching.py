"""A cache that is bounded by the memory of what it holds."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from typing import TypeVar

Value = TypeVar('Value')


class MemoryBoundedCache:
    """Least-recently-used cache with a bound in bytes.

    Entries of very different size (a glyph of 20 pixels, a strip of 5000) make a bound on their
    number meaningless, hence this instead of :func:`functools.lru_cache`.

    Args:
        max_bytes: Bound on the sum of the entries' sizes. An entry that is larger than a quarter
            of it is never kept, so that one giant does not push out all others.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._entries: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable):
        """Returns the value of ``key``, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Hashable, value: object, size: int) -> None:
        """Keeps ``value``, of ``size`` bytes, and drops the entries longest unused."""
        if size > self.max_bytes // 4 or key in self._entries:
            return
        self._entries[key] = (value, size)
        self.bytes += size
        while self.bytes > self.max_bytes:
            self.bytes -= self._entries.popitem(last=False)[1][1]

    def clear(self) -> None:
        """Drops everything."""
        self._entries.clear()
        self.bytes = 0


def memory_bounded(max_bytes: int, size: Callable[[Value], int]):
    """Caches a function of hashable positional arguments in a :class:`MemoryBoundedCache`.

    Args:
        max_bytes: Bound of the cache, which is the attribute ``cache`` of the function.
        size: Gives the bytes of a returned value.
    """

    def decorate(function: Callable[..., Value]) -> Callable[..., Value]:
        cache = MemoryBoundedCache(max_bytes)

        @wraps(function)
        def cached(*args) -> Value:
            value = cache.get(args)
            if value is None:
                value = function(*args)
                cache.put(args, value, size(value))
            return value

        cached.cache = cache
        return cached

    return decorate
