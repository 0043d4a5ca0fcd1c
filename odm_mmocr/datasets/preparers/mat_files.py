"""MATLAB files of version 5, read cell by cell: a file of gigabytes in memory of megabytes."""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

# Types of data elements.
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {
    1: 'i1',
    2: 'u1',
    3: 'i2',
    4: 'u2',
    5: 'i4',
    6: 'u4',
    7: 'f4',
    9: 'f8',
    12: 'i8',
    13: 'u8',
}
_UNICODE = {16: 'utf-8', 17: 'utf-16', 18: 'utf-32'}
# Classes of arrays.
_CELLS, _CHARACTERS, _NUMERIC = 1, 4, range(6, 16)

_HEADER_SIZE = 128
_CHUNK = 1 << 18
# An annotation of an image takes kilobytes. What claims to be larger is damage or malice.
_MAX_ELEMENT = 1 << 26
_MAX_DEPTH = 8
_MAX_SIDES = 32  # of an array, which NumPy takes

Value = np.ndarray | list
"""Numbers as an array; characters as a list of its rows, str; cells as a list of values."""


class MatFileError(ValueError):
    """The file is none of MATLAB, is damaged, or holds what is not supported."""


class _Variable(NamedTuple):
    start: int  # of its contents, after the tag
    size: int
    compressed: bool


