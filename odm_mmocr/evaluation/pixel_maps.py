"""Where the pixels of an image go: the geometry of any transform, measured with coded pictures.

A transform is run on pictures whose colours say where each pixel stands. What comes out tells for
every pixel where it came from, whatever the transform is called and however it is written.
Coordinates are those of OpenCV: (0, 0) is the centre of the first pixel.
"""

from collections.abc import Callable

import cv2
import numpy as np

from odm_mmocr.rendering.meshes import warp_points

# Puts a picture through the transform, with the same random draws every time.
Run = Callable[[np.ndarray], np.ndarray]

_PERIOD = 128  # pixels; 4 levels of brightness a pixel, which leaves a quarter of a pixel exact
_BLOCK = 8  # pixels
_GRID_SAMPLES = 6000
_WORD_SAMPLES = 600
_MIN_SAMPLES = 12
# Code that is weaker than this share of its full strength is padding, or blended with it.
_MIN_STRENGTH = 0.2
# By how much the strength of the code may vary over the picture: more, and colours were mixed.
_STRENGTH_TOLERANCE = 0.1
_EVEN_SHARE = 0.8
_DOMINANT_SHARE = 0.5
_LOCAL_SHARE = 0.7


class Unmeasurable(RuntimeError):
    """The geometry of a transform cannot be told from what it does to coded pictures."""


