"""Polygons of annotations and predictions, be they sound or not."""

import numpy as np
import shapely


def as_points(polygon: np.ndarray) -> np.ndarray:
    """A polygon as float64 (k, 2); without points where a coordinate is missing or not finite."""
    points = np.asarray(polygon, np.float64).ravel()
    if len(points) % 2 or not np.isfinite(points).all():
        return np.zeros((0, 2))
    return points.reshape(-1, 2)


def polygon_shape(points: np.ndarray) -> shapely.Geometry:
    """The area of a polygon, be it valid or not.

    Args:
        points: (n, 2); empty for fewer than 3.
    """
    if len(points) < 3:
        return shapely.Polygon()
    shape = shapely.Polygon(points)
    return shape if shape.is_valid else shape.buffer(0)
