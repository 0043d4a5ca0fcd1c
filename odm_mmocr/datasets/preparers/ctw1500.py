"""SCUT-CTW1500: lines of text along curves, in polygons of 14 points."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any
from xml.parsers import expat

from .paired_files import find_pairs_of_folders, read_pairs
from .parsers import excerpt, make_instance, parse_lines
from .preparation import Report, prepare_splits

NUMBERS = 28  # of 14 points
# The four numbers of a box and 14 offsets from its corner, without texts: the labels of 2017.
_NUMBERS_OF_2017 = 32
_MARK = '####'  # before each text of the test set

FOLDERS = {
    'train': (
        (
            'train_images',
            'ctw1500_train_images/train_images',
            'ctw1500_train_images',
            'textdet_imgs/train',
        ),
        (
            'ctw1500_train_labels/ctw1500_train_labels',
            'ctw1500_train_labels',
            'annotations/train',
            'train_gt',
        ),
    ),
    'test': (
        (
            'test_images',
            'ctw1500_test_images/test_images',
            'ctw1500_test_images',
            'textdet_imgs/test',
        ),
        ('gt_ctw1500', 'gt_ctw_1500', 'ctw1500_test_labels', 'annotations/test', 'test_gt'),
    ),
}
PUBLISHED = {'train': {'images': 1000}, 'test': {'images': 500}}


def find_ctw1500(root: str | PathLike) -> dict[str, tuple[Path, Path]]:
    """Find the splits of CTW1500 under a folder, see :func:`find_pairs_of_folders`."""
    return find_pairs_of_folders(root, FOLDERS, 'CTW1500')


def prepare_ctw1500(
    splits: Mapping[str, tuple[str | PathLike, str | PathLike]],
    out: str | PathLike,
    skip_malformed: bool = False,
    **options: Any,
) -> Report:
    """Turn the official files into annotations of MMOCR, see :func:`prepare_icdar2015`.

    Args:
        splits (Mapping[str, tuple[path, path]]): For each split the folder of images and the folder
            of ground truth: `0001.xml` for `0001.jpg` in training, `0001001.txt` for `1001.jpg` in
            test.
        out, skip_malformed, options: As of :func:`prepare_icdar2015`.
    """
    readers = read_pairs(splits, parse_ctw1500_file, _names_of_truth)
    return prepare_splits(readers, out, skip_malformed, **options)


def parse_ctw1500_file(path: Path) -> tuple[list[dict], list[str]]:
    """Parse the ground truth of an image, of the training set (`.xml`) or the test set (`.txt`).

    MMOCR's `CTW1500AnnParser` cuts a text at its first comma, takes unreadable training lines for
    readable ones and does not say where a file is wrong.

    Returns:
        tuple: Instances, see :func:`parse_ctw1500_line`, and a description of everything malformed
        with file and line.
    """
    if path.suffix.lower() == '.txt':
        return parse_lines(path, parse_ctw1500_line)
    return _XMLFile(path).parse()


def parse_ctw1500_line(line: str) -> dict:
    """Parse `x1,y1,…,x14,y14,####text`.

    Returns:
        dict: `poly` (28 float), `text` and `ignore`. The points of CTW1500 run anticlockwise from
        the bottom left; here they are in the order of all other data sets, clockwise from the top
        left.

    Raises:
        ValueError: If it is another; it says what is there instead.
    """
    fields = line.split(',', NUMBERS)
    if len(fields) <= NUMBERS or not fields[NUMBERS].startswith(_MARK):
        older = len(line.split(',')) == _NUMBERS_OF_2017
        hint = ': the labels of 2017, which have no texts; take the later ones' if older else ''
        raise ValueError(f'expected {NUMBERS} numbers and {_MARK}text, found {excerpt(line)}{hint}')
    return _make_instance(fields[:NUMBERS], fields[NUMBERS][len(_MARK) :])


def _names_of_truth(stem: str) -> list[str]:
    return [f'{stem}.xml', f'000{stem}.txt', f'{stem}.txt']


def _make_instance(numbers: list[str], text: str) -> dict:
    if len(numbers) != NUMBERS:
        raise ValueError(f'expected {NUMBERS} numbers, found {len(numbers)}')
    polygon = [float(number) for number in numbers]
    instance = make_instance(polygon, text)
    if _turns_anticlockwise(polygon):
        instance['poly'] = [n for x, y in zip(polygon[-2::-2], polygon[::-2]) for n in (x, y)]
    return instance


def _turns_anticlockwise(polygon: list[float]) -> bool:
    xs, ys = polygon[::2], polygon[1::2]
    area = sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(len(xs)))
    return area < 0


class _XMLFile:
    """`<box><label>text</label><segs>x1,y1,…</segs>…</box>`, read without building a tree.

    Expat says at which line it is, and lets entities be refused, by which a small file could name
    other files or grow to gigabytes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._instances: list[dict] = []
        self._problems: list[str] = []
        self._box: dict[str, str] | None = None
        self._line = 0
        self._field = ''
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._add_text
        self._parser.StartDoctypeDeclHandler = self._refuse

    def parse(self) -> tuple[list[dict], list[str]]:
        try:
            self._parser.Parse(self._path.read_bytes(), True)
        except expat.ExpatError as error:
            message = expat.ErrorString(error.code)
            self._problems.append(f'{self._path}:{error.lineno}: expected XML, but {message}')
        except ValueError as error:
            self._problems.append(f'{self._path}:{self._parser.CurrentLineNumber}: {error}')
        return self._instances, self._problems

    def _refuse(self, *_: object) -> None:
        raise ValueError('expected no document type, which CTW1500 has nowhere')

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == 'box':
            self._box, self._line = {}, self._parser.CurrentLineNumber
        elif self._box is not None:
            self._field = name
            self._box.setdefault(name, '')

    def _add_text(self, text: str) -> None:
        if self._box is not None and self._field:
            self._box[self._field] += text

    def _end(self, name: str) -> None:
        self._field = ''
        if name != 'box' or self._box is None:
            return
        try:
            if 'segs' not in self._box or 'label' not in self._box:
                raise ValueError(f'expected <label> and <segs> in <box>, found {list(self._box)}')
            numbers = self._box['segs'].strip().strip(',').split(',')
            self._instances.append(_make_instance(numbers, self._box['label']))
        except ValueError as error:
            self._problems.append(f'{self._path}:{self._line}: {error}')
        self._box = None
