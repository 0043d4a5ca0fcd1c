"""Annotation files of the Robust Reading Competition."""

import codecs
import math
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
            f'{len(fields)} field{"s" * (len(fields) > 1)}: {_excerpt(line)}'
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
                f'{_excerpt(line)}'
            )
    text = fields[8].strip()
    return {'poly': polygon, 'text': text, 'ignore': text in ('', UNREADABLE)}


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
        instances = []
        content = Path(ann_path).read_bytes().removeprefix(codecs.BOM_UTF8)
        for number, line in enumerate(content.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                instances.append(parse_icdar_line(line.decode('utf-8')))
            except UnicodeDecodeError as error:
                self.problems.append(f'{ann_path}:{number}: expected UTF-8, but {error}')
            except ValueError as error:
                self.problems.append(f'{ann_path}:{number}: {error}')
        return img_path, instances


def _excerpt(line: str, length: int = 60) -> str:
    return repr(line if len(line) <= length else line[:length] + '…')
