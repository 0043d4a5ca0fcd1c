from odm_mmocr.rendering.caching import MemoryBoundedCache, memory_bounded


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
