"""OCR engines behind one small interface."""

import math
from typing import Protocol

import cv2
import numpy as np

from .line_reader import LineReader, load_rapidocr
from .words import ReadWord

# RapidOCR's own values: the score of a line, the shorter and the longer side for the detector.
MIN_SCORE = 0.5
SHORTER_SIDE = 736
LONGER_SIDE = 2000
# By how much PP-OCR's boxes stand out around their text, at its ends and above and below, as shares
# of their height: what fits the words of ICDAR 2015 best (their mean IoU .63 without, .75 with).
MARGINS = (0.05, 0.14)
STRIDE = 32  # pixels, of the detector
# From this ratio of height to width on PP-OCR takes a box for a line from top to bottom.
UPRIGHT = 1.5
MIN_SIDE = 2  # pixels, of a box that can be cut out
# Most ratio of longer to shorter side; thinner images, in which the detector finds little, are
# padded.
THIN = 15


class OCREngine(Protocol):
    """Any function from an image, uint8 (H, W, 3) BGR, to the words or lines in it, in any order.

    One that reads several images at once more quickly may have a method ``read_batch`` besides,
    from a list of images to the list of what is in each.
    """

    def __call__(self, image: np.ndarray) -> list[ReadWord]: ...


class RapidOCREngine:
    """PP-OCRv6 (small) from the package rapidocr, which carries its weights.

    Reads Chinese, Latin letters and digits, 18,709 characters in all. It returns lines with the
    places of their characters, unless these stand too densely to tell.

    Args:
        threads: Cores that it may use; None: all.
        min_score: Lines read with a lower score are left out, 0 to 1; at 0 those stay too in which
            nothing could be read, with an empty text.
        shorter_side: Smaller images are enlarged for the detector until their shorter side has so
            many pixels, or their longer one ``longer_side``. More finds smaller words, at a cost
            that grows with the square.
        longer_side: Larger images are shrunk for the detector to so many pixels. Words are read at
            full size.
        margins: What its boxes are narrowed by at each end, and above and below, as shares of their
            height, each 0 to 0.4; words are read with their margins.
        device: ``cpu``, or ``cuda`` with the package onnxruntime-gpu.

    Raises:
        ImportError: A package of the extra ``pseudo`` is missing.
        ValueError: A setting is out of range, or the device is not there.
    """

    def __init__(
        self,
        threads: int | None = None,
        min_score: float = MIN_SCORE,
        shorter_side: int = SHORTER_SIDE,
        longer_side: int = LONGER_SIDE,
        margins: tuple[float, float] = MARGINS,
        device: str = 'cpu',
    ):
        if not 0 < shorter_side <= longer_side:
            raise ValueError(
                f'shorter_side ({shorter_side}) must be above 0 and at most longer_side '
                f'({longer_side})'
            )
        if len(margins) != 2 or not all(0 <= margin <= 0.4 for margin in margins):
            raise ValueError(f'margins={margins!r}: expected two shares from 0 to 0.4')
        engine = load_rapidocr(threads, device)
        self._detector = engine._load_det_model()
        self._reader = LineReader(engine)
        self.min_score = min_score
        self.shorter_side = shorter_side
        self.longer_side = longer_side
        self.margins = tuple(margins)

    def __call__(self, image: np.ndarray) -> list[ReadWord]:
        """Read an image.

        Thin ones are padded first; words that are small beside the longer side are not found.

        Args:
            image: uint8 (H, W, 3), BGR.

        Returns:
            Its lines, from top to bottom, their polygons within the image.
        """
        boxes, certainties = self._detect(image)
        crops = [cut_out(image, box) for box in boxes]
        lines = []
        for box, certainty, line in zip(boxes, certainties, self._reader(crops), strict=True):
            if line.score >= self.min_score:
                box = np.roll(box, -2, axis=0) if line.turned else box
                box, centers = _narrow(box, line.centers, *self.margins)
                lines.append(
                    ReadWord(line.text, box, line.score, certainty, centers, line.certainties)
                )
        return lines

    def _detect(self, image: np.ndarray) -> tuple[list[np.ndarray], list[float]]:
        """Boxes, float32 (4, 2) in reading order, from top to bottom, and how sure they are."""
        corner = np.float32(image.shape[1::-1])
        padded = _pad_thin(image)
        resized = _resize(padded, self.shorter_side, self.longer_side)
        detector = self._detector
        # Its own call sorts the boxes but not their scores.
        outputs = detector.session(detector.get_preprocess()(resized))
        boxes, scores = detector.postprocess_op(outputs, resized.shape[:2])
        factor = np.float32(padded.shape[1::-1]) / np.float32(resized.shape[1::-1])
        found = [
            (order_by_reading((np.float32(box) * factor).clip(0, corner)), float(score))
            for box, score in zip(boxes, scores)
        ]
        found = [(box, score) for box, score in found if min(_sides(box)) >= MIN_SIDE]
        found.sort(key=lambda item: (item[0][:, 1].min(), item[0][:, 0].min()))
        return [box for box, _ in found], [score for _, score in found]


