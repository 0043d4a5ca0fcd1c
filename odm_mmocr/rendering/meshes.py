"""From flat strips into polygons: perspective for quadrilaterals, a mesh for curved polygons.

Image coordinates are those of OpenCV: the centre of the first pixel is (0, 0).
Strip coordinates are continuous: a strip of w by h pixels reaches from (0, 0) to (w, h).
"""

import math
from typing import NamedTuple

import cv2
import numpy as np

from .faults import TooSmall, UnusablePolygon
from .planes import find_plane

MAX_POINTS = 1024  # more than any annotator sets; whether lines cross is asked of each two
MAX_COORDINATE = 1e6  # pixels; no image is that large, and arithmetic stays exact enough
MIN_EXTENT = 1.0  # pixels; in a polygon that is shorter or lower nothing can be drawn
_MAX_MESH_SIDE = 32766  # pixels of the image that OpenCV remaps at once
MAX_RECTIFIED_SIDE = 4000  # pixels; times MAX_OVERSAMPLING still within what OpenCV remaps
MAX_OVERSAMPLING = 8
# How much finer than the image a strip may be. Bilinear sampling spans two pixels, hence hardly
# any is passed over.
_FINEST = 2.6
_OUTSIDE = 0.25  # of a cell: points that are further away are not in the ribbon
_MAX_RUNGS = 32
_ASKEW = 1.15  # by how much longer rungs tell that points do not stand across from each other
_MIN_STEP = 1e-4  # between rungs, as a share of the length
_WHOLE = np.array((0.0, 1.0))


