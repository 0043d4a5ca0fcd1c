"""A folder of the user's own images, with text files as those of ICDAR or a JSON file of MMOCR."""

import json
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from odm_mmocr.image_files import check_inside

from ..annotation_files import IMAGE_SUFFIXES, parse_polygon_line, parse_score
from .paired_files import PairedFilesReader, pair_files
from .parsers import excerpt, make_instance, parse_lines
from .preparation import ImageAnnotation, PreparationError, Report, SplitReader, prepare_splits
from .selection import draw

SPLITS = ('train', 'val', 'test')
UNDIVIDED = 'all'
# Where the images and the text files of a split may be, in its folder.
IMAGE_FOLDERS = ('images', 'imgs', '.')
TRUTH_FOLDERS = ('gt', 'labels', 'annotations', '.')


def find_own_files(root: str | PathLike) -> dict[str, tuple[Path, Path]]:
    """Find images and annotations in a folder, or in its folders `train`, `val` and `test`.

    Images are in `images`, `imgs` or the folder itself. Annotations are the only `.json` file
    there, or the `.txt` files in `gt`, `labels`, `annotations` or the folder itself.

    Args:
        root (str or path): The folder.

    Returns:
        dict[str, tuple[Path, Path]]: Folder of images, and folder of text files or JSON file, for
        each split, or for `all` where the folder is not divided.

    Raises:
        PreparationError: If there is no such folder, or no images or annotations in it.
    """
    root = Path(root)
    if not root.is_dir():
        raise PreparationError(f'there is no folder {root}')
    folders = {split: root / split for split in SPLITS if (root / split).is_dir()}
    return {
        split: (_find_images(folder), _find_truth(folder))
        for split, folder in (folders or {UNDIVIDED: root}).items()
    }


def prepare_own_files(
    splits: Mapping[str, tuple[str | PathLike, str | PathLike]],
    out: str | PathLike,
    test_fraction: float = 0,
    seed: int = 0,
    **options: Any,
) -> Report:
    """Turn the user's own files into annotations of MMOCR.

    Args:
        splits (Mapping[str, tuple[path, path]]): For each split the folder of images, and a folder
            of `<image name>.txt` or `gt_<image name>.txt`, see :func:`parse_polygon_line`, or a
            JSON file of MMOCR, whose boxes of characters and scores are kept. `all` is divided into
            `train` and `test`.
        out (str or path): Folder of the annotations.
        test_fraction (float): Of the images of `all`, for `test`. Defaults to 0.
        seed (int): By which they are drawn. Defaults to 0.
        options: Further arguments of :func:`prepare_splits`.

    Returns:
        Report: Counts, problems and the files written.

    Raises:
        PreparationError: If the files are of another kind, or cannot be divided.
    """
    readers: dict[str, PairedFilesReader | RecordsReader] = {}
    for split, (images, truth) in splits.items():
        reader = _open(Path(images), Path(truth))
        if split != UNDIVIDED:
            readers[split] = reader
            continue
        try:
            drawn = set(draw(len(reader), test_fraction, seed))
        except ValueError as error:
            raise PreparationError(str(error)) from error
        readers['train'] = reader.select([i for i in range(len(reader)) if i not in drawn])
        if drawn:
            readers['test'] = reader.select(sorted(drawn))
            readers['test'].problems = ()  # those of the pairing are told once
    return prepare_splits(readers, out, **options)