def order_by_reading(box: np.ndarray) -> np.ndarray:
    """Let a high and narrow box start at its upper right corner: it is read downwards.

    Args:
        box: (4, 2), from the upper left corner of the image clockwise.
    """
    width, height = _sides(box)
    return np.roll(box, -1, axis=0) if height >= UPRIGHT * width else box


def from_upper_left(box: np.ndarray) -> np.ndarray:
    """Let a box start at its upper left corner: the edge that runs most to the right is the top.

    Args:
        box: (4, 2), convex, clockwise from any corner.
    """
    edges = np.roll(box, -1, axis=0) - box
    return np.roll(box, -int(np.argmax(edges[:, 0])), axis=0)


def enclosing_rectangle(polygon: np.ndarray) -> np.ndarray:
    """The least rectangle around a polygon, float32 (4, 2), from its upper left corner clockwise.

    Args:
        polygon: float32 (n, 2).
    """
    return from_upper_left(cv2.boxPoints(cv2.minAreaRect(polygon)))


def _pad_thin(image: np.ndarray) -> np.ndarray:
    """Adds black to a thin image at right or bottom, so that places stay the same."""
    height, width = image.shape[:2]
    longer, shorter = max(height, width), min(height, width)
    if longer <= THIN * shorter:
        return image
    side = math.ceil(longer / THIN)
    below, right = max(0, side - height), max(0, side - width)
    return cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT)


def _resize(image: np.ndarray, shorter_side: int, longer_side: int) -> np.ndarray:
    height, width = image.shape[:2]
    most = longer_side / max(height, width)
    factor = min(most, max(1.0, shorter_side / min(height, width)))
    # To multiples of its stride, or it would resize them once more.
    size = tuple(max(1, round(side * factor / STRIDE)) * STRIDE for side in (width, height))
    if size == (width, height):
        return image
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)


def _sides(box: np.ndarray) -> tuple[float, float]:
    """Longer of the two widths and of the two heights, in pixels."""
    lengths = np.linalg.norm(box - np.roll(box, -1, axis=0), axis=1)
    return max(lengths[0], lengths[2]), max(lengths[1], lengths[3])


def _narrow(
    box: np.ndarray, centers: np.ndarray | None, ends: float, sides: float
) -> tuple[np.ndarray, np.ndarray | None]:
    """Takes the margins off a box, and off the places of the characters along it."""
    along = (box[1] - box[0] + box[2] - box[3]) / 2
    across = (box[3] - box[0] + box[2] - box[1]) / 2
    # Of a single narrow letter most is left.
    share = min(ends * float(np.linalg.norm(across) / np.linalg.norm(along)), 0.2)
    right, down = share * along, sides * across
    narrowed = box + np.stack((right + down, down - right, -right - down, right - down))
    if centers is not None:
        centers = ((centers - share) / (1 - 2 * share)).clip(0, 1)
    return np.float32(narrowed), centers


def cut_out(image: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Cut a line out of an image and turn it level.

    Args:
        image: uint8 (H, W, 3).
        line: float32 (4, 2), its corners in reading order, pixels; sides of at least one.

    Returns:
        uint8 (h, w, 3), as large as it is in the image.
    """
    width, height = (int(side) for side in _sides(line))
    corners = np.float32([(0, 0), (width, 0), (width, height), (0, height)])
    return cv2.warpPerspective(
        image,
        cv2.getPerspectiveTransform(line, corners),
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