def split_polygon(polygon: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Splits a polygon into its upper and its lower side, both in reading direction.

    The vertex order tells the reading direction: the first half of the points runs along the top
    of the text, the second half back along its bottom.

    Args:
        polygon: (2k,) points of 2 coordinates as (k, 2) or flat, k even and at least 4; pixels.

    Returns:
        Top and bottom, float64 (k / 2, 2) each, point i of one across from point i of the other;
        of more than 1024 points as many are taken, evenly.

    Raises:
        UnusablePolygon: The number of points does not fit, a coordinate is not finite or absurdly
            large.
    """
    points = np.asarray(polygon, np.float64).reshape(-1)
    if points.size < 8 or points.size % 4:
        raise UnusablePolygon(
            f'polygon of {points.size / 2:g} points; expected an even number of at least 4, '
            'the first half along the top of the text, the second half back along its bottom'
        )
    values = points.tolist()  # for so few of them quicker than numpy
    if not all(-MAX_COORDINATE <= value <= MAX_COORDINATE for value in values):  # nor NaN
        raise UnusablePolygon(
            f'polygon with coordinates that are not finite or above {MAX_COORDINATE:g}'
        )
    points = points.reshape(-1, 2)
    half = len(points) // 2
    top, bottom = points[:half], points[half:][::-1]
    if len(points) > MAX_POINTS:
        taken = np.linspace(0, half - 1, MAX_POINTS // 2).round().astype(int)
        return top[taken], bottom[taken]
    return top, bottom


class Ribbon(NamedTuple):
    """A polygon as text runs through it.

    Attributes:
        top, bottom: float64 (k, 2), the two sides in reading direction; a point of the one stands
            across from the same of the other.
        length: Mean length of the two sides, in pixels.
        height: Mean distance between them, in pixels.
        stations: Where along the strip, 0 to 1, each pair of points stands; length k.
        plane: float64 (3, 3), homography from the image to the plane on which curved text was
            written (:func:`.planes.find_plane`): the letters are spaced evenly there. None of 4
            points, whose plane is the strip itself.
    """

    top: np.ndarray
    bottom: np.ndarray
    length: float
    height: float
    stations: np.ndarray = _WHOLE
    plane: np.ndarray | None = None

    @classmethod
    def from_polygon(cls, polygon: np.ndarray) -> 'Ribbon':
        """Checks a polygon.

        Args:
            polygon: Points as :func:`split_polygon` takes them.

        Raises:
            UnusablePolygon: Text cannot be drawn into it: as :func:`split_polygon`, and when
                it is shorter or lower than a pixel, crosses itself, is mirrored, or is concave
                with 4 points.
        """
        top, bottom = split_polygon(polygon)
        if len(top) == 2:
            (ax, ay), (bx, by) = a, b = top.tolist()
            (dx, dy), (cx, cy) = d, c = bottom.tolist()
            length = (math.hypot(bx - ax, by - ay) + math.hypot(cx - dx, cy - dy)) / 2
            height = (math.hypot(dx - ax, dy - ay) + math.hypot(cx - bx, cy - by)) / 2
            _check_extent(length, height)
            _check_orientation(_corner_turns(a, b, c, d))
            return cls(top, bottom, length, height)
        length, height = (_length(top) + _length(bottom)) / 2, float(_heights(top, bottom).mean())
        _check_extent(length, height)
        if _crosses_itself(np.concatenate((top, bottom[::-1]))):
            raise UnusablePolygon('polygon crosses itself')
        top, bottom = _pair(top, bottom)
        _check_orientation(_cell_areas(top, bottom).tolist())
        plane = find_plane(top, bottom)
        middle = (warp_points(top, plane) + warp_points(bottom, plane)) / 2
        return cls(top, bottom, length, height, _stations(middle), plane)

    def turned(self, quarters: int) -> 'Ribbon':
        """The ribbon of 4 points that starts ``quarters`` corners later."""
        corners = np.roll(np.concatenate((self.top, self.bottom[::-1])), -quarters, axis=0)
        return Ribbon.from_polygon(corners)

    def warp(
        self,
        mask: np.ndarray,
        shape: tuple[int, int],
        size: tuple[float, float] | None = None,
        reduced: dict | None = None,
    ) -> tuple[np.ndarray, tuple[int, int]]:
        """Draws a strip: see :func:`warp_strip`; for ``reduced`` see :func:`reduce`."""
        xs, ys = zip(*self.top.tolist(), *self.bottom.tolist())
        x0, y0 = max(math.floor(min(xs)), 0), max(math.floor(min(ys)), 0)
        width = min(math.ceil(max(xs)) + 1, shape[1]) - x0
        height = min(math.ceil(max(ys)) + 1, shape[0]) - y0
        if width <= 0 or height <= 0:
            return np.zeros((0, 0), np.uint8), (x0, y0)

        mask, reach = reduce(mask, size or mask.shape, self.length, self.height, reduced)
        draw = self._warp_quad if self.plane is None else self._warp_mesh
        return draw(mask, reach, (x0, y0), (width, height)), (x0, y0)

    def _warp_quad(self, mask, reach, corner, size):
        homography = rectangle_to_quad(self.top, self.bottom, *reach, corner, 0.5)
        return cv2.warpPerspective(mask, homography, size, flags=cv2.INTER_LINEAR)

    def _warp_mesh(self, mask, reach, corner, size):
        """On the plane, bilinear within each cell between two rungs: continuous across them."""
        if max(size) > _MAX_MESH_SIDE:
            raise UnusablePolygon(
                f'curved polygon over {max(size)} pixels; at most {_MAX_MESH_SIDE}'
            )
        width, height = reach
        # Nowhere in the strip, which draws as blank.
        source_x = np.full(size[::-1], -9, np.float32)
        source_y = np.full(size[::-1], -9, np.float32)
        top, bottom = self.top - corner, self.bottom - corner
        plane = self.plane @ ((1, 0, corner[0]), (0, 1, corner[1]), (0, 0, 1))
        flat_top, flat_bottom = warp_points(top, plane), warp_points(bottom, plane)
        for i in range(len(top) - 1):
            cell = np.stack((top[i], top[i + 1], bottom[i + 1], bottom[i]))
            x0, y0 = np.maximum(np.floor(cell.min(0)), 0).astype(int)
            x1, y1 = np.minimum(np.ceil(cell.max(0)) + 1, size).astype(int)
            if x0 >= x1 or y0 >= y1:
                continue
            cell = np.stack((flat_top[i], flat_top[i + 1], flat_bottom[i + 1], flat_bottom[i]))
            with np.errstate(all='ignore'):  # not finite far from the cell, hence not inside
                x, y = _project_grid(plane, np.arange(x0, x1), np.arange(y0, y1))
                u, v = _invert_bilinear(cell, x, y)
            inside = (np.abs(u - 0.5) <= 0.5001) & (np.abs(v - 0.5) <= 0.5001)
            u *= (self.stations[i + 1] - self.stations[i]) * width
            u += self.stations[i] * width - 0.5
            v *= height
            v -= 0.5
            np.copyto(source_x[y0:y1, x0:x1], u, where=inside)
            np.copyto(source_y[y0:y1, x0:x1], v, where=inside)
        return cv2.remap(mask, source_x, source_y, cv2.INTER_LINEAR)

    def rectify(self, image: np.ndarray, height: int) -> np.ndarray:
        """Lays out flat what the ribbon holds: see :func:`rectify`."""
        width = max(1, min(round(height * self.length / self.height), MAX_RECTIFIED_SIDE))
        # As many samples as the image has pixels there, averaged afterwards: nothing aliases.
        times = min(MAX_OVERSAMPLING, max(1, math.ceil(self.height / height)))
        columns, rows = ((np.arange(n * times) + 0.5) / times for n in (width, height))
        places = self.map(np.stack(np.meshgrid(columns, rows), -1), (height, width))
        flat = cv2.remap(image, places, None, cv2.INTER_LINEAR)
        return flat if times == 1 else cv2.resize(flat, (width, height), None, 0, 0, cv2.INTER_AREA)

    def map(self, points: np.ndarray, size: tuple[float, float]) -> np.ndarray:
        """Maps points of a strip: see :func:`map_points`."""
        points = np.asarray(points, np.float64)
        u, v = points[..., 0] / size[1], points[..., 1] / size[0]
        if self.plane is None:
            homography = rectangle_to_quad(self.top, self.bottom, 1, 1)
            return warp_points(np.stack((u, v), -1), homography).astype(np.float32)
        top, bottom = warp_points(self.top, self.plane), warp_points(self.bottom, self.plane)
        cell = np.clip(np.searchsorted(self.stations, u, 'right') - 1, 0, len(self.stations) - 2)
        u = ((u - self.stations[cell]) / np.diff(self.stations)[cell])[..., None]
        v = v[..., None]
        upper = top[cell] * (1 - u) + top[cell + 1] * u
        lower = bottom[cell] * (1 - u) + bottom[cell + 1] * u
        on_plane = upper * (1 - v) + lower * v
        return warp_points(on_plane, np.linalg.inv(self.plane)).astype(np.float32)

    def locate(self, points: np.ndarray) -> np.ndarray:
        """Finds where along and across a curved ribbon points of the image lie.

        Args:
            points: (n, 2), pixels.

        Returns:
            float64 (n, 2): along and across, 0 to 1 within the ribbon; nan for points well outside.
        """
        x, y = warp_points(points, self.plane).T
        top, bottom = warp_points(self.top, self.plane), warp_points(self.bottom, self.plane)
        found = np.full((len(x), 2), np.nan)
        off = np.full(len(x), _OUTSIDE)
        for i in range(len(top) - 1):
            cell = np.stack((top[i], top[i + 1], bottom[i + 1], bottom[i]))
            with np.errstate(all='ignore'):
                u, v = _invert_bilinear(cell, x, y)
            away = np.maximum(np.abs(u - 0.5), np.abs(v - 0.5)) - 0.5
            nearer = away < off
            off[nearer] = away[nearer]
            along = self.stations[i] + u * (self.stations[i + 1] - self.stations[i])
            found[nearer] = np.stack((along, v), -1)[nearer]
        return found


def warp_strip(
    mask: np.ndarray,
    polygon: np.ndarray,
    shape: tuple[int, int],
    size: tuple[float, float] | None = None,
) -> tuple[np.ndarray, tuple[int, int]]:
    """Warps a strip into a polygon of an image, antialiased.

    The strip is first averaged over what will be a pixel of the image, along and across the text,
    so that nothing aliases however much smaller the polygon is. For crisp edges the strip should be
    at least twice as high as the polygon.

    Args:
        mask: uint8 (h, w) strip.
        polygon: Points as :func:`split_polygon` takes them.
        shape: Height and width of the image, in pixels.
        size: Height and width of the strip in the mask; None: all of it.

    Returns:
        The patch, uint8, that the polygon covers within the image, and the image position (x, y)
        of its first pixel. The patch is empty when the polygon lies outside.

    Raises:
        UnusablePolygon: Text cannot be drawn into the polygon: see :meth:`Ribbon.from_polygon`.
    """
    return Ribbon.from_polygon(polygon).warp(mask, shape, size)


def rectify(image: np.ndarray, polygon: np.ndarray, height: int = 48) -> np.ndarray:
    """Lays out flat what a polygon of an image holds: the inverse of :func:`warp_strip`.

    Args:
        image: uint8 (H, W) or (H, W, 3). What lies outside of it is black.
        polygon: Points as :func:`split_polygon` takes them.
        height: Height of the result, in pixels; its width keeps the proportions of the polygon.

    Returns:
        uint8 (height, w) or (height, w, 3), upright in reading direction.

    Raises:
        UnusablePolygon: Text cannot stand in the polygon: see :meth:`Ribbon.from_polygon`.
    """
    return Ribbon.from_polygon(polygon).rectify(image, height)


def map_points(points: np.ndarray, polygon: np.ndarray, size: tuple[float, float]) -> np.ndarray:
    """Maps points of a strip to where :func:`warp_strip` draws them.

    Args:
        points: (..., 2) x and y in strip coordinates.
        polygon: Points as :func:`split_polygon` takes them.
        size: Height and width of the strip, in its pixels.

    Returns:
        float32 (..., 2) image coordinates.

    Raises:
        UnusablePolygon: Text cannot be drawn into the polygon: see :meth:`Ribbon.from_polygon`.
    """
    return Ribbon.from_polygon(polygon).map(points, size)


def is_convex(corners: np.ndarray) -> bool:
    """Whether 4 corners, (4, 2), make a convex quadrilateral that is read clockwise."""
    return min(_corner_turns(*corners.tolist())) > 0


def _check_extent(length: float, height: float) -> None:
    if length < MIN_EXTENT or height < MIN_EXTENT:
        raise TooSmall(f'polygon of {length:.2g} x {height:.2g} pixels is too small for text')


def _check_orientation(turns: list[float]) -> None:
    if min(turns) > 0:
        return
    if max(turns) < 0:
        raise UnusablePolygon('polygon is mirrored: its points must run clockwise around the text')
    raise UnusablePolygon('polygon crosses itself, is concave or has no area')


def _crosses_itself(points: np.ndarray) -> bool:
    """Whether two sides of a closed polygon (n, 2) cross, other than by touching."""
    x, y = points.T
    along_x, along_y = np.roll(x, -1) - x, np.roll(y, -1) - y
    # On which side of the line through side i point j lies; of side j the ends are j and j + 1.
    side = along_x[:, None] * (y - y[:, None]) - along_y[:, None] * (x - x[:, None])
    apart = side * np.roll(side, -1, axis=1) < 0
    return bool((apart & apart.T).any())


def _corner_turns(*corners: tuple[float, float]) -> list[float]:
    """Cross product of the two sides at each corner: all positive in a convex clockwise polygon."""
    turns = []
    for i, (x, y) in enumerate(corners):
        (x0, y0), (x1, y1) = corners[i - 1], corners[(i + 1) % len(corners)]
        turns.append((x - x0) * (y1 - y) - (y - y0) * (x1 - x))
    return turns


def _cell_areas(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Twice the signed area between each two neighbouring rungs, positive for clockwise ones."""
    falling, rising = bottom[1:] - top[:-1], top[1:] - bottom[:-1]
    return rising[:, 0] * falling[:, 1] - rising[:, 1] * falling[:, 0]


def _steps(line: np.ndarray) -> np.ndarray:
    step = line[1:] - line[:-1]
    return np.hypot(step[:, 0], step[:, 1])


def _length(line: np.ndarray) -> float:
    return float(_steps(line).sum())


def _heights(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    rung = bottom - top
    return np.hypot(rung[:, 0], rung[:, 1])


def _stations(line: np.ndarray) -> np.ndarray:
    """Arc length up to each point as a fraction of the whole."""
    lengths = np.append(0, np.cumsum(_steps(line)))
    return lengths / max(lengths[-1], 1e-9)


def _resample(line: np.ndarray, stations: np.ndarray) -> np.ndarray:
    at = _stations(line)
    return np.stack([np.interp(stations, at, line[:, axis]) for axis in (0, 1)], -1)


def _pair(top: np.ndarray, bottom: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs the points of the two sides of a curve.

    As annotated; or at equal shares of the arc length, for annotators who did not set the points
    across from each other, which shows in longer rungs.
    """
    if len(top) > _MAX_RUNGS:
        stations = np.linspace(0, 1, _MAX_RUNGS)
        return _resample(top, stations), _resample(bottom, stations)
    shares = np.sort(np.concatenate((_stations(top), _stations(bottom))))
    shares = shares[np.append(True, np.diff(shares) > _MIN_STEP)]
    by_share = _resample(top, shares), _resample(bottom, shares)
    kept = np.append(True, np.diff(_stations((top + bottom) / 2)) > _MIN_STEP)
    annotated = top[kept], bottom[kept]
    if len(annotated[0]) < 2:  # the two sides run against each other
        return by_share
    return annotated if _mean_rung(*annotated) < _ASKEW * _mean_rung(*by_share) else by_share


def _mean_rung(top: np.ndarray, bottom: np.ndarray) -> float:
    """Mean length of the rungs along the strip: least when they stand straight."""
    stations = _stations((top + bottom) / 2)
    rungs = _heights(top, bottom)
    return float((np.diff(stations) * (rungs[1:] + rungs[:-1])).sum() / 2)


def warp_points(points: np.ndarray, homography: np.ndarray) -> np.ndarray:
    """Map points (..., 2) by a homography (3, 3); float64 of the same shape."""
    points = np.asarray(points, np.float64)
    mapped = points @ homography[:, :2].T + homography[:, 2]
    return mapped[..., :2] / mapped[..., 2:]


def reduce(
    mask: np.ndarray,
    size: tuple[float, float],
    length: float,
    height: float,
    kept: dict[tuple[int, int], np.ndarray] | None = None,
) -> tuple[np.ndarray, tuple[float, float]]:
    """Averages a strip until it is about as fine as the image, so that nothing aliases.

    By powers of two, along and across apart.

    Args:
        mask: uint8 (h, w).
        size: Height and width of the strip in the mask.
        length, height: Size in the image, in pixels.
        kept: Averages of this mask, found and left here.

    Returns:
        The mask, and width and height of the strip in it: of its last pixels only a part may
        belong to the strip.
    """
    x = y = 1
    while size[1] > _FINEST * length * x and x < mask.shape[1]:
        x *= 2
    while size[0] > _FINEST * height * y and y < mask.shape[0]:
        y *= 2
    if kept is not None and (x, y) in kept:
        mask = kept[x, y]
    elif x > 1 or y > 1:
        right, below = -mask.shape[1] % x, -mask.shape[0] % y
        if right or below:
            mask = cv2.copyMakeBorder(mask, 0, below, 0, right, cv2.BORDER_CONSTANT, value=0)
        smaller = (mask.shape[1] // x, mask.shape[0] // y)
        mask = cv2.resize(mask, smaller, interpolation=cv2.INTER_AREA)
        if kept is not None:
            kept[x, y] = mask
    return mask, (size[1] / x, size[0] / y)


def rectangle_to_quad(
    top: np.ndarray,
    bottom: np.ndarray,
    width: float,
    height: float,
    corner: tuple[float, float] = (0, 0),
    offset: float = 0,
) -> np.ndarray:
    """From a rectangle to a convex quadrilateral: float64 (3, 3).

    Heckbert, "Fundamentals of texture mapping and image warping" (1989), section 2.2.3. In plain
    floats, a tenth of the time that OpenCV takes.

    Args:
        top, bottom: The quadrilateral.
        width, height: The rectangle.
        corner: Origin of the coordinates that it leads to.
        offset: The origin of the coordinates that it starts from is this far right of and below
            the corner of the rectangle.
    """
    (ax, ay), (bx, by) = top.tolist()
    (dx, dy), (cx, cy) = bottom.tolist()
    x1, y1, x2, y2 = bx - cx, by - cy, dx - cx, dy - cy
    x3, y3 = ax - bx + cx - dx, ay - by + cy - dy
    area = x1 * y2 - x2 * y1
    g, h = (x3 * y2 - x2 * y3) / area, (x1 * y3 - x3 * y1) / area
    rows = []
    for a, b, d, origin in ((ax, bx, dx, corner[0]), (ay, by, dy, corner[1])):
        rows.append((b - a + (b - origin) * g, d - a + (d - origin) * h, a - origin))
    rows.append((g, h, 1.0))
    return np.array(
        [(u / width, v / height, w + offset * (u / width + v / height)) for u, v, w in rows]
    )


def _project_grid(
    homography: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Projects the points of a grid: float32 (len(y), len(x)) each."""
    h = homography.astype(np.float32).tolist()
    x, y = x.astype(np.float32)[None, :], y.astype(np.float32)[:, None]
    depth = (h[2][0] * x + h[2][2]) + h[2][1] * y
    return tuple(((row[0] * x + row[2]) + row[1] * y) / depth for row in h[:2])


def _invert_bilinear(
    cell: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where in a cell points lie: u along it, v across it, 0 to 1 inside.

    A point is p = a + u e + v f + u v g, with e and f the sides at corner a. Since p - a - v f is
    parallel to e + v g, v solves a quadratic equation, of which the root next to the one for g = 0
    is taken, in the form that does not cancel.
    """
    a, b, c, d = cell
    e, f, g = b - a, d - a, c - d - b + a
    # u follows from either coordinate; take the one along which the two sides go further.
    axis = int(np.argmax(np.minimum(np.abs(e), np.abs(e + g))))
    x, y = x - np.float32(a[0]), y - np.float32(a[1])
    (e0, e1), (f0, f1), (g0, g1) = e.tolist(), f.tolist(), g.tolist()
    linear = x * g1 - (y * g0 + (e1 * f0 - e0 * f1))
    constant = y * (2 * e0) - x * (2 * e1)
    root = np.sqrt(np.maximum(linear * linear + constant * (2 * (g0 * f1 - g1 * f0)), 0))
    v = constant / np.maximum(linear + root, 1e-9)
    if axis == 0:
        return (x - v * f0) / (v * g0 + e0), v
    return (y - v * f1) / (v * g1 + e1), v
