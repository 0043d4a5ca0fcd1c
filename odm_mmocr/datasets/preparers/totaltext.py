"""Total-Text: words along curves, in polygons of any number of points."""

import ast
import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from .mat_files import MatFile, MatFileError, join_text
from .paired_files import find_pairs_of_folders, read_pairs
from .parsers import excerpt, make_instance, read_lines
from .preparation import Report, prepare_splits

UNREADABLE = '#'
# Of polygon ground truth in MATLAB files: x:, numbers, y:, numbers, text, orientation.
_COLUMNS = 6
_VARIABLES = ('polygt', 'gt')

_TRUTH = (
    'txt_format/{}',
    'Groundtruth/Polygon/{}',
    'groundtruth_polygonal_annotation/Polygon/{}',
    'Polygon/{}',
    'gt/Polygon/{}',
)
FOLDERS = {
    split: (
        (f'Images/{name}', f'totaltext/Images/{name}', f'textdet_imgs/{split}', f'{split}_images'),
        (*(folder.format(name) for folder in _TRUTH), f'annotations/{split}', f'{split}_gt'),
    )
    for split, name in (('train', 'Train'), ('test', 'Test'))
}
PUBLISHED = {'train': {'images': 1255}, 'test': {'images': 300}}

_RECORD = re.compile(
    r'\s*x:\s*\[\[(?P<x>[^\]]*)\]\]\s*,\s*y:\s*\[\[(?P<y>[^\]]*)\]\]\s*,'
    r'\s*ornt:\s*(?P<orientation>\[.*?\])\s*,\s*transcriptions:\s*(?P<text>\[.*\])\s*',
    re.DOTALL,
)


def find_totaltext(root: str | PathLike) -> dict[str, tuple[Path, Path]]:
    """Find the splits of Total-Text under a folder, see :func:`find_pairs_of_folders`."""
    return find_pairs_of_folders(root, FOLDERS, 'Total-Text')


def prepare_totaltext(
    splits: Mapping[str, tuple[str | PathLike, str | PathLike]],
    out: str | PathLike,
    skip_malformed: bool = False,
    **options: Any,
) -> Report:
    """Turn the official files into annotations of MMOCR, see :func:`prepare_icdar2015`.

    Args:
        splits (Mapping[str, tuple[path, path]]): For each split the folder of images and the folder
            of polygon ground truth: for each image `poly_gt_<name>` or `gt_<name>`, as `.txt` or
            `.mat`.
        out, skip_malformed, options: As of :func:`prepare_icdar2015`.
    """
    readers = read_pairs(splits, parse_totaltext_file, _names_of_truth)
    return prepare_splits(readers, out, skip_malformed, **options)


def parse_totaltext_file(path: Path) -> tuple[list[dict], list[str]]:
    """Parse the ground truth of an image.

    MMOCR's `TotaltextTextDetAnnParser` evaluates the text of the file as Python, knows no `.mat`
    and does not say where a file is wrong.

    Args:
        path (Path): A `.txt` file, see :func:`parse_totaltext_record`, whose records may take
            several lines, or a `.mat` file with the cells `polygt` (legacy) or `gt` (refined).

    Returns:
        tuple: Instances, and a description of every malformed record with file and line.
    """
    records = _read_mat(path) if path.suffix.lower() == '.mat' else _read_text(path)
    instances, problems = [], []
    for place, parse, record in records:
        try:
            if isinstance(record, Exception):
                raise ValueError(str(record))
            instances.append(parse(record))
        except ValueError as error:
            problems.append(f'{path}:{place} {error}')
    return instances, problems


def parse_totaltext_record(record: str) -> dict:
    """Parse `x: [[x1 x2 …]], y: [[y1 y2 …]], ornt: [u'c'], transcriptions: [u'text']`.

    Returns:
        dict: `poly`, `text` and `ignore`: whether the text is `#` or empty, or the orientation is
        `#`, by which the official evaluation goes.

    Raises:
        ValueError: If it is another; it says what is there instead.
    """
    match = _RECORD.fullmatch(record)
    if not match:
        raise ValueError(
            "expected x: [[…]], y: [[…]], ornt: [u'…'], transcriptions: [u'…'], found "
            f'{excerpt(record)}'
        )
    text, orientation = (','.join(_parse_strings(match[name])) for name in ('text', 'orientation'))
    xs, ys = (re.split(r'[\s,]+', match[name].strip()) for name in 'xy')
    return _make_instance(xs, ys, text, orientation)


def _names_of_truth(stem: str) -> list[str]:
    return [f'{kind}{stem}{suffix}' for suffix in ('.txt', '.mat') for kind in ('poly_gt_', 'gt_')]


def _read_text(path: Path):
    start, lines = 0, []
    for number, line in read_lines(path):
        if isinstance(line, UnicodeDecodeError):
            yield f'{number}:', parse_totaltext_record, ValueError(f'expected UTF-8, but {line}')
            continue
        if line.lstrip().startswith('x:') or not lines:
            if lines:
                yield f'{start}:', parse_totaltext_record, ' '.join(lines)
            start, lines = number, []
        lines.append(line.strip())
    if lines:
        yield f'{start}:', parse_totaltext_record, ' '.join(lines)


def _read_mat(path: Path):
    try:
        file = MatFile(path)
        name = next((name for name in _VARIABLES if name in file.names), _VARIABLES[0])
        cells = file.read(name)
    except MatFileError as error:
        yield '', _parse_row, error
        return
    if not isinstance(cells, list) or len(cells) % _COLUMNS:
        found = f'{len(cells)} cells' if isinstance(cells, list) else 'numbers'
        yield '', _parse_row, ValueError(f'expected six columns of cells in {name}, found {found}')
        return
    rows = len(cells) // _COLUMNS
    for row in range(rows):
        yield f' row {row + 1} of {name}:', _parse_row, cells[row::rows]


def _parse_row(row: list) -> dict:
    _, xs, _, ys, text, orientation = row
    for name, numbers in (('x', xs), ('y', ys)):
        if not isinstance(numbers, np.ndarray):
            raise ValueError(f'expected numbers as {name}, found {excerpt(str(numbers))}')
    return _make_instance(
        xs.ravel().tolist(), ys.ravel().tolist(), join_text(text), join_text(orientation)
    )


def _parse_strings(literal: str) -> list[str]:
    try:
        strings = ast.literal_eval(literal)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ValueError(f'expected a list of strings, found {excerpt(literal)}') from error
    if not isinstance(strings, list) or not all(isinstance(one, str) for one in strings):
        raise ValueError(f'expected a list of strings, found {excerpt(literal)}')
    return strings


def _make_instance(xs: list, ys: list, text: str, orientation: str) -> dict:
    if len(xs) != len(ys):
        raise ValueError(f'expected as many x as y, found {len(xs)} and {len(ys)}')
    try:
        polygon = [float(number) for point in zip(xs, ys) for number in point]
    except ValueError as error:
        raise ValueError(f'expected numbers as x and y: {error}') from error
    return make_instance(polygon, text, orientation == UNREADABLE, UNREADABLE)
