"""From flat strips into polygons: perspective for quadrilaterals, a mesh for curved polygons.

Image coordinates are those of OpenCV: the centre of the first pixel is (0, 0).
Strip coordinates are continuous: a strip of w by h pixels reaches from (0, 0) to (w, h).
"""

import cv2
import numpy as np

MAX_COORDINATE = 1e6  # pixels; no image is that large, and arithmetic stays exact enough
MIN_EXTENT = 1.0  # pixels; in a polygon that is shorter or lower nothing can be drawn
_MAX_PATCH = 2**22  # pixels of a patch that is still drawn with supersampling
_MAX_RUNGS = 64


def split_polygon(polygon: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Splits a polygon into its upper and its lower side, both in reading direction.

    The vertex order tells the reading direction: the first half of the points runs along the top
    of the text, the second half back along its bottom.

    Args:
        polygon: (2k,) points of 2 coordinates as (k, 2) or flat, k even and at least 4; pixels.

    Returns:
        Top and bottom, float64 (k / 2, 2) each, point i of one across from point i of the other.

    Raises:
        ValueError: The number of points does not fit, a coordinate is not finite or absurdly large.
    """
    points = np.asarray(polygon, np.float64)
    if points.size < 8 or points.size % 4:
        raise ValueError(
            f'polygon of {points.size / 2:g} points; expected an even number of at least 4, '
            'the first half along the top of the text, the second half back along its bottom'
        )
    if not np.abs(points).max() <= MAX_COORDINATE:  # also true for NaN
        raise ValueError(
            f'polygon with coordinates that are not finite or above {MAX_COORDINATE:g}'
        )
    points = points.reshape(-1, 2)
    half = len(points) // 2
    return points[:half], points[half:][::-1]


def polygon_extent(polygon: np.ndarray) -> tuple[float, float]:
    """Length along the reading direction and mean height across it, in pixels.

    Raises:
        ValueError: As :func:`split_polygon`.
    """
    top, bottom = split_polygon(polygon)
    return float(_lengths(top, bottom).mean()), float(_heights(top, bottom).mean())


def warp_strip(
    mask: np.ndarray, polygon: np.ndarray, shape: tuple[int, int], supersample: int = 2
) -> tuple[np.ndarray, tuple[int, int]]:
    """Warps a strip into a polygon of an image, antialiased.

    The strip is first averaged down to the polygon's own size, so that nothing aliases however
    much smaller the polygon is. For crisp edges it should be at least ``supersample`` times as
    high as the polygon.

    Args:
        mask: uint8 (h, w) strip.
        polygon: Points as :func:`split_polygon` takes them.
        shape: Height and width of the image, in pixels.
        supersample: Samples a pixel and axis.

    Returns:
        The patch, uint8, that the polygon covers within the image, and the image position (x, y)
        of its first pixel. The patch is empty when the polygon lies outside.

    Raises:
        ValueError: Text cannot be drawn into the polygon: as :func:`split_polygon`, and when it is
            smaller than a pixel, crosses itself, is mirrored, or is concave with 4 points.
    """
    top, bottom, stations = _rungs(polygon)
    corners = np.concatenate((top, bottom))
    x0, y0 = np.maximum(np.floor(corners.min(0)), 0).astype(int).tolist()
    x1, y1 = np.ceil(corners.max(0)).astype(int).tolist()
    width, height = min(x1 + 1, shape[1]) - x0, min(y1 + 1, shape[0]) - y0
    if width <= 0 or height <= 0:
        return np.zeros((0, 0), np.uint8), (x0, y0)
    if width * height > _MAX_PATCH:
        supersample = 1

    # From image coordinates to those of the supersampled patch.
    offset = np.array((x0 - 0.5, y0 - 0.5))
    top, bottom = (top - offset) * supersample - 0.5, (bottom - offset) * supersample - 0.5
    mask = _shrink(mask, _lengths(top, bottom).max(), _heights(top, bottom).max())
    warp = _warp_quad if len(stations) == 2 else _warp_mesh
    patch = warp(mask, top, bottom, stations, (width * supersample, height * supersample))
    if supersample > 1:
        patch = cv2.resize(patch, (width, height), interpolation=cv2.INTER_AREA)
    return patch, (x0, y0)


def map_points(points: np.ndarray, polygon: np.ndarray, strip_shape: tuple[int, int]) -> np.ndarray:
    """Maps points of a strip to where :func:`warp_strip` draws them.

    Args:
        points: (..., 2) x and y in strip coordinates.
        polygon: Points as :func:`split_polygon` takes them.
        strip_shape: Height and width of the strip, in pixels.

    Returns:
        float32 (..., 2) image coordinates.

    Raises:
        ValueError: As :func:`warp_strip`.
    """
    top, bottom, stations = _rungs(polygon)
    points = np.asarray(points, np.float64)
    u, v = points[..., 0] / strip_shape[1], points[..., 1] / strip_shape[0]
    if len(stations) == 2:
        homography = _homography(top, bottom, 1, 1)
        mapped = np.stack((u, v, np.ones_like(u)), -1) @ homography.T
        return (mapped[..., :2] / mapped[..., 2:]).astype(np.float32)
    cell = np.clip(np.searchsorted(stations, u, 'right') - 1, 0, len(stations) - 2)
    u = ((u - stations[cell]) / (stations[cell + 1] - stations[cell]))[..., None]
    v = v[..., None]
    upper = top[cell] * (1 - u) + top[cell + 1] * u
    lower = bottom[cell] * (1 - u) + bottom[cell + 1] * u
    return (upper * (1 - v) + lower * v).astype(np.float32)


def _rungs(polygon: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of top and bottom in pairs, and where along the strip (0 to 1) each pair stands."""
    top, bottom = split_polygon(polygon)
    if _lengths(top, bottom).min() < MIN_EXTENT or _heights(top, bottom).max() < MIN_EXTENT:
        raise ValueError(f'polygon shorter or lower than {MIN_EXTENT:g} pixel')
    if len(top) == 2:
        _check_turns(_corner_turns(top, bottom).ravel())
        return top, bottom, np.array((0.0, 1.0))
    if len(top) <= _MAX_RUNGS:
        stations = _stations((top + bottom) / 2)
        kept = np.append(np.diff(stations) > 1e-6, True)
        kept[0], stations[kept.argmax()] = kept.argmax() == 0, 0.0
        top, bottom, stations = top[kept], bottom[kept], stations[kept]
        if len(stations) > 2 and (_cell_areas(top, bottom) > 0).all():
            return top, bottom, stations
    # Pairs that stand askew: the annotator did not set the points of the two sides across from
    # each other. Equal arc lengths are the next best guess.
    stations = np.linspace(0, 1, _MAX_RUNGS // 4 + 1)
    top, bottom = _resample(top, stations), _resample(bottom, stations)
    _check_turns(_cell_areas(top, bottom))
    return top, bottom, stations


def _check_turns(turns: np.ndarray) -> None:
    if (turns > 0).all():
        return
    if (turns < 0).all():
        raise ValueError('polygon is mirrored: text in it would read from right to left')
    raise ValueError('polygon crosses itself, is concave or has no area')


def _corner_turns(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Cross product of the two sides at each corner: all positive in a convex clockwise quad."""
    corners = np.concatenate((top, bottom[::-1]))
    sides = np.roll(corners, -1, 0) - corners
    before = np.roll(sides, 1, 0)
    return before[:, 0] * sides[:, 1] - before[:, 1] * sides[:, 0]


def _cell_areas(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Twice the signed area between each two neighbouring rungs, positive for clockwise ones."""
    falling, rising = bottom[1:] - top[:-1], bottom[:-1] - top[1:]
    return falling[:, 1] * -rising[:, 0] + falling[:, 0] * rising[:, 1]


def _steps(line: np.ndarray) -> np.ndarray:
    return np.hypot(*np.diff(line, axis=0).T)


def _lengths(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.array((_steps(top).sum(), _steps(bottom).sum()))


def _heights(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.hypot(*(bottom - top).T)


def _stations(line: np.ndarray) -> np.ndarray:
    """Arc length up to each point as a fraction of the whole."""
    lengths = np.append(0, np.cumsum(_steps(line)))
    return lengths / max(lengths[-1], 1e-9)


def _resample(line: np.ndarray, stations: np.ndarray) -> np.ndarray:
    at = _stations(line)
    return np.stack([np.interp(stations, at, line[:, axis]) for axis in (0, 1)], -1)


def _shrink(mask: np.ndarray, length: float, height: float) -> np.ndarray:
    width = min(mask.shape[1], max(1, round(length)))
    height = min(mask.shape[0], max(1, round(height)))
    if (height, width) == mask.shape:
        return mask
    return cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)


def _homography(top: np.ndarray, bottom: np.ndarray, width: int, height: int) -> np.ndarray:
    source = np.array(((0, 0), (width, 0), (width, height), (0, height)), np.float32)
    target = np.concatenate((top, bottom[::-1])).astype(np.float32)
    return cv2.getPerspectiveTransform(source, target)


def _warp_quad(mask, top, bottom, stations, size):
    height, width = mask.shape
    homography = _homography(top, bottom, width, height)
    homography[:, 2] += homography[:, :2].sum(1) / 2  # centre of the first pixel: (0.5, 0.5)
    return cv2.warpPerspective(mask, homography, size, flags=cv2.INTER_LINEAR)


def _warp_mesh(mask, top, bottom, stations, size):
    """Bilinear within each cell between two rungs, hence continuous across them."""
    height, width = mask.shape
    source_x = np.full(size[::-1], -9, np.float32)
    source_y = np.full(size[::-1], -9, np.float32)
    for i in range(len(stations) - 1):
        cell = np.stack((top[i], top[i + 1], bottom[i + 1], bottom[i]))
        x0, y0 = np.maximum(np.floor(cell.min(0)), 0).astype(int)
        x1, y1 = np.minimum(np.ceil(cell.max(0)) + 1, size).astype(int)
        if x0 >= x1 or y0 >= y1:
            continue
        u, v = _invert_bilinear(cell, np.arange(x0, x1), np.arange(y0, y1))
        inside = (np.abs(u - 0.5) <= 0.5001) & (np.abs(v - 0.5) <= 0.5001)
        u *= (stations[i + 1] - stations[i]) * width
        u += stations[i] * width - 0.5
        v *= height
        v -= 0.5
        np.copyto(source_x[y0:y1, x0:x1], u, where=inside)
        np.copyto(source_y[y0:y1, x0:x1], v, where=inside)
    return cv2.remap(mask, source_x, source_y, cv2.INTER_LINEAR)


def _invert_bilinear(
    cell: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where in a cell the points of a grid lie: u along it, v across it, 0 to 1 inside.

    A point is p = a + u e + v f + u v g, with e and f the sides at corner a. Since p - a - v f is
    parallel to e + v g, v solves a quadratic equation, of which the root next to the one for g = 0
    is taken, in the form that does not cancel.
    """
    a, b, c, d = cell
    e, f, g = b - a, d - a, c - d - b + a
    x, y = (x - a[0]).astype(np.float32)[None, :], (y - a[1]).astype(np.float32)[:, None]
    e, f, g = (tuple(map(float, vector)) for vector in (e, f, g))
    square = g[0] * f[1] - g[1] * f[0]
    linear = x * g[1] - (y * g[0] - (e[0] * f[1] - e[1] * f[0]))
    constant = x * e[1] - y * e[0]
    root = np.sqrt(np.maximum(linear * linear - 4 * square * constant, 0))
    v = -2 * constant / np.where(linear + root > 1e-9, linear + root, 1e-9)
    side_x, side_y = e[0] + v * g[0], e[1] + v * g[1]
    u = (x - v * f[0]) * side_x + (y - v * f[1]) * side_y
    u /= np.maximum(side_x * side_x + side_y * side_y, 1e-9)
    return u, v
