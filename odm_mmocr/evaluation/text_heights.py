"""Small, medium or large: words by the height of their text."""

import cv2
import numpy as np

from odm_mmocr.rendering import UnusablePolygon, split_polygon

HEIGHTS = ('small', 'medium', 'large')
HEIGHT_BOUNDS = (16, 32)


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
    between = np.linalg.norm(top - bottom, axis=1).mean()
    along = [np.linalg.norm(np.diff(side, axis=0), axis=1).sum() for side in (top, bottom)]
    return float(min(between, np.mean(along)))


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
