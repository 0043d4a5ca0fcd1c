"""Caches: one that is bounded by the memory of what it holds, and what all of them hold."""

import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from functools import wraps
from typing import NamedTuple, TypeVar

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


class CacheSize(NamedTuple):
    """What a cache holds, and its bounds.

    Attributes:
        entries: Number of values.
        max_entries: Bound on it; None where the bound is one on bytes.
        bytes: Bytes of the values; None where they are not counted.
        max_bytes: Bound on it; None where the bound is one on the number of entries.
    """

    entries: int
    max_entries: int | None
    bytes: int | None
    max_bytes: int | None


def cache_sizes(package: str = __package__) -> dict[str, CacheSize]:
    """Says what the caches of this process hold.

    Found are the module-level functions that are decorated by :func:`memory_bounded` or
    :func:`functools.lru_cache`, in those modules that have been imported.

    Args:
        package: Package whose modules are searched.

    Returns:
        Size of each cache by the name of its function, ``package.module.function``.
    """
    sizes = {}
    for name, function in _cached_functions(package):
        if isinstance(getattr(function, 'cache', None), MemoryBoundedCache):
            cache = function.cache
            sizes[name] = CacheSize(len(cache), None, cache.bytes, cache.max_bytes)
        else:
            info = function.cache_info()
            sizes[name] = CacheSize(info.currsize, info.maxsize, None, None)
    return sizes


def clear_caches(package: str = __package__) -> None:
    """Empties the caches that :func:`cache_sizes` finds."""
    for _, function in _cached_functions(package):
        clear = getattr(function, 'cache_clear', None) or function.cache.clear
        clear()


def _cached_functions(package: str) -> Iterator[tuple[str, Callable]]:
    for name, module in sorted(sys.modules.items()):
        if name != package and not name.startswith(f'{package}.'):
            continue
        for function in list(vars(module).values()):
            is_cached = hasattr(function, 'cache_info') or isinstance(
                getattr(function, 'cache', None), MemoryBoundedCache
            )
            if is_cached and getattr(function, '__module__', None) == name:
                yield f'{name}.{function.__name__}', function
