"""Small, medium or large: words by the height of their text."""

import itertools
import math

import cv2
import numpy as np

from odm_mmocr.rendering import UnusablePolygon, split_polygon

HEIGHTS = ('small', 'medium', 'large')
HEIGHT_BOUNDS = (16, 32)


def extents(top: np.ndarray, bottom: np.ndarray) -> tuple[float, float]:
    """Length of a text, and its height across.

    Args:
        top, bottom: (k, 2), pixels, as :func:`~odm_mmocr.rendering.split_polygon` gives them.

    Returns:
        The mean length of the two sides, and the mean distance between them, in pixels.
    """
    # Of so few points lists are quicker than arrays.
    sides = top.tolist(), bottom.tolist()
    length = sum(math.dist(*step) for side in sides for step in itertools.pairwise(side)) / 2
    return length, sum(map(math.dist, *sides)) / len(top)


def text_height(polygon: np.ndarray) -> float:
    """Height of the text in a polygon: the shorter of its two extents.

    Of a column of letters that is its width. The extents are the mean distance between the two
    sides along the text and their mean length; of a polygon without two such sides, those of the
    least rectangle around it.

    Args:
        polygon: Points in pixels, flat or (k, 2).

    Returns:
        Pixels, 0 or more.
    """
    try:
        top, bottom = split_polygon(polygon)
    except UnusablePolygon:
        points = np.asarray(polygon, np.float32).ravel()
        points = points[: points.size // 2 * 2].reshape(-1, 2)
        points = points[np.isfinite(points).all(1)]
        return float(min(cv2.minAreaRect(points)[1])) if len(points) > 2 else 0.0
    return min(extents(top, bottom))


def height_class(height: float, bounds: tuple[float, float] = HEIGHT_BOUNDS) -> int:
    """Index into :data:`HEIGHTS`: how many of the bounds a height reaches."""
    return sum(height >= bound for bound in bounds)


def check_bounds(bounds: tuple[float, float]) -> tuple[float, float]:
    """Check the heights from which a word is medium, and large.

    Raises:
        ValueError: They are not two rising heights.
    """
    if len(bounds) != 2 or not 0 < bounds[0] < bounds[1]:
        raise ValueError(f'bounds={bounds}: expected two rising text heights in pixels')
    return tuple(bounds)
