"""Words and polygons of whatever annotation files a user has, without loading images."""

import codecs
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from odm_mmocr.image_files import check_file, check_inside, max_pixels

from .preparers.packers import image_size
from .preparers.parsers import UNREADABLE, parse_icdar_line

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
# So many numbers at the start of a line are points rather than four points and a text of numbers.
_CURVED_NUMBERS = 12


class AnnotatedWord(NamedTuple):
    """A word of an annotation.

    Attributes:
        polygon: float64 (k, 2), pixels.
        text: The transcription.
        ignored: Whether it is marked as unreadable, or has no text.
        place: Where in the file it stands, such as ``line 3`` or ``instance 2``.
        score: How sure the recogniser was that read it, 0 to 1; None: not told.
        rejected: Of a pseudo-label that is ignored the name of the filter that rejected it; else
            empty.
    """

    polygon: np.ndarray
    text: str
    ignored: bool
    place: str
    score: float | None = None
    rejected: str = ''


class AnnotatedImage(NamedTuple):
    """The annotation of an image.

    Attributes:
        source: Name of the file with its words, or of the image in a file of many.
        path: The image; it is there unless the annotation tells its size.
        shape: Its height and width, in pixels.
        words: Its words.
    """

    source: str
    path: Path
    shape: tuple[int, int]
    words: list[AnnotatedWord]


class AnnotatedDataset(NamedTuple):
    """What an annotation file holds.

    Attributes:
        images: At least one.
        problems: A description of everything that had to be left out.
        metainfo: What a JSON file says of itself; empty for text files.
    """

    images: list[AnnotatedImage]
    problems: list[str]
    metainfo: dict[str, Any]


def read_annotations(
    path: str | os.PathLike, images: str | os.PathLike | None = None
) -> tuple[list[AnnotatedImage], list[str]]:
    """Reads annotations that have texts: see :func:`read_dataset`.

    Returns:
        The images, and a description of everything that had to be left out.

    Raises:
        FileNotFoundError, ValueError: As :func:`read_dataset`.
        ValueError: No word has a text.
    """
    dataset = read_dataset(path, images)
    if all(not word.text for image in dataset.images for word in image.words):
        raise ValueError(f'{path} holds no texts; annotations for text spotting have them')
    return dataset.images, dataset.problems


