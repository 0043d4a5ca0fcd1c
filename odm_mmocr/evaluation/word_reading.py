"""Words of an image, at polygons of a detector or of an annotation, cut out and read."""

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np

from odm_mmocr.pseudo_label.engines import (
    MIN_SIDE,
    UPRIGHT,
    cut_out,
    enclosing_rectangle,
    from_upper_left,
)
from odm_mmocr.pseudo_label.line_reader import LineReader, load_rapidocr
from odm_mmocr.rendering.faults import Undrawable
from odm_mmocr.rendering.meshes import Ribbon, is_convex

from .shapes import as_points

HEIGHT = 48  # pixels, of a curved word that is laid out flat
MAX_MARGIN = 0.5
# From this share of its enclosing rectangle on a polygon is that rectangle with a rough outline.
_STRAIGHT = 0.8
_OUTLINE = 64  # points of an outline among which the ends of its text are sought
_RUNGS = 9  # pairs of points by which a choice of ends is judged, and that it becomes
_SHORTEST = 0.15  # of the outline, that a side of a text has


class TextReader(Protocol):
    """Any function from pictures to what they read.

    It takes uint8 (h, w, 3) BGR, each one line of text, level, and returns text and certainty, 0 to
    1, of each.
    """

    def __call__(self, crops: Sequence[np.ndarray]) -> list[tuple[str, float]]: ...


class PPOCRReader:
    """PP-OCRv6's recogniser (small).

    Args:
        threads: Cores that it may use; None: all.
        turn: Whether it looks for words that are upside down, and turns them.

    Raises:
        ImportError: A package of the extra ``pseudo`` is missing.
    """

    def __init__(self, threads: int | None = None, turn: bool = False):
        self._read = LineReader(load_rapidocr(threads), turn)

    def __call__(self, crops: Sequence[np.ndarray]) -> list[tuple[str, float]]:
        """Read pictures: see :class:`TextReader`."""
        return [(line.text.strip(), line.score) for line in self._read(crops)]


def read_words(
    image: np.ndarray,
    polygons: Sequence[np.ndarray],
    reader: TextReader,
    ordered: bool = False,
    margin: float = 0.0,
) -> list[tuple[str, float]]:
    """Read the words at polygons of an image.

    Of what is cut out 1.5 times as high as wide nobody knows how it reads: the annotations of ICDAR
    2015 begin at the upper left, also where words run up or down. It is read upright, downwards and
    upwards, and the surest reading counts.

    Args:
        image: uint8 (H, W, 3), BGR.
        polygons: (n, 2) or flat, pixels.
        reader: Reads what is cut out.
        ordered: As :func:`cut_word` has it.
        margin: Likewise.

    Returns:
        Text and certainty of each; an empty text and 0 for polygons too small to be cut out.
    """
    crops = [cut_word(image, polygon, ordered, margin) for polygon in polygons]
    ways = [[] if crop is None else _ways_to_read(crop) for crop in crops]
    readings = iter(reader([crop for way in ways for crop in way]))
    chosen = []
    for way in ways:
        candidates = [next(readings) for _ in way]
        chosen.append(max(candidates, key=lambda reading: reading[1], default=('', 0.0)))
    return chosen


def _ways_to_read(crop: np.ndarray) -> list[np.ndarray]:
    height, width = crop.shape[:2]
    if height < UPRIGHT * width:
        return [crop]
    return [crop, np.rot90(crop).copy(), np.rot90(crop, -1).copy()]


def cut_word(
    image: np.ndarray, polygon: np.ndarray, ordered: bool = False, margin: float = 0.0
) -> np.ndarray | None:
    """Cut a word out and turn it level: by perspective, or along a curve.

    Args:
        image: uint8 (H, W, 3).
        polygon: (n, 2) or flat, pixels.
        ordered: Whether its points are those of an annotation, the first half along the top of the
            text, the second half back along its bottom. Otherwise they run around the text from
            anywhere, either way, as those of detectors do, and the text is taken to be upright.
        margin: What is cut out around the polygon, as a share of the text's height, 0 to 0.5.

    Returns:
        uint8 (h, w, 3): quadrilaterals and straight words as large as they are in the image, curved
        ones 48 pixels high; None where less than two pixels would be left.

    Raises:
        ValueError: The margin is out of range.
    """
    if not 0 <= margin <= MAX_MARGIN:
        raise ValueError(f'margin={margin}: expected a share of the height from 0 to {MAX_MARGIN}')
    points = as_points(polygon).clip(0, image.shape[1::-1])
    if len(points) < 3 or min(cv2.minAreaRect(np.float32(points))[1]) < MIN_SIDE:
        return None
    if ordered and len(points) >= 4 and len(points) % 2 == 0:
        half = len(points) // 2
        top, bottom = points[:half], points[half:][::-1]
    else:
        top, bottom = find_sides(points)
    top, bottom = _widen(top, bottom, margin)
    if len(top) > 2:
        try:
            return Ribbon.from_polygon(np.concatenate((top, bottom[::-1]))).rectify(image, HEIGHT)
        except Undrawable:  # it crosses itself: what is around it may still be read
            top, bottom = _widen(*_rectangle_sides(points), margin)
    line = np.float32((top[0], top[1], bottom[1], bottom[0]))
    if np.linalg.norm(line - np.roll(line, -1, axis=0), axis=1).min() < 1:
        return None
    return cut_out(image, line)


