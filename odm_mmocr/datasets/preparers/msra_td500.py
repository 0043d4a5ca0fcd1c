"""MSRA-TD500: lines of text in any direction, in turned boxes, without transcriptions."""

import math
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from .paired_files import find_pairs_of_folders, read_pairs
from .parsers import excerpt, make_instance, parse_lines
from .preparation import Report, prepare_splits

FOLDERS = {split: ((split, f'MSRA-TD500/{split}'),) * 2 for split in ('train', 'test')}
PUBLISHED = {'train': {'images': 300}, 'test': {'images': 200}}


def find_msra_td500(root: str | PathLike) -> dict[str, tuple[Path, Path]]:
    """Find the splits of MSRA-TD500 under a folder, see :func:`find_pairs_of_folders`."""
    return find_pairs_of_folders(root, FOLDERS, 'MSRA-TD500')


def prepare_msra_td500(
    splits: Mapping[str, tuple[str | PathLike, str | PathLike]],
    out: str | PathLike,
    skip_malformed: bool = False,
    **options: Any,
) -> Report:
    """Turn the official files into annotations of MMOCR, see :func:`prepare_icdar2015`.

    There are no texts, so `textdet_<split>.json` alone is written.

    Args:
        splits (Mapping[str, tuple[path, path]]): For each split the folder of images and the folder
            of `<image name>.gt`; they are the same as downloaded.
        out, skip_malformed, options: As of :func:`prepare_icdar2015`.
    """
    readers = read_pairs(
        splits,
        lambda file: parse_lines(file, parse_msra_td500_line),
        lambda stem: (f'{stem}.gt',),
        with_text=False,
    )
    return prepare_splits(readers, out, skip_malformed, **options)


def parse_msra_td500_line(line: str) -> dict:
    """Parse `index difficulty x y width height angle`.

    The box with the top left corner x, y is turned about its middle by the angle, in radians,
    clockwise as one sees it.

    Returns:
        dict: `poly` (8 float, pixels, clockwise from what is the top left before turning), `text`
        (empty) and `ignore`: whether the line is marked as difficult.

    Raises:
        ValueError: If it is another; it says what is there instead.
    """
    fields = line.split()
    try:
        _, difficulty, x, y, width, height, angle = map(float, fields)
    except ValueError:
        raise ValueError(
            'expected seven numbers (index difficulty x y width height angle), found '
            f'{excerpt(line)}'
        ) from None
    if difficulty not in (0, 1) or not min(width, height) > 0 or not math.isfinite(angle):
        raise ValueError(
            'expected a difficulty of 0 or 1, a width and height above 0 and an angle, found '
            f'{excerpt(line)}'
        )
    cos, sin = math.cos(angle), math.sin(angle)
    polygon = []
    for right, down in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        across, along = right * width / 2, down * height / 2
        polygon.append(round(x + width / 2 + cos * across - sin * along, 2))
        polygon.append(round(y + height / 2 + sin * across + cos * along, 2))
    instance = make_instance(polygon, '')
    instance['ignore'] = difficulty == 1
    return instance