class MatFile:
    """A MATLAB file of version 5, its variables compressed or not.

    `scipy.io.loadmat` builds all of a variable at once, which for the character boxes of SynthText
    are arrays for 858,750 images; here an image is read at a time.

    Args:
        path (str or path): The file.

    Raises:
        OSError: If it cannot be read.
        MatFileError: If it is no such file, or is damaged.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        with open(self.path, 'rb') as file:
            header = file.read(_HEADER_SIZE)
            self._order = self._check_header(header)
            self._variables = self._index(file)

    @property
    def names(self) -> list[str]:
        """Names of the variables."""
        return list(self._variables)

    def read(self, name: str) -> Value:
        """Read a variable whole.

        Raises:
            MatFileError: If there is no such variable, or it is damaged or over 64 MiB.
        """
        variable = self._find(name)
        with open(self.path, 'rb') as file:
            source = self._open(file, variable)
            kind, size = self._read_tag(source)
            if kind != _MATRIX:
                raise MatFileError(f'{self.path}: {name} is no array')
            return self._parse(self._take(source, size), 0)

    def count_cells(self, name: str) -> int:
        """Number of cells of a variable that is a cell array.

        Raises:
            MatFileError: If there is no such variable, or it is no cell array.
        """
        with open(self.path, 'rb') as file:
            return self._enter_cells(file, name)[1]

    def iterate_cells(self, name: str, start: int = 0) -> Iterator[Value]:
        """Read the cells of a variable one after the other.

        Args:
            name (str): Of a variable that is a cell array.
            start (int): How many cells to skip. Defaults to 0.

        Yields:
            Value: What is in the cell.

        Raises:
            MatFileError: As :meth:`count_cells`, or where a cell is damaged.
        """
        with open(self.path, 'rb') as file:
            source, count = self._enter_cells(file, name)
            for number in range(count):
                kind, size = self._read_tag(source)
                if kind != _MATRIX:
                    raise MatFileError(f'{self.path}: cell {number} of {name} is no array')
                content = self._take(source, size)
                if number < start:
                    continue
                try:
                    value = self._parse(content, 0)
                except MatFileError as error:
                    raise MatFileError(f'{error} (cell {number} of {name})') from error
                yield value

    def _check_header(self, header: bytes) -> str:
        if header.startswith(b'\x89HDF') or header[124:128] in (b'\x00\x02IM', b'\x02\x00MI'):
            raise MatFileError(
                f'{self.path} is a MATLAB file of version 7.3; expected version 5, which '
                "save(…, '-v7') writes"
            )
        orders = {b'\x00\x01IM': '<', b'\x01\x00MI': '>'}
        if len(header) < _HEADER_SIZE or header[124:128] not in orders:
            raise MatFileError(f'{self.path} is no MATLAB file of version 5')
        return orders[header[124:128]]

    def _index(self, file) -> dict[str, _Variable]:
        variables = {}
        end = os.fstat(file.fileno()).st_size
        position = _HEADER_SIZE
        while position + 8 <= end:
            file.seek(position)
            kind, size = struct.unpack(f'{self._order}2I', file.read(8))
            if kind not in (_MATRIX, _COMPRESSED) or position + 8 + size > end:
                raise MatFileError(f'{self.path} is damaged or cut off at byte {position}')
            compressed = kind == _COMPRESSED
            # A compressed element has its own tag inside; another one is entered at its tag.
            variable = _Variable(position + 8 if compressed else position, size, compressed)
            source = self._open(file, variable)
            self._read_tag(source)
            _, _, name = self._read_array_header(source)
            if name:
                variables[name] = variable
            position += 8 + size
        return variables

    def _find(self, name: str) -> _Variable:
        try:
            return self._variables[name]
        except KeyError:
            raise MatFileError(
                f'{self.path} has no {name}; it has {", ".join(self.names) or "nothing"}'
            ) from None

    def _open(self, file, variable: _Variable) -> '_Source':
        file.seek(variable.start)
        size = variable.size if variable.compressed else variable.size + 8
        return _Source(file, size, zlib.decompressobj() if variable.compressed else None)

    def _enter_cells(self, file, name: str) -> tuple['_Source', int]:
        source = self._open(file, self._find(name))
        self._read_tag(source)
        kind, shape, _ = self._read_array_header(source)
        if kind != _CELLS:
            raise MatFileError(f'{self.path}: {name} is no cell array')
        return source, _count(shape)

    def _read_array_header(self, source: '_Source') -> tuple[int, list[int], str]:
        flags = self._read_element(source)[1]
        shape = self._read_element(source)[1]
        name = self._read_element(source)[1]
        return self._parse_header(flags, shape, name)

    def _read_tag(self, source: '_Source') -> tuple[int, int]:
        return struct.unpack(f'{self._order}2I', self._take(source, 8))

    def _read_element(self, source: '_Source') -> tuple[int, bytes]:
        tag = self._take(source, 8)
        kind, size = struct.unpack(f'{self._order}2I', tag)
        if kind >> 16:
            return kind & 0xFFFF, tag[4 : 4 + (kind >> 16)]
        return kind, self._take(source, size + -size % 8)[:size]

    def _take(self, source: '_Source', size: int) -> bytes:
        if size > _MAX_ELEMENT:
            raise MatFileError(f'{self.path} has an element of {size:,} bytes; it is damaged')
        try:
            content = source.read(size)
        except zlib.error as error:
            raise MatFileError(f'{self.path} is damaged: {error}') from error
        if len(content) < size:
            raise MatFileError(f'{self.path} is damaged or cut off')
        return content

    def _parse_header(self, flags: bytes, shape: bytes, name: bytes) -> tuple[int, list[int], str]:
        if len(flags) < 4 or len(shape) % 4:
            raise MatFileError(f'{self.path} is damaged')
        kind = struct.unpack_from(f'{self._order}I', flags)[0] & 0xFF
        sides = list(struct.unpack(f'{self._order}{len(shape) // 4}i', shape))
        if not 2 <= len(sides) <= _MAX_SIDES or any(side < 0 for side in sides):
            raise MatFileError(f'{self.path} is damaged: an array of the shape {sides}')
        return kind, sides, name.decode('latin-1')

    def _parse(self, content: bytes, depth: int) -> Value:
        """Value of an array from the contents of its element."""
        if not content:
            return np.empty((0, 0))
        if depth > _MAX_DEPTH:
            raise MatFileError(f'{self.path} nests cells more than {_MAX_DEPTH} deep')
        elements = _Source.of(content)
        kind, shape, _ = self._read_array_header(elements)
        count = _count(shape)
        if kind == _CELLS:
            values = []
            for _ in range(count):
                element, size = self._read_tag(elements)
                if element != _MATRIX:
                    raise MatFileError(f'{self.path} is damaged: a cell is no array')
                values.append(self._parse(self._take(elements, size), depth + 1))
            return values
        if kind != _CHARACTERS and kind not in _NUMERIC:
            raise MatFileError(
                f'{self.path} holds an array of class {kind}, which is not supported'
            )
        if not count:  # of any other sides, which NumPy may refuse
            return [] if kind == _CHARACTERS else np.empty((0, 0))
        form, data = self._read_element(elements)
        if kind == _CHARACTERS:
            return self._parse_characters(form, data, shape)
        values = self._parse_numbers(form, data)
        if values.size != count:
            raise MatFileError(f'{self.path} is damaged: {values.size} numbers in {shape}')
        return values.reshape(shape, order='F')

    def _parse_numbers(self, form: int, data: bytes) -> np.ndarray:
        if form not in _NUMBERS:
            raise MatFileError(f'{self.path} holds numbers of type {form}, which is not supported')
        dtype = np.dtype(self._order + _NUMBERS[form])
        if len(data) % dtype.itemsize:
            raise MatFileError(f'{self.path} is damaged: {len(data)} bytes of {dtype} numbers')
        return np.frombuffer(data, dtype)

    def _parse_characters(self, form: int, data: bytes, shape: list[int]) -> list[str]:
        try:
            if form in _UNICODE:
                byte_order = {'<': '-le', '>': '-be'}[self._order] if form > 16 else ''
                text = data.decode(_UNICODE[form] + byte_order)
            else:
                text = ''.join(map(chr, self._parse_numbers(form, data).tolist()))
        except (UnicodeDecodeError, ValueError, OverflowError) as error:
            raise MatFileError(f'{self.path} holds text that is damaged: {error}') from error
        rows = shape[0]
        if len(text) != _count(shape):
            raise MatFileError(f'{self.path} is damaged: {len(text)} characters in {shape}')
        # Arrays are stored column by column.
        return [text[row::rows] for row in range(rows)]


def join_text(value: Value) -> str:
    """The rows of characters as one text; empty where a value is none, as of empty texts."""
    is_text = isinstance(value, list) and all(isinstance(row, str) for row in value)
    return ''.join(value) if is_text else ''


class _Source:
    """Bytes of a file, or of a compressed part of it, in sequence."""

    def __init__(self, file, size: int, decompressor) -> None:
        self._file = file
        self._left = size
        self._decompressor = decompressor
        self._buffer = b''
        self._position = 0

    @classmethod
    def of(cls, content: bytes) -> '_Source':
        source = cls(None, 0, None)
        source._buffer = content
        return source

    def read(self, size: int) -> bytes:
        """The next bytes; fewer where there are no more."""
        end = self._position + size
        if end > len(self._buffer):
            self._fill(size)
            end = size
        content = self._buffer[self._position : end]
        self._position = min(end, len(self._buffer))
        return content

    def _fill(self, size: int) -> None:
        pieces = [self._buffer[self._position :]]
        missing = size - len(pieces[0])
        while missing > 0:
            piece = self._next_piece()
            if not piece:
                break
            pieces.append(piece)
            missing -= len(piece)
        self._buffer = b''.join(pieces)
        self._position = 0

    def _next_piece(self) -> bytes:
        if self._decompressor is None:
            return self._next_raw()
        while not self._decompressor.eof:
            raw = self._decompressor.unconsumed_tail or self._next_raw()
            if not raw:
                break
            piece = self._decompressor.decompress(raw, _CHUNK)
            if piece:
                return piece
        return b''

    def _next_raw(self) -> bytes:
        size = min(_CHUNK, self._left)
        self._left -= size
        return self._file.read(size) if size else b''


def _count(shape: list[int]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count
