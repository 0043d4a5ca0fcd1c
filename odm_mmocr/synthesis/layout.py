"""Where words stand: lines and blocks on planes that are bent, turned and seen in perspective."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from odm_mmocr.rendering.meshes import split_polygon
from odm_mmocr.rendering.strips import Strip

ROUNDED_CORNER = np.linspace(0, np.pi / 2, 5)
# An arc turns by at most so much between two points of a polygon, a little less than a letter of
# a tightly bent word does; more points than this a polygon does not get.
TURN_PER_POINT = 0.16
MAX_POINTS_PER_SIDE = 12
GROUND_STEP = 4  # pixels of the image to one of the map of its brightness
TURN = (0.4, 2.6)  # radians, of arcs
CHOICES = 3  # free places among which the calmest is taken


@dataclass
class PlacedWord:
    """A word in the image.

    Attributes:
        strip: its glyphs.
        polygon: float64 (2n, 2), clockwise from the top left of the first letter.
        height: pixels across the reading direction.
    """

    strip: Strip
    polygon: np.ndarray
    height: float


@dataclass
class Group:
    """Words of one look on one surface.

    Attributes:
        words: at least one.
        plate: float64 (k, 2) outline of the board they stand on, or None.
    """

    words: list[PlacedWord]
    plate: np.ndarray | None


@dataclass(frozen=True)
class Geometry:
    """How the flat lines of a group come into the image.

    Attributes:
        turn: angle (radians) over which the line is bent; positive: the middle is highest.
        wave: height of a sine wave in cap heights, and its periods over the line; (0, 0): none.
        angle: rotation in the image (radians).
        yaw, pitch: how much nearer (share of the distance) the right and the lower end are.
        shear: sideways slant.
    """

    turn: float = 0.0
    wave: tuple[float, float] = (0.0, 0.0)
    angle: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    shear: float = 0.0

    @property
    def curved(self) -> bool:
        return self.turn != 0 or self.wave[0] != 0


def draw_geometry(
    extent: tuple[float, float],
    curved: bool,
    max_rotation: float,
    rng: np.random.Generator,
    vertical: float = 0.04,
    perspective: float = 1.0,
    turn_limits: tuple[float, float] = TURN,
) -> Geometry:
    """Draw a geometry for a group.

    Args:
        extent: flat width and height of the group.
        curved: whether to bend it.
        max_rotation: degrees; most groups turn much less.
        rng: source of randomness.
        vertical: share (0 to 1) of groups that are turned by a quarter besides.
        perspective: strength (0 to 1) of perspective and slant.
        turn_limits: least and largest angle of arcs, in radians.
    """
    width, height = extent
    turn, wave = 0.0, (0.0, 0.0)
    if curved and rng.random() < 0.75:
        # The radius stays above 1.8 heights, or the inner side would crowd into a point.
        turn = min(rng.uniform(*turn_limits), width / (1.8 * height))
        turn *= rng.choice((1, -1), p=(0.7, 0.3))
    elif curved:
        periods = rng.uniform(0.6, 1.3)
        wave = (min(rng.uniform(0.25, 0.9) * height, 0.12 * width / periods), periods)
    spread = np.deg2rad(max_rotation)
    angle = np.clip(rng.normal(0, spread / 3), -spread, spread)
    if rng.random() < vertical:
        angle += rng.choice((-1, 1)) * np.pi / 2
    yaw, pitch = rng.normal(0, (0.11, 0.05))
    shear = rng.normal(0, 0.08)
    return Geometry(
        turn=float(turn),
        wave=wave,
        angle=float(angle),
        yaw=float(perspective * np.clip(yaw, -0.28, 0.28)),
        pitch=float(perspective * np.clip(pitch, -0.15, 0.15)),
        shear=float(perspective * np.clip(shear, -0.25, 0.25)),
    )


class Surface:
    """Maps flat points of a group, centred on the origin, to pixels relative to its centre."""

    def __init__(self, geometry: Geometry, extent: tuple[float, float]):
        self.geometry = geometry
        self.width = extent[0]
        self.reach = max(extent) / 2
        # The centre of an arc lies a radius below the middle of the line.
        self.radius = self.width / geometry.turn if geometry.turn else np.inf

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Map (..., 2) flat points, in cap heights, at scale 1."""
        g = self.geometry
        x, y = points[..., 0], points[..., 1]
        if g.turn:
            turn = x / self.radius
            x, y = (self.radius - y) * np.sin(turn), self.radius - (self.radius - y) * np.cos(turn)
        elif g.wave[0]:
            y = y + g.wave[0] * np.sin(2 * np.pi * g.wave[1] * x / self.width)
        x = x + g.shear * y
        nearness = np.maximum(1 + (g.yaw * x + g.pitch * y) / self.reach, 0.2)
        # What is turned away is also foreshortened.
        x, y = x * nearness * (1 - 1.2 * abs(g.yaw)), y * nearness * (1 - abs(g.pitch))
        cos, sin = np.cos(g.angle), np.sin(g.angle)
        return np.stack((cos * x - sin * y, sin * x + cos * y), -1)


