"""Annotation files of the Robust Reading Competition, and what parsers of text files share."""

import codecs
import math
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path

from mmocr.datasets.preparers.parsers import BaseParser
from mmocr.registry import DATA_PARSERS

UNREADABLE = '###'


def parse_icdar_line(line: str) -> dict:
    """Parse a line `x1,y1,x2,y2,x3,y3,x4,y4,text`.

    Args:
        line (str): The line. The text may hold commas; `###` is unreadable, and so is an empty text
            (nothing after the last comma).

    Returns:
        dict: `poly` (list of 8 float, pixels), `text` (str) and `ignore` (bool).

    Raises:
        ValueError: If there are not eight numbers and a text. It says what is there instead.
    """
    fields = line.split(',', 8)
    if len(fields) < 9:
        raise ValueError(
            'expected x1,y1,x2,y2,x3,y3,x4,y4,text (for an empty text with the last comma), found '
            f'{len(fields)} field{"s" * (len(fields) > 1)}: {excerpt(line)}'
        )
    polygon = []
    for number, field in enumerate(fields[:8], start=1):
        try:
            polygon.append(float(field))
        except ValueError:
            polygon.append(math.nan)
        if not math.isfinite(polygon[-1]):
            raise ValueError(
                f'expected eight numbers and then the text, but field {number} is {field!r}: '
                f'{excerpt(line)}'
            )
    text = fields[8].strip()
    return {'poly': polygon, 'text': text, 'ignore': text in ('', UNREADABLE)}


def make_instance(
    polygon: Sequence[float], text: str, ignore: bool = False, unreadable: str = UNREADABLE
) -> dict:
    """Make an instance of its parts, whose form is checked.

    Args:
        polygon (Sequence[float]): x1, y1, x2, y2, …, pixels.
        text (str): The text.
        ignore (bool): Whether it is marked as unreadable in another way than by its text. Defaults
            to False.
        unreadable (str): The text of what is unreadable; what has none is so too. Defaults to
            `###`.

    Returns:
        dict: `poly` (list of float), `text` and `ignore`.

    Raises:
        ValueError: If there are less than three points, one that is not finite or half, or a text
            that is no Unicode.
    """
    polygon = [float(number) for number in polygon]
    if len(polygon) < 6 or len(polygon) % 2:
        raise ValueError(f'expected three points or more, found {len(polygon)} numbers')
    if not all(map(math.isfinite, polygon)):
        raise ValueError(f'expected points that are finite, found {excerpt(str(polygon))}')
    try:
        text.encode('utf-8')
    except UnicodeEncodeError as error:
        raise ValueError(f'expected a text in Unicode, found {text!a}') from error
    text = text.strip()
    return {'poly': polygon, 'text': text, 'ignore': ignore or text in ('', unreadable)}


def read_lines(path: str | PathLike) -> Iterator[tuple[int, str | UnicodeDecodeError]]:
    """Read the lines of a text file in UTF-8, with or without a byte order mark.

    Yields:
        tuple: Number of the line, from 1, and the line, or what is wrong with its encoding. Empty
        lines are left out.
    """
    content = Path(path).read_bytes().removeprefix(codecs.BOM_UTF8)
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            try:
                yield number, line.decode('utf-8')
            except UnicodeDecodeError as error:
                yield number, error


def parse_lines(path: str | PathLike, parse: Callable[[str], dict]) -> tuple[list[dict], list[str]]:
    """Parse the lines of a text file, see :func:`read_lines`.

    Args:
        path (str or path): The file.
        parse (callable): From a line to an instance; raises a `ValueError` that says what is there
            instead of one.

    Returns:
        tuple: The instances, and the malformed lines as `file:line: what is wrong`.
    """
    instances, problems = [], []
    for number, line in read_lines(path):
        try:
            if isinstance(line, UnicodeDecodeError):
                raise ValueError(f'expected UTF-8, but {line}')
            instances.append(parse(line))
        except ValueError as error:
            problems.append(f'{path}:{number}: {error}')
    return instances, problems


@DATA_PARSERS.register_module()
class ICDARTxtTextSpottingParser(BaseParser):
    """Parses ICDAR's text files: UTF-8 with or without a byte order mark, see `parse_icdar_line`.

    Malformed lines do not stop it: they are left out and described in `problems` (list of str,
    `file:line: what is wrong`).

    Args:
        split (str): Name of the split.
        nproc (int): Has no effect: reading is quick. Defaults to 1.
    """

    def __init__(self, split: str, nproc: int = 1) -> None:
        super().__init__(split=split, nproc=nproc)
        self.problems: list[str] = []

    def parse_file(self, img_path: str, ann_path: str) -> tuple[str, list[dict]]:
        """Parse the annotation of one image into a list of instances."""
        instances, problems = parse_lines(ann_path, parse_icdar_line)
        self.problems += problems
        return img_path, instances


def excerpt(line: str, length: int = 60) -> str:
    """A text for an error: quoted, and cut where it is long."""
    return repr(line if len(line) <= length else line[:length] + '…')