class PixelMap:
    """Where the pixels of a transformed image came from.

    Args:
        shape: Height and width of the transformed image.
        codes: What the transform made of the coded pictures of x and of y, each float32
            (H, W, 3), from -1 to 1. None: every pixel is where it was.
        source: Height and width of the image before.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        codes: tuple[np.ndarray, np.ndarray] | None = None,
        source: tuple[int, int] | None = None,
    ) -> None:
        self.shape = shape
        self.is_identity = codes is None
        self._codes, self._source = codes, source
        if codes is None:
            self.dominant: np.ndarray | None = np.eye(3)
            return
        step = max(1, int(np.sqrt(shape[0] * shape[1] / _GRID_SAMPLES)))
        rows, columns = np.mgrid[step // 2 : shape[0] : step, step // 2 : shape[1] : step]
        self._strength = self._common_strength(rows, columns)
        points, places = self._decode(rows.ravel(), columns.ravel())
        self._tolerance = self._rounding(rows.ravel(), columns.ravel())
        self.dominant = self._fit_dominant(points, places)

    def around(self, polygon: np.ndarray) -> np.ndarray | None:
        """Fits the map of the pixels in and next to a polygon.

        Args:
            polygon: (k, 2) points in the transformed image, pixels.

        Returns:
            (3, 3) homography from the transformed image to the image before. Where the polygon
            holds too few pixels of that, the one that holds for most of the image. None where there
            is none either, or no simple map holds for the pixels of the polygon.
        """
        if self.is_identity:
            return self.dominant
        rows, columns = self._samples(polygon)
        points, places = self._decode(rows, columns)
        if len(points) < max(_MIN_SAMPLES, 0.3 * len(rows)):
            return self.dominant
        if self.dominant is not None and self._holds(self.dominant, points, places):
            return self.dominant
        affine, _ = cv2.estimateAffine2D(
            points, places, method=cv2.RANSAC, ransacReprojThreshold=self._tolerance
        )
        if affine is None or abs(np.linalg.det(affine[:, :2])) < 1e-6:
            return None
        homography = np.vstack((affine, (0, 0, 1)))
        return homography if self._holds(homography, points, places) else None

    def _holds(self, homography: np.ndarray, points: np.ndarray, places: np.ndarray) -> bool:
        errors = np.linalg.norm(warp_points(points, homography) - places, axis=1)
        return bool((errors < 2 * self._tolerance).mean() >= _LOCAL_SHARE)

    def _samples(self, polygon: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of pixels in a polygon; of a thin one at its rim as well."""
        low = np.maximum(np.floor(polygon.min(0)).astype(int) - 2, 0)
        high = np.minimum(np.ceil(polygon.max(0)).astype(int) + 3, self.shape[::-1])
        if (high <= low).any():
            return np.zeros(0, int), np.zeros(0, int)
        inside = np.zeros((high - low)[::-1], np.uint8)
        corners = [(polygon - low).round().astype(np.int32)]
        cv2.fillPoly(inside, corners, 1)
        if cv2.countNonZero(inside) < 3 * _MIN_SAMPLES:
            cv2.polylines(inside, corners, True, 1, 3)
        rows, columns = np.nonzero(inside)
        stride = max(1, len(rows) // _WORD_SAMPLES)
        return rows[::stride] + low[1], columns[::stride] + low[0]

    def _decode(self, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (n, 2) that show the image before, and where in it they stood (n, 2)."""
        valid = np.ones(len(rows), bool)
        places = []
        for code, length in zip(self._codes, self._source[::-1]):
            place, strength = decode(code[rows, columns], length)
            # Blended with padding it is weaker but not wrong; stronger or of other colours it is.
            valid &= (strength > 0.5 * self._strength) & (strength < 1.1 * self._strength)
            places.append(place)
        points = np.stack((columns, rows), -1).astype(np.float64)
        return points[valid], np.stack(places, -1)[valid]

    def _common_strength(self, rows: np.ndarray, columns: np.ndarray) -> float:
        strengths = np.concatenate(
            [decode(code[rows, columns], 2)[1].ravel() for code in self._codes]
        )
        strengths = strengths[strengths > _MIN_STRENGTH]
        if not len(strengths):
            raise Unmeasurable('nothing of the image is left')
        common = float(np.median(strengths))
        even = np.abs(strengths / common - 1) < _STRENGTH_TOLERANCE
        if even.mean() < _EVEN_SHARE:
            raise Unmeasurable('the colours are changed too much to follow the pixels')
        return common

    def _rounding(self, rows: np.ndarray, columns: np.ndarray) -> float:
        """Pixels of the image before by which a place may be off: nearest-neighbour sampling."""
        columns = np.minimum(columns, self.shape[1] - 2)
        here, there = (
            np.stack(
                [
                    decode(code[rows, columns + shift], length)[0]
                    for code, length in zip(self._codes, self._source[::-1])
                ],
                -1,
            )
            for shift in (0, 1)
        )
        return 0.75 * (1 + float(np.median(np.linalg.norm(there - here, axis=1))))

    def _fit_dominant(self, points: np.ndarray, places: np.ndarray) -> np.ndarray | None:
        if len(points) < _MIN_SAMPLES:
            return None
        homography, inliers = cv2.findHomography(points, places, cv2.RANSAC, self._tolerance)
        if homography is None or inliers.mean() < _DOMINANT_SHARE:
            return None
        if abs(np.linalg.det(homography)) < 1e-9:
            return None
        return homography


def measure(run: Run, image: np.ndarray, may_be_identity: bool = True) -> PixelMap:
    """Measures what a transform does to the places of pixels.

    Args:
        run: Puts a picture like ``image`` through the transform.
        image: uint8 (H, W, 3) or (H, W), of which only the shape counts.
        may_be_identity: Whether to try first, which is fast, if all pixels stay where they are.

    Returns:
        The map.

    Raises:
        Unmeasurable: The transform changes colours beyond recognition, or leaves nothing.
    """
    if may_be_identity and _keeps_places(run, image):
        return PixelMap(image.shape[:2])
    source = image.shape[:2]
    if image.ndim == 3:
        codes = tuple(_run_both(run, picture) for picture in _coloured_codes(source))
        try:
            return PixelMap(codes[0].shape[:2], codes, source)
        except Unmeasurable:
            pass  # hue and saturation mix the channels of colours, but not of grey pictures
    codes = []
    for picture in _coloured_codes(source):
        channels = [picture[..., i] for i in range(3)]
        if image.ndim == 3:
            channels = [np.repeat(channel[..., None], 3, axis=2) for channel in channels]
        outputs = [_run_both(run, channel) for channel in channels]
        codes.append(np.stack([o[..., 0] if o.ndim == 3 else o for o in outputs], -1))
    return PixelMap(codes[0].shape[:2], tuple(codes), source)


def encode(length: int) -> np.ndarray:
    """Codes the coordinates along a side, such that interpolation keeps their meaning.

    Args:
        length: Pixels of the side.

    Returns:
        float64 (length, 3), -1 to 1: a ramp over the whole side, and two triangle waves a quarter
        of a period apart. The absolute values of the waves add up to 1.
    """
    x = np.arange(length)
    ramp = 2 * x / max(length - 1, 1) - 1
    phases = x / _PERIOD, x / _PERIOD - 0.25
    waves = [1 - 4 * np.abs(phase - np.round(phase)) for phase in phases]
    return np.stack((ramp, *waves), -1)


def decode(code: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads coordinates from their code.

    Args:
        code: (..., 3) as :func:`encode` makes it; of any contrast.
        length: Pixels of the side.

    Returns:
        The coordinates (...), pixels, and the contrast of the code (...): 1 where it is unchanged,
        0 where there is none.
    """
    ramp, cosine, sine = np.moveaxis(np.asarray(code, np.float64), -1, 0)
    strength = np.abs(cosine) + np.abs(sine)
    scale = 1 / np.maximum(strength, 1e-6)
    quarter = np.where(
        cosine >= 0, np.where(sine >= 0, sine * scale, 4 + sine * scale), 2 - sine * scale
    )
    fine = quarter / 4 * _PERIOD
    coarse = (np.clip(ramp * scale, -1, 1) + 1) / 2 * (length - 1)
    return fine + _PERIOD * np.round((coarse - fine) / _PERIOD), strength


def _coloured_codes(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 (H, W, 3) that code x and y."""
    pictures = []
    for axis, length in ((1, shape[1]), (0, shape[0])):
        line = np.rint(127.5 + 127.5 * encode(length)).astype(np.uint8)
        line = line[None] if axis == 1 else line[:, None]
        pictures.append(np.ascontiguousarray(np.broadcast_to(line, (*shape, 3))))
    return tuple(pictures)


def _run_both(run: Run, picture: np.ndarray) -> np.ndarray:
    """What becomes of a code: the difference of its picture and the negative of that.

    Brightness, and padding of any colour, fall out of the difference; contrast scales it.
    """
    positive, negative = run(picture), run(255 - picture)
    if positive.shape != negative.shape:
        raise Unmeasurable('the transform draws otherwise for each picture')
    return (positive.astype(np.float32) - negative.astype(np.float32)) / 255


def _keeps_places(run: Run, image: np.ndarray) -> bool:
    """Whether black and white blocks stay what they are in comparison with their negative."""
    height, width = image.shape[:2]
    blocks = np.random.default_rng(0).random((height // _BLOCK + 1, width // _BLOCK + 1)) < 0.5
    pattern = blocks.repeat(_BLOCK, 0).repeat(_BLOCK, 1)[:height, :width]
    pattern = pattern if image.ndim == 2 else np.repeat(pattern[..., None], image.shape[2], 2)
    white = np.where(pattern, 255, 0).astype(np.uint8)
    positive, negative = run(white), run(255 - white)
    return (
        positive.shape == negative.shape == white.shape
        and np.array_equal(positive > negative, pattern)
        and np.array_equal(positive < negative, ~pattern)
    )