def arrange_lines(
    lines: Sequence[Sequence[Strip]], cap: float, rng: np.random.Generator
) -> tuple[list[Strip], np.ndarray]:
    """Set lines of words flat, one below the other.

    Args:
        lines: words of each line, drawn with capital letters of ``cap`` pixels.
        cap: cap height of the strips, in pixels.
        rng: source of randomness.

    Returns:
        The words in reading order and their boxes (N, 4), left, top, right, bottom, in cap heights,
        centred on the origin.
    """
    space = rng.uniform(0.5, 0.9)
    gap = rng.uniform(0.15, 0.9)
    align = rng.choice((0.0, 0.5, 0.5, 1.0))
    headline = rng.uniform(1.2, 2.0) if len(lines) > 1 and rng.random() < 0.4 else 1.0
    rows, pen_y = [], 0.0
    for position, line in enumerate(lines):
        scale = (headline if position == 0 else 1.0) / cap
        above = max(strip.baseline for strip in line) * scale
        below = max(strip.size[0] - strip.baseline for strip in line) * scale
        pen_y += above
        boxes, pen_x = [], 0.0
        for strip in line:
            height, width = strip.size
            top = pen_y - strip.baseline * scale
            boxes.append((pen_x, top, pen_x + width * scale, top + height * scale))
            pen_x += width * scale + space
        rows.append(np.array(boxes))
        pen_y += below + gap
    widest = max(row[-1, 2] for row in rows)
    for row in rows:
        row[:, 0::2] += align * (widest - row[-1, 2])
    boxes = np.concatenate(rows)
    centre = (boxes[:, :2].min(0) + boxes[:, 2:].max(0)) / 2
    return [strip for line in lines for strip in line], boxes - np.tile(centre, 2)


def outline_points(box: np.ndarray, points_per_side: int) -> np.ndarray:
    """Polygon of a flat box: (2n, 2), clockwise from the top left, n points on top and bottom."""
    left, top, right, bottom = box
    x = np.linspace(left, right, points_per_side)
    upper, lower = np.stack((x, np.full_like(x, top)), 1), np.stack((x, np.full_like(x, bottom)), 1)
    return np.concatenate((upper, lower[::-1]))


def rounded_box(box: np.ndarray, radius: float, points_per_side: int) -> np.ndarray:
    """Outline of a box with round corners: (k, 2), clockwise."""
    left, top, right, bottom = box
    radius = min(radius, (right - left) / 2, (bottom - top) / 2)
    centres = np.array(((right, top), (right, bottom), (left, bottom), (left, top)))
    centres += radius * np.array(((-1, 1), (-1, -1), (1, -1), (1, 1)))
    corners = []
    for start, centre in zip((-np.pi / 2, 0, np.pi / 2, np.pi), centres):
        angles = start + ROUNDED_CORNER
        corners.append(centre + radius * np.stack((np.cos(angles), np.sin(angles)), 1))
    sides = []
    for corner, following in zip(corners, corners[1:] + corners[:1]):
        share = np.linspace(0, 1, points_per_side)[1:-1, None]
        sides += [corner, corner[-1] * (1 - share) + following[0] * share]
    return np.concatenate(sides)


def points_per_side(geometry: Geometry, width: float, total: float) -> int:
    """Number of points on the upper (and lower) side of a word's polygon.

    Args:
        geometry: of its group.
        width: flat width of the word.
        total: flat width of the group.
    """
    if not geometry.curved:
        return 2
    turn = abs(geometry.turn) * width / total
    if geometry.wave[0]:
        turn = 2 * np.pi * geometry.wave[1] * width / total / 3
    return int(np.clip(np.ceil(turn / TURN_PER_POINT) + 1, 4, MAX_POINTS_PER_SIDE))


