"""LSVT: the 30,000 fully annotated training images of ICDAR 2019's street view challenge."""

import json
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from odm_mmocr.image_files import is_inside

from .paired_files import OFFICIAL_SUFFIXES
from .parsers import excerpt, make_instance
from .preparation import ImageAnnotation, PreparationError, Report, SplitReader, prepare_splits
from .selection import draw

LABELS = ('train_full_labels.json', 'annotations/train_full_labels.json')
FOLDERS = (
    'train_full_images_0',
    'train_full_images_1',
    'train_images',
    'imgs',
    'textdet_imgs/train',
)
PUBLISHED = {'train': {'images': 30000}}


def find_lsvt(root: str | PathLike) -> tuple[Path, list[Path]]:
    """Find the labels and the folders of images of LSVT under a folder.

    Raises:
        PreparationError: If there is no such folder, or one of the two is not in it.
    """
    root = Path(root)
    if not root.is_dir():
        raise PreparationError(f'there is no folder {root}')
    labels = next((root / name for name in LABELS if (root / name).is_file()), None)
    if labels is None:
        raise PreparationError(f'{root} has no {" or ".join(LABELS)}')
    folders = [root / name for name in FOLDERS if (root / name).is_dir()]
    if not folders:
        raise PreparationError(f'{root} has none of the folders of LSVT ({", ".join(FOLDERS)})')
    return labels, folders


def prepare_lsvt(
    labels: str | PathLike,
    folders: Sequence[str | PathLike],
    out: str | PathLike,
    val_fraction: float = 0,
    seed: int = 0,
    **options: Any,
) -> Report:
    """Turn the official files into annotations of MMOCR.

    The truth of the test images is not public, so there is a split `train`, and on request `val`.

    Args:
        labels (str or path): `train_full_labels.json`.
        folders (Sequence[str or path]): Folders of the images.
        out (str or path): Folder of the annotations.
        val_fraction (float): Of the images, for `val`. Defaults to 0.
        seed (int): By which they are drawn. Defaults to 0.
        options: Further arguments of :func:`prepare_splits`.

    Returns:
        Report: Counts, problems and the files written.

    Raises:
        PreparationError: If the labels are none of LSVT.
    """
    content = _load(Path(labels))
    images = {
        path.stem: path.absolute()
        for folder in folders
        for path in Path(folder).iterdir()
        if path.suffix.lower() in OFFICIAL_SUFFIXES
    }
    names = sorted(content, key=lambda name: (len(name), name))  # gt_2 before gt_10
    try:
        of_val = set(draw(len(names), val_fraction, seed))
    except ValueError as error:
        raise PreparationError(str(error)) from error
    splits = {
        'train': [name for i, name in enumerate(names) if i not in of_val],
        'val': [name for i, name in enumerate(names) if i in of_val],
    }
    readers = {
        split: _LSVTReader(Path(labels), content, images, chosen, [val_fraction, seed])
        for split, chosen in splits.items()
        if chosen
    }
    return prepare_splits(readers, out, **options)


def parse_lsvt_instance(instance: object) -> dict:
    """Parse `{"transcription": "text", "points": [[x1, y1], …], "illegibility": false}`.

    Returns:
        dict: `poly`, `text` and `ignore`: whether it is illegible, or the text is `###` or empty.

    Raises:
        ValueError: If it is another; it says what is there instead.
    """
    try:
        points, text = instance['points'], instance['transcription']
        polygon = [float(number) for x, y in points for number in (x, y)]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f'expected "points" of pairs of numbers and "transcription", found '
            f'{excerpt(str(instance))}'
        ) from error
    if not isinstance(text, str):
        raise ValueError(f'expected a string as "transcription", found {excerpt(str(text))}')
    return make_instance(polygon, text, bool(instance.get('illegibility', False)))


class _LSVTReader(SplitReader):
    def __init__(
        self,
        labels: Path,
        content: dict,
        images: dict[str, Path],
        names: list[str],
        selection: list[float],
    ) -> None:
        self._labels = labels
        self._content = content
        self._images = images
        self._names = names
        self._selection = selection

    def __len__(self) -> int:
        return len(self._names)

    def read(self, start: int) -> Iterator[ImageAnnotation]:
        for name in self._names[start:]:
            instances, problems = [], []
            listed = self._content[name]
            if not isinstance(listed, list):
                problems.append(f'{self._labels}: {name}: expected a list of instances')
                listed = []
            for index, instance in enumerate(listed):
                try:
                    instances.append(parse_lsvt_instance(instance))
                except ValueError as error:
                    problems.append(f'{self._labels}: {name}: instance {index}: {error}')
            # Looked up, not opened: a name in the labels could lead out of the folders.
            path = self._images.get(name)
            if path is None:
                problems.append(f'{self._labels}: {name}: there is no image of this name')
            elif not is_inside(path, path.parent):
                problems.append(f'{self._labels}: {name}: {path} is a link out of its folder')
                path = None
            yield ImageAnnotation(path, instances, problems)

    def settings(self) -> dict:
        stat = self._labels.stat()
        return dict(size=stat.st_size, time=stat.st_mtime_ns, selection=self._selection)


def _load(labels: Path) -> dict:
    try:
        content = json.loads(labels.read_text(encoding='utf-8-sig'))
    except (ValueError, RecursionError) as error:  # of JSON, of UTF-8, of a number too long
        raise PreparationError(f'{labels} is no JSON file: {error}') from error
    if not isinstance(content, dict) or not content:
        raise PreparationError(f'{labels} is none of LSVT: expected {{"gt_0": [instances], …}}')
    return content
