"""SynthText in the Wild: 858,750 synthetic images with boxes of words and of characters."""

from collections import Counter
from collections.abc import Iterator
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from odm_mmocr.image_files import is_inside

from .mat_files import MatFile, MatFileError, Value, join_text
from .packers import image_size
from .preparation import ImageAnnotation, PreparationError, Report, SplitReader, prepare_splits
from .selection import draw

LABELS = ('gt.mat', 'SynthText/gt.mat', 'annotations/gt.mat', 'textdet_imgs/train/gt.mat')
FOLDERS = ('SynthText', 'textdet_imgs/train', 'imgs', '.')
PUBLISHED = {'train': {'images': 858750, 'words': 7266866, 'characters': 28971487}}

VARIABLES = ('imnames', 'wordBB', 'charBB', 'txt')
MIN_AREA = 1.0  # square pixels
_DECIMALS = 2
# After so many images of which none is there, no other will be.
_ENOUGH = 1000

MISSING_IMAGES = 'images that are not there'
DAMAGED_IMAGES = 'images that cannot be read'
UNSAFE_NAMES = 'images whose names lead out of the folder'
MALFORMED_BOXES = 'images whose boxes are no boxes'
UNEQUAL_COUNTS = 'images with another number of words than boxes'
NO_WORDS = 'images without a word that is left'
INFINITE_WORDS = 'words with boxes that are not finite'
FLAT_WORDS = 'words with boxes without area'
OUTSIDE_WORDS = 'words wholly outside their image'
UNEQUAL_CHARACTERS = 'images without boxes of characters, as their number is another'
INFINITE_CHARACTERS = 'words without boxes of characters, as these are not finite'


def find_synthtext(root: str | PathLike) -> tuple[Path, Path]:
    """Find `gt.mat` and the folder of images of SynthText under a folder.

    Raises:
        PreparationError: If there is no such folder, or one of the two is not in it.
    """
    root = Path(root)
    if not root.is_dir():
        raise PreparationError(f'there is no folder {root}')
    labels = next((root / name for name in LABELS if (root / name).is_file()), None)
    if labels is None:
        raise PreparationError(f'{root} has no {" or ".join(LABELS)}')
    try:
        first = next(iter(MatFile(labels).iterate_cells(VARIABLES[0])), None)
    except MatFileError as error:
        raise PreparationError(str(error)) from error
    name = join_text([] if first is None else first)
    folders = [root / folder for folder in FOLDERS]
    for folder in folders:
        if _is_safe(name) and (folder / name).parent.is_dir():
            return labels, folder
    raise PreparationError(
        f'{root} has no folder of images: {name!r}, the first of {labels}, is in none of '
        f'{", ".join(map(str, folders))}'
    )


def prepare_synthtext(
    labels: str | PathLike,
    images: str | PathLike,
    out: str | PathLike,
    with_characters: bool = True,
    fraction: float = 1,
    seed: int = 0,
    **options: Any,
) -> Report:
    """Turn `gt.mat` into annotations of MMOCR, image by image in little memory.

    MMOCR's `SynthTextAnnParser` loads all of `gt.mat` at once, makes its own polygons of the boxes
    of characters and forgets these, and stops at the first bad sample. Here words keep their
    official boxes; those of their characters are in `char_polygons`, a list of x1, y1, …, x4, y4
    for each. Known bad samples are left out and counted: see the names in this module.

    Args:
        labels (str or path): `gt.mat`, with the cells `imnames`, `wordBB`, `charBB` and `txt`.
        images (str or path): Folder that `imnames` are relative to.
        out (str or path): Folder of the annotations.
        with_characters (bool): Whether to keep the boxes of characters. Defaults to True.
        fraction (float): Of the images to take. Defaults to 1.
        seed (int): By which they are drawn. Defaults to 0.
        options: Further arguments of :func:`prepare_splits`.

    Returns:
        Report: Counts, what is left out, and the files written.

    Raises:
        PreparationError: If `gt.mat` is none of SynthText or damaged, or no image is there.
    """
    try:
        reader = SynthTextReader(Path(labels), Path(images), with_characters, fraction, seed)
        return prepare_splits({'train': reader}, out, **options)
    except ValueError as error:
        raise PreparationError(str(error)) from error