def lay_out(
    strips: Sequence[Strip],
    boxes: np.ndarray,
    geometry: Geometry,
    height: float,
    bounds: tuple[float, float],
    plate: tuple[float, float] | None,
) -> Group:
    """Bring flat words into the image plane, around the origin.

    Args:
        strips: words.
        boxes: (N, 4) flat boxes of :func:`arrange_lines`.
        geometry: how they are seen.
        height: wanted height of the lowest word, in pixels.
        bounds: largest width and height of the group; it is shrunk to fit.
        plate: padding around the words and radius of the corners of a board, in cap heights;
            None: no board.

    Returns:
        The group, with its words' polygons around the origin.
    """
    low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    extent = tuple(high - low)
    surface = Surface(geometry, extent)
    polygons = [
        surface(outline_points(box, points_per_side(geometry, box[2] - box[0], extent[0])))
        for box in boxes
    ]
    board = None
    if plate is not None:
        padding, radius = plate
        box = np.concatenate((low - padding, high + padding * np.array((1, 1))))
        board = surface(rounded_box(box, radius, 16 if geometry.curved else 2))
    corners = np.concatenate(polygons if board is None else [board])
    low, high = corners.min(0), corners.max(0)
    heights = [_mean_height(polygon) for polygon in polygons]
    scale = min(height / min(heights), *(np.asarray(bounds) / (high - low)))
    centre = (low + high) / 2
    words = [
        PlacedWord(strip, (polygon - centre) * scale, h * scale)
        for strip, polygon, h in zip(strips, polygons, heights)
    ]
    return Group(words, None if board is None else (board - centre) * scale)


def _mean_height(polygon: np.ndarray) -> float:
    top, bottom = split_polygon(polygon)
    return float(np.hypot(*(bottom - top).T).mean())


def move(group: Group, offset: np.ndarray) -> None:
    """Shift a group by (x, y) pixels, in place."""
    for word in group.words:
        word.polygon = word.polygon + offset
    if group.plate is not None:
        group.plate = group.plate + offset


class Occupancy:
    """Keeps groups apart and off restless ground.

    Args:
        image: uint8 (H, W, 3), the background.
    """

    def __init__(self, image: np.ndarray):
        self.taken = np.zeros(image.shape[:2], np.uint8)
        small = (max(1, image.shape[1] // GROUND_STEP), max(1, image.shape[0] // GROUND_STEP))
        small = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        self.ground = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)

    def place(self, group: Group, rng: np.random.Generator, tries: int = 12) -> bool:
        """Move a group, which lies around the origin, to a free place inside the image.

        Of the first few free places that chance finds the calmest is taken; a group with a board
        does not mind what is behind.

        Returns:
            Whether one was found; the group is unchanged if not.
        """
        corners = [word.polygon for word in group.words]
        if group.plate is not None:
            corners.append(group.plate)
        hull = cv2.convexHull(np.concatenate(corners).astype(np.float32))[:, 0]
        margin = 2 + int(0.05 * max(word.height for word in group.words))
        low, high = hull.min(0), hull.max(0)
        room = np.array(self.taken.shape[::-1]) - 3 - (high - low)
        if (room < 0).any():
            return False
        outline = np.round(hull - low).astype(np.int32) + margin
        width, height = outline.max(0) + margin + 1
        mask = np.zeros((height, width), np.uint8)
        cv2.fillConvexPoly(mask, outline, 1)
        cv2.polylines(mask, [outline], True, 1, thickness=2 * margin + 1)
        free: list[tuple[float, np.ndarray]] = []
        for share in rng.random((tries, 2)):
            corner = 1 + np.floor(share * room).astype(int)
            part, region = self._window(mask, corner - margin)
            if cv2.countNonZero(cv2.bitwise_and(part, region)):
                continue
            free.append((self._unrest(corner, high - low), corner))
            if len(free) == (1 if group.plate is not None else CHOICES):
                break
        if not free:
            return False
        corner = min(free, key=lambda place: place[0])[1]
        part, region = self._window(mask, corner - margin)
        cv2.bitwise_or(part, region, dst=region)
        move(group, corner - low)
        return True

    def _window(self, mask: np.ndarray, corner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Parts of a mask, and of the map, that overlap when the mask is laid at a corner."""
        x, y = corner.tolist()
        region = self.taken[max(y, 0) : y + mask.shape[0], max(x, 0) : x + mask.shape[1]]
        top, left = max(-y, 0), max(-x, 0)
        return mask[top : top + region.shape[0], left : left + region.shape[1]], region

    def _unrest(self, corner: np.ndarray, extent: np.ndarray) -> float:
        x0, y0 = corner // GROUND_STEP
        x1, y1 = ((corner + extent) / GROUND_STEP).astype(int) + 1
        return float(cv2.meanStdDev(self.ground[y0:y1, x0:x1])[1][0, 0])
