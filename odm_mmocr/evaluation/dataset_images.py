"""What the image files of a data set are: missing, damaged, of another size, there twice."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from odm_mmocr.datasets.annotation_files import AnnotatedImage
from odm_mmocr.image_files import read_image
from odm_mmocr.pseudo_label.perceptual_hash import find_near_duplicates, perceptual_hash

MAX_DISTANCE = 6  # bits of 64
NUM_LISTED = 50  # files of each kind in `summary`


class Duplicate(NamedTuple):
    """An image that repeats another one.

    Attributes:
        image, first: The one that comes later, and the one that it repeats.
        distance: Bits of 64 in which their perceptual hashes differ.
    """

    image: AnnotatedImage
    first: AnnotatedImage
    distance: int = 0


@dataclass
class ImageCheck:
    """What image files are.

    Attributes:
        files: Number of different files that the annotation names.
        opened: How many of these were opened.
        missing: Images whose file is not there; of all, not only of those to be opened.
        damaged: What is wrong with files that could not be decoded.
        resized: Images whose size is not the annotated one, and what it is.
        repeated: Images whose file is annotated a second time.
        duplicates: Files with the same content.
        near_duplicates: Images that look alike, of the files that are no exact duplicates.
    """

    files: int
    opened: int = 0
    missing: list[AnnotatedImage] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    resized: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    near_duplicates: list[Duplicate] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """The figures as JSON takes them: numbers, and the first 50 files of each kind."""
        figures: dict[str, Any] = dict(files=self.files, opened=self.opened)
        lists = dict(
            missing=[image.source for image in self.missing],
            damaged=self.damaged,
            resized=self.resized,
            repeated=self.repeated,
        )
        for kind, files in lists.items():
            figures[kind] = dict(count=len(files), first=files[:NUM_LISTED])
        for kind in ('duplicates', 'near_duplicates'):
            found = getattr(self, kind)
            pairs = [
                dict(image=f.image.source, repeats=f.first.source, distance=f.distance)
                for f in found[:NUM_LISTED]
            ]
            figures[kind] = dict(count=len(found), first=pairs)
        return figures


def check_images(
    images: Sequence[AnnotatedImage],
    max_opened: int,
    seed: int = 0,
    max_distance: int = MAX_DISTANCE,
    track: Callable[[list[AnnotatedImage]], Iterable[AnnotatedImage]] = iter,
) -> ImageCheck:
    """Look for image files that are missing, and open some for all else.

    Args:
        images: The annotations.
        max_opened: Images to open at most, chosen evenly.
        seed: Of that choice.
        max_distance: Bits of 64, 0 to 16, in which the perceptual hashes of near-duplicates differ
            at most.
        track: Is given the images that are opened and iterates over them, to show progress.

    Returns:
        What was found.

    Raises:
        ValueError: The distance is out of range.
    """
    first_of: dict[Any, AnnotatedImage] = {}
    repeated = []
    for image in images:
        if first_of.setdefault(image.path, image) is not image:
            repeated.append(image.source)
    present, missing = [], []
    for image in first_of.values():
        # A name that no file system takes counts as missing too.
        (present if image.path.is_file() else missing).append(image)
    check = ImageCheck(len(first_of), repeated=repeated, missing=missing)
    by_content: dict[bytes, AnnotatedImage] = {}
    unlike, hashes = [], []
    chosen = [present[i] for i in choose_evenly(len(present), max_opened, seed)]
    for image in track(chosen):
        check.opened += 1
        try:
            pixels = load_image(image)
            digest = hashlib.blake2b(image.path.read_bytes()).digest()
        except (OSError, ValueError) as error:
            check.damaged.append(str(error))
            continue
        if pixels.shape[:2] != tuple(image.shape):
            height, width = pixels.shape[:2]
            told = f'{image.shape[1]}x{image.shape[0]}'
            check.resized.append(f'{image.source} is {width}x{height}, annotated as {told}')
        first = by_content.setdefault(digest, image)
        if first is image:
            unlike.append(image)
            hashes.append(perceptual_hash(pixels))
        else:
            check.duplicates.append(Duplicate(image, first))
    for index, earlier in enumerate(find_near_duplicates(hashes, max_distance)):
        if earlier is not None:
            distance = (hashes[index] ^ hashes[earlier]).bit_count()
            check.near_duplicates.append(Duplicate(unlike[index], unlike[earlier], distance))
    return check


def load_image(image: AnnotatedImage) -> np.ndarray:
    """Decode the image of an annotation: the file's own pixels, where its polygons are.

    Returns:
        uint8 (H, W, 3), BGR.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no image, or damaged; the message names it as the annotation does.
    """
    return read_image(image.path, image.source)


def choose_evenly(count: int, num: int, seed: int = 0) -> list[int]:
    """Choose places in a list at random, one in each of as many equal parts.

    Args:
        count: Length of the list.
        num: How many to choose; all where there are no more.
        seed: Of the choice.

    Returns:
        Indices, ascending.
    """
    if num >= count:
        return list(range(count))
    random = np.random.default_rng(seed)
    bounds = np.linspace(0, count, num + 1).astype(np.int64)
    return random.integers(bounds[:-1], bounds[1:]).tolist()
