"""Entries of an annotation file of any size, decoded one after another."""

import codecs
import re
from collections.abc import Iterator
from json import JSONDecodeError, JSONDecoder
from typing import IO, Any

PIECE = 4 * 2**20  # bytes read at a time
LARGEST = 64 * 2**20  # characters of one value
# No token but a string is longer: an error nearer to the end of a piece may be due to that end.
_LONGEST_TOKEN = 16
_META = 'metainfo'
_CUT_OFF = 'the end of the file: it is cut off'
_WHITESPACE = re.compile(r'[ \t\n\r]*')
_scan_once = JSONDecoder().scan_once


class AnnotationStream:
    """The entries of MMOCR's JSON, or of JSON Lines, in memory that does not grow with the file.

    Iterating yields each entry (dict) with the bytes of the file at which it begins and ends.

    Args:
        file: The open file, UTF-8 with or without a byte order mark. JSON is
            `{"metainfo": {…}, "data_list": [entry, …]}`, with its keys in any order and others
            beside them. JSON Lines are an entry a line, the first of which may be
            `{"metainfo": {…}}` instead.
        name: Name of the file, for messages.
        lines: Whether it is JSON Lines.

    Attributes:
        metainfo (dict): What the file says of itself, complete when all entries were read.

    Raises:
        ValueError: While iterating, where the file is malformed or cut off, has no `data_list`, or
            an entry is no object with a list `instances` of objects; it names file, entry (counted
            from 0) and byte.
    """

    def __init__(self, file: IO[bytes], name: str, lines: bool = False) -> None:
        self.metainfo: dict = {}
        self._scanner = _Scanner(file, name)
        self._lines = lines

    def __iter__(self) -> Iterator[tuple[dict, int, int]]:
        self._scanner.take('\ufeff')
        return self._read_lines() if self._lines else self._read_document()

    def _read_lines(self) -> Iterator[tuple[dict, int, int]]:
        scanner = self._scanner
        number = 0
        scanner.place = 'entry 0'
        while scanner.peek():
            begin = scanner.byte
            entry = scanner.read_value()
            if not number and isinstance(entry, dict) and [*entry] == [_META]:
                self._keep_metainfo(entry[_META])
                continue
            self._check(entry, begin)
            yield entry, begin, scanner.byte
            number += 1
            scanner.place = f'entry {number}'

    def _read_document(self) -> Iterator[tuple[dict, int, int]]:
        scanner = self._scanner
        scanner.expect('{', 'an object with "metainfo" and "data_list"')
        keys: set[str] = set()
        more = scanner.peek() != '}'
        while more:
            if scanner.peek() != '"':
                raise scanner.fault('expected a key in double quotes')
            begin = scanner.byte
            key = scanner.read_value()
            if key in keys:
                raise scanner.fault(f'"{key}" is there twice', begin)
            keys.add(key)
            scanner.expect(':', f'a colon after "{key}"')
            if key == 'data_list':
                yield from self._read_list()
            elif key == _META:
                scanner.peek()
                self._keep_metainfo(scanner.read_value())
            else:
                scanner.peek()
                scanner.read_value()
            more = scanner.take(',')
        scanner.expect('}', 'a comma and another key, or the end of the object')
        if scanner.peek():
            raise scanner.fault(
                'there is more after the object; a file of an entry a line is to be called .jsonl'
            )
        if 'data_list' not in keys:
            raise scanner.fault('there is no "data_list"; expected an annotation of MMOCR')

    def _read_list(self) -> Iterator[tuple[dict, int, int]]:
        scanner = self._scanner
        scanner.expect('[', 'a list as "data_list"')
        if scanner.take(']'):
            return
        number = 0
        more = True
        while more:
            scanner.place = f'entry {number}'
            scanner.peek()
            begin = scanner.byte
            entry = scanner.read_value()
            self._check(entry, begin)
            yield entry, begin, scanner.byte
            number += 1
            more = scanner.take(',')
        scanner.expect(']', f'a comma and entry {number}, or the end of "data_list"')
        scanner.place = ''

    def _check(self, entry: Any, begin: int) -> None:
        if not isinstance(entry, dict):
            raise self._scanner.fault(f'expected an object, found {type(entry).__name__}', begin)
        instances = entry.get('instances')
        if not isinstance(instances, list):
            found = type(instances).__name__ if 'instances' in entry else 'none'
            raise self._scanner.fault(f'expected a list "instances", found {found}', begin)
        for number, instance in enumerate(instances):
            if not isinstance(instance, dict):
                kind = type(instance).__name__
                raise self._scanner.fault(
                    f'expected an object as instance {number}, found {kind}', begin
                )

    def _keep_metainfo(self, value: Any) -> None:
        if not isinstance(value, dict):
            raise self._scanner.fault(
                f'expected an object as "metainfo", found {type(value).__name__}'
            )
        self.metainfo = value


