"""ICDAR 2015 Incidental Scene Text (Robust Reading Competition, challenge 4)."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from .paired_files import find_pairs_of_folders, read_pairs
from .parsers import parse_icdar_line, parse_lines
from .preparation import Report, prepare_splits

# Folders of images and of ground truth: as downloaded and unpacked, as MMOCR lays them out, short.
FOLDERS = {
    'train': (
        ('ch4_training_images', 'textdet_imgs/train', 'train_images'),
        ('ch4_training_localization_transcription_gt', 'annotations/train', 'train_gt'),
    ),
    'test': (
        ('ch4_test_images', 'textdet_imgs/test', 'test_images'),
        (
            'Challenge4_Test_Task1_GT',
            'Challenge4_Test_Task4_GT',
            'ch4_test_localization_transcription_gt',
            'annotations/test',
            'test_gt',
        ),
    ),
}
PUBLISHED = {
    'train': {'images': 1000, 'readable': 4468},
    'test': {'images': 500, 'readable': 2077},
}


def find_icdar2015(root: str | PathLike) -> dict[str, tuple[Path, Path]]:
    """Find the splits of ICDAR 2015 under a folder, see :func:`find_pairs_of_folders`."""
    return find_pairs_of_folders(root, FOLDERS, 'ICDAR 2015')


def prepare_icdar2015(
    splits: Mapping[str, tuple[str | PathLike, str | PathLike]],
    out: str | PathLike,
    skip_malformed: bool = False,
    **options: Any,
) -> Report:
    """Turn the official files into annotations of MMOCR.

    Writes `textspotting_<split>.json` and `textdet_<split>.json`, which `OCRDataset` loads with
    `out` as `data_root`. The images stay where they are. Nothing is written where there are
    problems, unless they may be skipped.

    Args:
        splits (Mapping[str, tuple[path, path]]): For each split ('train', 'test') the folder of
            images and the folder of ground truth, `gt_<image name>.txt` for each image.
        out (str or path): Folder of the annotations.
        skip_malformed (bool): Whether to leave out malformed lines, files that are no images, and
            images and ground truth that lack the other. Defaults to False.
        options: Further arguments of :func:`prepare_splits`.

    Returns:
        Report: Counts, problems and the files written.

    Raises:
        PreparationError: If a folder does not exist or has no images or no ground truth.
    """
    readers = read_pairs(splits, lambda file: parse_lines(file, parse_icdar_line))
    return prepare_splits(readers, out, skip_malformed, **options)