def read_dataset(
    path: str | os.PathLike, images: str | os.PathLike | None = None
) -> AnnotatedDataset:
    """Reads MMOCR's annotations, or text files as those of ICDAR.

    Args:
        path: A JSON file of MMOCR for text detection or spotting, whose instances have ``polygon``
            or ``bbox``, and may have ``text``, ``ignore``, ``score`` and ``rejected``; or a text
            file, or a folder of them, ``NAME.txt`` or ``gt_NAME.txt`` for each image, see
            :func:`parse_polygon_line`.
        images: Folder that the images' paths are relative to, or that holds the images of text
            files; None: the folder of the annotation. Images outside it are left out, unless
            ``ODM_IMAGE_ROOTS`` allows their folders.

    Returns:
        The images, what had to be left out, and the file's ``metainfo``.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: It holds no annotations of that kind, or none of the images is found.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f'there is no annotation {path}')
    if images is not None and not Path(images).is_dir():
        raise FileNotFoundError(f'there is no folder of images {images}')
    folder = Path(images) if images is not None else path if path.is_dir() else path.parent
    metainfo: dict[str, Any] = {}
    if path.is_dir():
        files = sorted(path.glob('*.txt'), key=lambda file: (len(file.name), file.name))
        if not files:
            raise ValueError(f'{path} holds no .txt files; give a folder of them or a JSON file')
        found, problems = _read_text_files(files, folder)
    elif path.suffix.lower() == '.txt':
        found, problems = _read_text_files([path], folder)
    else:
        found, problems, metainfo = _read_json(path, folder)
    if not found:
        shown = f', such as: {problems[0]}' if problems else ''
        raise ValueError(f'{path} gives no annotated image with {folder} as its images{shown}')
    return AnnotatedDataset(found, problems, metainfo)


def first_problems(problems: Sequence[str], shown: int) -> list[str]:
    """Lines that tell the first of many problems, and how many there are more."""
    more = len(problems) - shown
    return [*problems[:shown], *([f'… and {more} more'] if more > 0 else [])]


def parse_polygon_line(line: str) -> tuple[np.ndarray, str, bool]:
    """Parses a line of a text file: coordinates, then the text.

    Args:
        line: ``x1,y1,…,x4,y4,text``, see :func:`parse_icdar_line`, or, for curved text, 6 or more
            points, an even number. Marks ``####`` before the text, as CTW1500 has them, are
            dropped; its order of points, which is another, stays.

    Returns:
        Polygon float64 (k, 2), text, and whether it is unreadable (``###`` or empty).

    Raises:
        ValueError: The line is another; it says what is there instead.
    """
    fields = line.split(',')
    numbers: list[float] = []
    for field in fields[:-1]:
        try:
            numbers.append(float(field))
        except ValueError:
            break
    count = len(numbers) // 4 * 4  # pairs of points, one of the top and one of the bottom
    if count < _CURVED_NUMBERS or not all(map(math.isfinite, numbers)):
        parsed = parse_icdar_line(line)
        return np.array(parsed['poly']).reshape(-1, 2), parsed['text'], parsed['ignore']
    text = ','.join(fields[count:]).strip()
    if text.startswith('####'):
        text = text[4:].strip()
    return np.array(numbers[:count]).reshape(-1, 2), text, text in ('', UNREADABLE)


def _read_text_files(files: list[Path], folder: Path) -> tuple[list[AnnotatedImage], list[str]]:
    by_name = {
        image.stem.lower(): image
        for image in sorted(folder.iterdir())
        if image.suffix.lower() in IMAGE_SUFFIXES
    }
    found, problems = [], []
    for file in files:
        stem = file.stem.lower()
        image = by_name.get(stem) or by_name.get(stem.removeprefix('gt_'))
        if image is None:
            problems.append(f'{file}: there is no image for it in {folder}')
            continue
        try:
            check_inside(image, folder)
            width, height = image_size(image)
            check_file(file)
        except (OSError, ValueError) as error:
            problems.append(f'{image}: expected an image: {error}')
            continue
        words = []
        content = file.read_bytes().removeprefix(codecs.BOM_UTF8)
        for number, line in enumerate(content.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                words.append(
                    AnnotatedWord(*parse_polygon_line(line.decode('utf-8')), f'line {number}')
                )
            except UnicodeDecodeError as error:
                problems.append(f'{file}:{number}: expected UTF-8, but {error}')
            except ValueError as error:
                problems.append(f'{file}:{number}: {error}')
        found.append(AnnotatedImage(file.name, image, (height, width), words))
    return found, problems


def _read_json(path: Path, folder: Path) -> tuple[list[AnnotatedImage], list[str], dict[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding='utf-8-sig'))
        samples = content['data_list']
    except (ValueError, RecursionError) as error:  # of JSON, of UTF-8, of a number too long
        raise ValueError(f'{path} is no JSON file: {error}') from error
    except (KeyError, TypeError) as error:
        raise ValueError(f'{path} is no annotation of MMOCR: it has no "data_list"') from error
    if not isinstance(samples, list) or not samples:
        raise ValueError(
            f'{path} has no image in "data_list"; expected a list of at least one, found '
            f'{"an empty list" if samples == [] else type(samples).__name__}'
        )
    metainfo = content.get('metainfo')
    found, problems = [], []
    for number, sample in enumerate(samples):
        try:
            name, instances = str(sample['img_path']), sample['instances']
        except (KeyError, TypeError):
            problems.append(f'{path}: image {number} lacks "img_path" or "instances"')
            continue
        if not isinstance(instances, list):
            problems.append(
                f'{name}: expected a list as "instances", found {type(instances).__name__}'
            )
            continue
        image = folder / name
        try:
            check_inside(image, folder)
        except ValueError as error:
            problems.append(f'{path}: image {number}: {error}')
            continue
        try:
            shape = int(sample['height']), int(sample['width'])
        except (KeyError, TypeError, ValueError, OverflowError):
            try:
                shape = image_size(image)[::-1]
            except (OSError, ValueError) as error:
                problems.append(f'{name}: neither "height" and "width" nor an image: {error}')
                continue
        if min(shape) < 1 or shape[0] * shape[1] > max_pixels():
            problems.append(
                f'{name}: expected a "height" and "width" of 1 to {max_pixels():,} pixels in all, '
                f'found {shape[0]} and {shape[1]}'
            )
            continue
        words = []
        for index, instance in enumerate(instances):
            try:
                word = _parse_instance(instance, f'instance {index}')
            except ValueError as error:
                problems.append(f'{name}: instance {index}: {error}')
                continue
            try:
                word = word._replace(score=parse_score(instance))
            except ValueError as error:
                problems.append(f'{name}: instance {index}: {error}; left out the score alone')
            words.append(word)
        found.append(AnnotatedImage(name, image, shape, words))
    return found, problems, metainfo if isinstance(metainfo, dict) else {}


def _parse_instance(instance: dict, place: str) -> AnnotatedWord:
    if not isinstance(instance, dict):
        raise ValueError(f'expected an object, found {type(instance).__name__}')
    corners = instance.get('polygon')
    if corners is None:
        box = instance.get('bbox')
        if box is None:
            raise ValueError('expected "polygon" or "bbox", found neither')
        if not isinstance(box, list) or len(box) != 4:
            raise ValueError(f'expected a "bbox" x1, y1, x2, y2, found {box!r}')
        left, top, right, bottom = box
        corners = (left, top, right, top, right, bottom, left, bottom)
    try:
        polygon = np.array(corners, np.float64).reshape(-1, 2)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f'expected the numbers of a polygon, found {corners!r}') from error
    text = instance.get('text') or ''
    if not isinstance(text, str):
        raise ValueError(f'expected a string as "text", found {text!r}')
    ignored = bool(instance.get('ignore')) or text.strip() in ('', UNREADABLE)
    rejected = str(instance.get('rejected') or '')
    return AnnotatedWord(polygon, text, ignored, place, rejected=rejected)


def parse_score(instance: dict) -> float | None:
    """The ``score`` of an instance, 0 to 1; None where there is none.

    Raises:
        ValueError: It is something else.
    """
    score = instance.get('score')
    if score is None:
        return None
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise ValueError(f'expected a "score" from 0 to 1, found {score!r}')
    return float(score)
