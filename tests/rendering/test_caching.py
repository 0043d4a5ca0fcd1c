import sys
from functools import lru_cache
from types import ModuleType

import pytest

from odm_mmocr.rendering import load_fonts, render_strip
from odm_mmocr.rendering.caching import (
    CacheSize,
    MemoryBoundedCache,
    cache_sizes,
    clear_caches,
    memory_bounded,
)


@pytest.fixture
def room(monkeypatch):
    """A package of one module with a cache of either kind, and a neighbour of a similar name."""

    @memory_bounded(100, size=len)
    def repeat(text, times):
        return text * times

    @lru_cache(maxsize=3)
    def square(number):
        return number**2

    for name in ('room', 'room.inner', 'roommate'):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    inner = sys.modules['room.inner']
    for function in (repeat, square):
        function.__module__ = 'room.inner'
        setattr(inner, function.__name__, function)
        setattr(sys.modules['roommate'], function.__name__, function)  # imported there
    inner.VERSION = '1.0'
    return inner


def test_bytes_stay_below_the_bound():
    cache = MemoryBoundedCache(100)
    for key in range(50):
        cache.put(key, key, 7)
        assert cache.bytes <= 100
        assert cache.bytes == 7 * len(cache)


def test_longest_unused_entry_goes_first():
    cache = MemoryBoundedCache(4)
    for key in 'abcd':
        cache.put(key, key, 1)
    cache.get('a')
    cache.put('e', 'e', 1)
    assert cache.get('a') == 'a'
    assert cache.get('b') is None


def test_giants_are_not_kept():
    cache = MemoryBoundedCache(100)
    cache.put('small', 1, 5)
    cache.put('giant', 2, 99)
    assert cache.get('small') == 1
    assert cache.get('giant') is None


def test_decorated_function_runs_once_a_key():
    calls = []

    @memory_bounded(100, size=lambda value: 1)
    def square(number):
        calls.append(number)
        return number**2

    assert [square(3), square(3), square(4)] == [9, 9, 16]
    assert calls == [3, 4]
    square.cache.clear()
    assert square(3) == 9
    assert calls == [3, 4, 3]


def test_sizes_are_those_of_what_is_held(room):
    assert cache_sizes('room')['room.inner.repeat'] == CacheSize(0, None, 0, 100)
    room.repeat('ab', 5)
    room.repeat('abc', 1)
    for number in range(7):
        room.square(number)
    assert cache_sizes('room') == {
        'room.inner.repeat': CacheSize(2, None, 13, 100),
        'room.inner.square': CacheSize(3, 3, None, None),
    }
    assert cache_sizes('roommate') == {}


def test_clearing_empties_every_cache(room):
    room.repeat('ab', 5)
    room.square(2)
    clear_caches('room')
    assert [size.entries for size in cache_sizes('room').values()] == [0, 0]
    assert room.repeat('ab', 5) == 'ababababab'
    assert cache_sizes('room')['room.inner.repeat'].bytes == 10


def test_caches_of_the_rendering_are_found_and_have_bounds():
    render_strip('found', load_fonts(), 32)
    sizes = cache_sizes()
    assert any(size.bytes for size in sizes.values())
    for name, size in sizes.items():
        assert name.startswith('odm_mmocr.rendering.')
        assert (size.max_entries is None) != (size.max_bytes is None)