class _Scanner:
    """JSON values of a file, of which a piece at a time is in memory.

    Attributes:
        byte: How much of the file is read.
        place: What is being read, for messages.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.byte = 0
        self.place = ''
        self._file = file
        self._name = name
        self._decoder = codecs.getincrementaldecoder('utf-8')()
        self._decoded = 0  # bytes handed to it
        self._text = ''
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """Skip white space and return the character after it, empty at the end of the file."""
        while True:
            self._advance(_WHITESPACE.match(self._text, self._at).end())
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._read_on()

    def take(self, character: str) -> bool:
        """Whether that character comes next, after white space, and was skipped."""
        if self.peek() != character:
            return False
        self._advance(self._at + 1)
        return True

    def expect(self, character: str, what: str) -> None:
        """Skip that character; what it stands for is for the message."""
        if not self.take(character):
            found = self.peek()
            raise self.fault(f'expected {what}, found {repr(found) if found else _CUT_OFF}')

    def read_value(self) -> Any:
        """The value that begins here."""
        while True:
            try:
                value, end = _scan_once(self._text, self._at)
            except StopIteration as error:
                fault, position, cut_off = 'expected a value', error.value, False
            except JSONDecodeError as error:
                fault, position = error.msg, error.pos
                cut_off = fault.startswith('Unterminated string')
            except RecursionError:
                raise self.fault('objects or lists are nested too deep') from None
            except ValueError as error:  # such as a number of more digits than Python takes
                raise self.fault(str(error)) from error
            else:
                # A number may go on in the next piece: 1. or 1 and then .5
                whole = self._text[end - 1] in '}]"' or end < len(self._text) - _LONGEST_TOKEN
                if whole or self._ended:
                    self._advance(end)
                    return value
                self._read_on()
                continue
            if self._ended or not (cut_off or position > len(self._text) - _LONGEST_TOKEN):
                if cut_off or position >= len(self._text):
                    fault = f'{fault}; found {_CUT_OFF}'
                raise self.fault(fault, self.byte + self._bytes(position))
            self._read_on()

    def fault(self, message: str, byte: int | None = None) -> ValueError:
        """An error at a byte of the file, by default at the next one to read."""
        place = f'{self.place}, ' if self.place else ''
        byte = self.byte if byte is None else byte
        return ValueError(f'{self._name}: {place}byte {byte}: {message}')

    def _read_on(self) -> None:
        rest = self._text[self._at :]
        if len(rest) > LARGEST:
            raise self.fault(
                f'a value of more than {LARGEST // 2**20} MiB; expected "metainfo" and a '
                '"data_list" of smaller entries'
            )
        # As much as there is, so that a long value is tried a few times only.
        piece = self._file.read(max(PIECE, len(rest)))
        waiting = len(self._decoder.getstate()[0])
        self._ended = not piece
        try:
            text = self._decoder.decode(piece, final=self._ended)
        except UnicodeDecodeError as error:
            raise self.fault(
                f'expected UTF-8: {error.reason}', self._decoded - waiting + error.start
            ) from error
        self._decoded += len(piece)
        self._text, self._at = rest + text, 0

    def _advance(self, position: int) -> None:
        self.byte += self._bytes(position)
        self._at = position

    def _bytes(self, position: int) -> int:
        if self._text.isascii():
            return position - self._at
        return len(self._text[self._at : position].encode())