def find_sides(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find top and bottom of a text in its outline.

    Convex quadrilaterals are taken as they are; what nearly fills its enclosing rectangle becomes
    that rectangle. In any other outline the two ends of the text are sought: the height of a band
    of that circumference and area is what each end takes of the outline, and they are where the
    sides between them face each other most closely.

    Args:
        points: (n, 2), n of at least 3, from anywhere around the text, either way.

    Returns:
        Top and bottom, float64 (k, 2) each, as if the text were upright; of curved text that runs
        more than 1.5 times as far down as right, downwards.
    """
    points = np.asarray(points, np.float64)
    if _signed_area(points) < 0:
        points = points[::-1]
    if len(points) == 4:
        return _split(from_upper_left(points)) if is_convex(points) else _rectangle_sides(points)
    rectangle = cv2.minAreaRect(np.float32(points))
    if abs(_signed_area(points)) >= _STRAIGHT * np.prod(rectangle[1]):
        return _rectangle_sides(points)
    return _find_curved_sides(points)


def _find_curved_sides(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    closed = np.concatenate((points, points[:1]))
    lengths = np.append(0, np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1)))
    around = lengths[-1]
    half = around / 2  # length and height of a band
    height = (half - np.sqrt(max(half**2 - 4 * abs(_signed_area(points)), 0.0))) / 2
    cap = height / around

    def at(shares: np.ndarray) -> np.ndarray:
        """Points of the outline, by their share of the way around."""
        return np.stack(
            [np.interp(shares % 1 * around, lengths, closed[:, axis]) for axis in (0, 1)], -1
        )

    first, second = np.triu_indices(_OUTLINE, 1)
    first, second = first / _OUTLINE, second / _OUTLINE
    one, other = second - first - cap, 1 - (second - first) - cap  # lengths of the sides
    long_enough = np.minimum(one, other) >= _SHORTEST
    if not long_enough.any():
        return _rectangle_sides(points)
    first, second, one, other = (x[long_enough, None] for x in (first, second, one, other))
    along = np.linspace(0, 1, _RUNGS)
    top, bottom = at(first + cap / 2 + along * one), at(first - cap / 2 - along * other)
    best = int(((top - bottom) ** 2).sum((1, 2)).argmin())
    return _in_reading_direction(top[best], bottom[best])


def _in_reading_direction(top: np.ndarray, bottom: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the two ways to read a band that is held upright or upside down, the usual one."""
    right, down = (top[-1] + bottom[-1] - top[0] - bottom[0]).tolist()
    forward = down > 0 if abs(down) >= UPRIGHT * abs(right) else right > 0
    return (top, bottom) if forward else (bottom[::-1], top[::-1])


def _rectangle_sides(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return _split(enclosing_rectangle(np.float32(points)))


def _split(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    corners = np.asarray(corners, np.float64)
    return corners[:2], corners[2:][::-1]


def _widen(top: np.ndarray, bottom: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """Adds a margin above, below and at both ends."""
    if not margin:
        return top, bottom
    across = bottom - top
    width = margin * np.linalg.norm(across, axis=1).mean()
    middle = (top + bottom) / 2
    top, bottom = top - margin * across, bottom + margin * across
    for end, inner in ((0, 1), (-1, -2)):
        outwards = middle[end] - middle[inner]
        step = width * outwards / max(np.linalg.norm(outwards), 1e-9)
        top[end] += step
        bottom[end] += step
    return top, bottom


def _signed_area(points: np.ndarray) -> float:
    """Positive where the points run clockwise in the image."""
    x, y = points.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)
