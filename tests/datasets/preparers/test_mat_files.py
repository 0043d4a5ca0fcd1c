"""MATLAB files against scipy, and what damage and malice make of them."""

import struct
import zlib

import numpy as np
import pytest

scipy_io = pytest.importorskip('scipy.io')

from odm_mmocr.datasets.preparers import MatFile, MatFileError  # noqa: E402


@pytest.fixture
def cells():
    cells = np.empty((1, 4), object)
    cells[0, 0] = np.arange(8.0).reshape(2, 4)
    cells[0, 1] = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    cells[0, 2] = np.array(['ab\ncé', 'd'])
    cells[0, 3] = np.zeros((2, 4, 0))
    return cells


@pytest.fixture(params=[False, True], ids=['plain', 'compressed'])
def path(request, tmp_path, cells):
    path = tmp_path / 'a.mat'
    content = dict(cells=cells, numbers=np.array([[1, -2], [3, 4]], np.int16))
    scipy_io.savemat(path, content, do_compression=request.param)
    return path


def test_cells_are_what_was_saved(path, cells):
    file = MatFile(path)
    assert file.names == ['cells', 'numbers']
    assert file.count_cells('cells') == 4
    flat, boxes, text, empty = file.iterate_cells('cells')
    assert np.array_equal(flat, cells[0, 0])
    assert np.array_equal(boxes, cells[0, 1])
    assert text == ['ab\ncé', 'd    ']
    assert empty.size == 0
    assert file.read('numbers').tolist() == [[1, -2], [3, 4]]


def test_cells_may_be_skipped(path):
    skipped = list(MatFile(path).iterate_cells('cells', start=2))
    assert len(skipped) == 2
    assert skipped[0][0] == 'ab\ncé'


def test_cells_are_read_without_the_rest(tmp_path):
    tracemalloc = pytest.importorskip('tracemalloc')
    cells = np.empty((1, 40), object)
    for i in range(40):
        cells[0, i] = np.full((250, 100), i, float)  # 200 kB each
    path = tmp_path / 'a.mat'
    scipy_io.savemat(path, dict(cells=cells))
    tracemalloc.start()
    total = sum(cell[0, 0] for cell in MatFile(path).iterate_cells('cells'))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == sum(range(40))
    assert peak < 3e6


def test_nested_cells_and_wide_characters(tmp_path):
    rows = np.empty((2, 2), object)
    rows[0] = ['x:', np.array([[1, 2, 3]])]
    rows[1] = ['汉字', np.array([[4], [5]])]
    scipy_io.savemat(tmp_path / 'a.mat', dict(rows=rows))
    value = MatFile(tmp_path / 'a.mat').read('rows')
    assert value[:2] == [['x:'], ['汉字']]  # column by column
    assert value[2].shape == (1, 3)
    assert value[3].shape == (2, 1)


def test_what_is_absent_is_named(path):
    file = MatFile(path)
    with pytest.raises(MatFileError, match='no wordBB; it has cells, numbers'):
        file.count_cells('wordBB')
    with pytest.raises(MatFileError, match='numbers is no cell array'):
        file.count_cells('numbers')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'no MATLAB file'),
        (b'\x89HDF\r\n\x1a\n' + bytes(200), 'version 7.3'),
        (b'MATLAB 7.3 MAT-file'.ljust(124) + b'\x00\x02IM', 'version 7.3'),
        (b'x' * 300, 'no MATLAB file'),
        (bytes(124) + b'\x00\x01IM' + struct.pack('<2I', 14, 1 << 31), 'cut off'),
    ],
)
def test_other_files_say_what_was_expected(tmp_path, content, message):
    path = tmp_path / 'a.mat'
    path.write_bytes(content)
    with pytest.raises(MatFileError, match=message):
        MatFile(path)


def test_damage_is_an_error_of_its_kind(path):
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    failed = 0
    for trial in range(300):
        damaged = bytearray(whole)
        if trial % 3:
            for place in rng.integers(128, len(whole), 4):
                damaged[place] = rng.integers(256)
        else:
            damaged = damaged[: rng.integers(len(whole))]
        path.write_bytes(damaged)
        try:
            file = MatFile(path)
            for name in file.names:
                file.read(name)
                list(file.iterate_cells(name))
        except MatFileError:
            failed += 1
    assert failed > 100


def test_small_files_that_would_fill_the_memory_are_refused(tmp_path):
    flags = struct.pack('<2I2I', 6, 8, 6, 0)
    shape = struct.pack('<2I2i', 5, 8, 1, 1 << 27)
    head = flags + shape + struct.pack('<2I', 1, 4) + b'bomb' + bytes(4)
    array = head + struct.pack('<2I', 9, 1 << 30) + bytes(1 << 26)
    packed = zlib.compress(struct.pack('<2I', 14, len(array)) + array, 9)
    path = tmp_path / 'bomb.mat'
    path.write_bytes(bytes(124) + b'\x00\x01IM' + struct.pack('<2I', 15, len(packed)) + packed)
    assert path.stat().st_size < 1e5
    with pytest.raises(MatFileError, match='damaged'):
        MatFile(path).read('bomb')


def test_cells_that_nest_without_end_are_refused(tmp_path):
    nested = np.empty((1, 1), object)
    nested[0, 0] = 1.0
    for _ in range(20):
        outer = np.empty((1, 1), object)
        outer[0, 0] = nested
        nested = outer
    scipy_io.savemat(tmp_path / 'a.mat', dict(deep=nested))
    with pytest.raises(MatFileError, match='deep'):
        MatFile(tmp_path / 'a.mat').read('deep')


def test_an_array_of_less_than_two_sides_is_damage(tmp_path):
    path = tmp_path / 'a.mat'
    scipy_io.savemat(path, dict(text=np.array(['ab'])))
    content = bytearray(path.read_bytes())
    place = content.index(struct.pack('<2I', 5, 8), 128) + 4  # the tag of the two sides
    content[place : place + 12] = struct.pack('<I', 0) + bytes(8)
    path.write_bytes(content)
    with pytest.raises(MatFileError, match='damaged'):
        MatFile(path).read('text')


def _numbers(path, sides):
    """A file with an array of numbers of these sides."""

    def element(kind, content):
        return struct.pack('<2I', kind, len(content)) + content + bytes(-len(content) % 8)

    count = int(np.prod(sides, dtype=object))
    array = element(6, struct.pack('<2I', 6, 0)) + element(
        5, struct.pack(f'<{len(sides)}i', *sides)
    )
    array += element(1, b'a') + element(9, bytes(8 * count))
    path.write_bytes(bytes(124) + b'\x00\x01IM' + element(14, array))
    return path


def test_an_empty_array_with_huge_sides_is_empty(tmp_path):
    path = _numbers(tmp_path / 'a.mat', [2**31 - 1, 2**31 - 1, 0])
    assert MatFile(path).read('a').size == 0


@pytest.mark.parametrize('side', [0, 1])
def test_an_array_of_too_many_sides_is_damage(tmp_path, side):
    assert MatFile(_numbers(tmp_path / 'a.mat', [side] * 4)).read('a').size == side
    with pytest.raises(MatFileError, match='damaged'):
        MatFile(_numbers(tmp_path / 'a.mat', [side] * 70)).read('a')