class RecordsReader(SplitReader):
    """Reads the images of a JSON file of MMOCR.

    Args:
        file (Path): The JSON file.
        images (Path): Folder that its `img_path` are relative to; no other is looked into.

    Raises:
        PreparationError: If it is no such file.
    """

    def __init__(self, file: Path, images: Path) -> None:
        self._file = file
        self._images = images.absolute()
        self._records = list(enumerate(_load(file)))
        self.with_text = any(
            isinstance(instance, dict) and instance.get('text')
            for _, record in self._records
            if isinstance(record, dict) and isinstance(record.get('instances'), list)
            for instance in record['instances']
        )

    def __len__(self) -> int:
        return len(self._records)

    def select(self, indices: Sequence[int]) -> 'RecordsReader':
        """A reader of some of the images."""
        chosen = object.__new__(RecordsReader)
        chosen.__dict__ = {**self.__dict__, '_records': [self._records[i] for i in indices]}
        return chosen

    def read(self, start: int) -> Iterator[ImageAnnotation]:
        """See :meth:`SplitReader.read`."""
        for number, record in self._records[start:]:
            place = f'{self._file}: image {number}'
            try:
                name, listed = record['img_path'], record['instances']
                path = self._images / _check_name(name, self._images)
                check_inside(path, self._images)
            except (KeyError, TypeError):
                problem = f'{place}: expected "img_path" and a list "instances"'
                yield ImageAnnotation(None, [], [problem])
                continue
            except ValueError as error:
                yield ImageAnnotation(None, [], [f'{place}: {error}'])
                continue
            instances, problems = [], []
            for index, instance in enumerate(listed if isinstance(listed, list) else [listed]):
                try:
                    instances.append(self._parse(instance))
                except ValueError as error:
                    problems.append(f'{place} ({name}): instance {index}: {error}')
            yield ImageAnnotation(path, instances, problems)

    def _parse(self, instance: object) -> dict:
        if not isinstance(instance, dict):
            raise ValueError(f'expected an object, found {excerpt(str(instance))}')
        polygon, box = instance.get('polygon'), instance.get('bbox')
        try:
            if polygon is None:
                left, top, right, bottom = box
                polygon = (left, top, right, top, right, bottom, left, bottom)
            polygon = [float(number) for number in polygon]
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(
                f'expected numbers as "polygon", or four as "bbox", found {excerpt(str(instance))}'
            ) from error
        text = instance.get('text') or ''
        if not isinstance(text, str):
            raise ValueError(f'expected a string as "text", found {excerpt(str(text))}')
        ignore = bool(instance.get('ignore', False))
        parsed = make_instance(polygon, text, ignore)
        if not self.with_text:
            parsed['ignore'] = ignore
        score, boxes = parse_score(instance), instance.get('char_polygons')
        if score is not None:
            parsed['score'] = score
        if boxes is not None:
            parsed['char_polygons'] = _parse_characters(boxes)
        return parsed


def _parse_characters(boxes: object) -> list[list[float]]:
    try:
        parsed = np.array(boxes, np.float64).reshape(-1, 8)
    except (TypeError, ValueError, OverflowError):
        parsed = np.full((1, 8), np.nan)
    if not np.isfinite(parsed).all():
        raise ValueError(
            'expected eight finite numbers for each character as "char_polygons", found '
            f'{excerpt(str(boxes))}'
        )
    return parsed.tolist()


def _open(images: Path, truth: Path) -> PairedFilesReader | RecordsReader:
    if not truth.is_dir():
        return RecordsReader(truth, images)
    pairs, problems = pair_files(
        images, truth, lambda stem: (f'{stem}.txt', f'gt_{stem}.txt'), IMAGE_SUFFIXES
    )
    return PairedFilesReader(pairs, problems, lambda file: parse_lines(file, _parse_line))


def _parse_line(line: str) -> dict:
    polygon, text, ignore = parse_polygon_line(line)
    return make_instance(polygon.ravel().tolist(), text, ignore)


def _load(file: Path) -> list:
    try:
        content = json.loads(file.read_text(encoding='utf-8-sig'))
    except (ValueError, RecursionError) as error:  # of JSON, of UTF-8, of a number too long
        raise PreparationError(f'{file} is no JSON file: {error}') from error
    records = content.get('data_list') if isinstance(content, dict) else None
    if not isinstance(records, list) or not records:
        raise PreparationError(f'{file} is no annotation of MMOCR: expected images in "data_list"')
    return records


def _check_name(name: str, folder: Path) -> str:
    path = PurePath(name)
    if path.is_absolute() or '..' in path.parts:
        raise ValueError(
            f'{excerpt(name)} is not in {folder}: expected a name in the folder of images'
        )
    return name


def _find_images(folder: Path) -> Path:
    for name in IMAGE_FOLDERS:
        images = folder / name
        if images.is_dir() and any(p.suffix.lower() in IMAGE_SUFFIXES for p in images.iterdir()):
            return images
    raise PreparationError(f'there are no images in {folder} ({", ".join(IMAGE_FOLDERS)})')


def _find_truth(folder: Path) -> Path:
    # What an earlier run has written here is no input.
    files = [
        path for path in folder.glob('*.json') if not path.name.startswith(('textdet_', 'textspot'))
    ]
    if len(files) == 1:
        return files[0]
    for name in TRUTH_FOLDERS:
        if any((folder / name).glob('*.txt')):
            return folder / name
    found = f'{len(files)} .json files' if files else 'neither .json nor .txt files'
    raise PreparationError(
        f'expected one .json file, or .txt files in {folder} ({", ".join(TRUTH_FOLDERS)}), found '
        f'{found}'
    )