class SynthTextReader(SplitReader):
    """Reads SynthText from its MATLAB file, whose four variables are read side by side.

    Args:
        labels (Path): `gt.mat`.
        images (Path): Folder that the names of images are relative to.
        with_characters (bool): Whether to keep the boxes of characters. Defaults to True.
        fraction (float): Of the images to read. Defaults to 1.
        seed (int): By which they are drawn. Defaults to 0.

    Raises:
        MatFileError: If the file is none of SynthText.
        ValueError: If the fraction is none, see :func:`draw`.
    """

    def __init__(
        self,
        labels: Path,
        images: Path,
        with_characters: bool = True,
        fraction: float = 1,
        seed: int = 0,
    ) -> None:
        self._file = MatFile(labels)
        self._images = images.absolute()
        self._with_characters = with_characters
        counts = {name: self._file.count_cells(name) for name in VARIABLES}
        if len(set(counts.values())) > 1:
            raise MatFileError(f'{labels} is damaged: {counts} cells; expected as many of each')
        self._drawn = draw(counts[VARIABLES[0]], fraction, seed)
        self._selection = [fraction, seed]

    def __len__(self) -> int:
        return len(self._drawn)

    def read(self, start: int) -> Iterator[ImageAnnotation]:
        """See :meth:`SplitReader.read`."""
        drawn = self._drawn[start:]
        if not drawn:
            return
        variables = (self._file.iterate_cells(name, drawn[0]) for name in VARIABLES)
        wanted = set(drawn)
        number = read = 0
        for index, cells in enumerate(zip(*variables), start=drawn[0]):
            if index not in wanted:
                continue
            annotation = self._parse(*cells)
            number += 1
            read += annotation.path is not None
            if not start and not read and number == min(_ENOUGH, len(drawn)):
                raise PreparationError(
                    f'none of {number} images can be prepared, such as {join_text(cells[0])!r}: '
                    f'{", ".join(annotation.left_out)}. {self._images} must hold the images'
                )
            yield annotation

    def settings(self) -> dict:
        """See :meth:`SplitReader.settings`."""
        stat = self._file.path.stat()
        return dict(
            size=stat.st_size,
            time=stat.st_mtime_ns,
            images=str(self._images),
            with_characters=self._with_characters,
            selection=self._selection,
        )

    def _parse(
        self, name: Value, word_boxes: Value, character_boxes: Value, text: Value
    ) -> ImageAnnotation:
        name = join_text(name)
        words = _split(text)
        left_out: Counter[str] = Counter()
        found: dict[str, int] = {}
        try:
            path, size = self._find_image(name)
            boxes, characters = _to_corners(word_boxes), _to_corners(character_boxes)
            count = len(words)
            found = dict(images=1, words=count, readable=count, characters=len(characters))
            if len(boxes) != len(words):
                raise _LeftOut(UNEQUAL_COUNTS)
            instances = self._match(words, boxes, characters, size, left_out)
            if not instances:
                raise _LeftOut(NO_WORDS)
        except _LeftOut as reason:
            left_out[str(reason)] += 1
            return ImageAnnotation(None, [], left_out=left_out, found=found)
        return ImageAnnotation(path, instances, left_out=left_out, size=size, found=found)

    def _find_image(self, name: str) -> tuple[Path, tuple[int, int]]:
        if not _is_safe(name):
            raise _LeftOut(UNSAFE_NAMES)
        path = self._images / name
        if not is_inside(path, self._images):
            raise _LeftOut(UNSAFE_NAMES)
        try:
            return path, image_size(path)
        except FileNotFoundError:
            raise _LeftOut(MISSING_IMAGES) from None
        except OSError:
            raise _LeftOut(DAMAGED_IMAGES) from None

    def _match(
        self,
        words: list[str],
        boxes: np.ndarray,
        characters: np.ndarray,
        size: tuple[int, int],
        left_out: Counter,
    ) -> list[dict]:
        """Words with their boxes, and with those of their characters."""
        ends = np.cumsum([len(word) for word in words])
        keeps_characters = self._with_characters
        if keeps_characters and len(characters) != (ends[-1] if words else 0):
            left_out[UNEQUAL_CHARACTERS] += 1
            keeps_characters = False
        kinds = _judge(boxes, size)
        boxes, characters = boxes.round(_DECIMALS), characters.round(_DECIMALS)
        instances = []
        for word, box, kind, end in zip(words, boxes, kinds, ends):
            if kind:
                left_out[kind] += 1
                continue
            instance = {'poly': box.ravel().tolist(), 'text': word, 'ignore': False}
            if keeps_characters:
                own = characters[end - len(word) : end]
                if np.isfinite(own).all():
                    instance['char_polygons'] = own.reshape(-1, 8).tolist()
                else:
                    left_out[INFINITE_CHARACTERS] += 1
            instances.append(instance)
        return instances


class _LeftOut(Exception):
    """An image is left out; says of which kind it is."""


def _judge(boxes: np.ndarray, size: tuple[int, int]) -> list[str]:
    """For each box (N, 4, 2) why its word is left out; empty where it is not."""
    finite = np.isfinite(boxes).all(axis=(1, 2))
    safe = np.where(finite[:, None, None], boxes, 0)
    after = np.roll(safe, -1, axis=1)
    areas = (safe[..., 0] * after[..., 1] - after[..., 0] * safe[..., 1]).sum(axis=1) / 2
    outside = (safe.max(axis=1) <= 0).any(axis=1) | (safe.min(axis=1) >= size).any(axis=1)
    kinds = np.select(
        [~finite, abs(areas) < MIN_AREA, outside],
        [INFINITE_WORDS, FLAT_WORDS, OUTSIDE_WORDS],
        default='',
    )
    return kinds.tolist()


def _to_corners(boxes: Value) -> np.ndarray:
    """Boxes (2, 4, N), or (2, 4) of one, to float64 (N, 4, 2)."""
    if not isinstance(boxes, np.ndarray) or (boxes.size and boxes.shape[:2] != (2, 4)):
        raise _LeftOut(MALFORMED_BOXES)
    if boxes.ndim > 3:
        raise _LeftOut(MALFORMED_BOXES)
    return boxes.reshape(2, 4, -1).transpose(2, 1, 0).astype(np.float64)


def _split(text: Value) -> list[str]:
    """Words of an image: of the rows of a text, or of cells that hold one each."""
    rows = [row for item in text for row in (item if isinstance(item, list) else [item])]
    texts = (row for row in rows if isinstance(row, str))
    return ' '.join(texts).replace('\0', ' ').split()


def _is_safe(name: str) -> bool:
    """Whether a name in the file stays in the folder of images."""
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and '..' not in path.parts and '\\' not in name
