"""OCR engines behind one small interface."""

import math
import re
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

INSTALL = 'install the extra: pip install "odm_mmocr[ppocr]"'
# RapidOCR's own value, on the score of a line.
MIN_SCORE = 0.5
# From this ratio of height to width on RapidOCR takes a box for a line from top to bottom.
UPRIGHT = 1.5
MIN_SIDE = 2  # pixels, of a box that can be cut out
# RapidOCR shrinks images to 2000 pixels, and fails where less than 17 of the other side are left.
# Of thin upright ones the detector takes gigabytes.
THIN = 30  # ratio of longer to shorter side; above it, images are padded
PADDED = 8  # the ratio that padded images have


@dataclass(frozen=True)
class ReadWord:
    """A word that an engine has read.

    Attributes:
        text: Without blanks.
        polygon: float32 (4, 2), pixels: upper left, upper right, lower right and lower left corner
            as one reads the word.
        score: How sure the engine is, 0 to 1.
    """

    text: str
    polygon: np.ndarray
    score: float


class OCREngine(Protocol):
    """Any function from an image, uint8 (H, W, 3) BGR, to the words in it, in any order."""

    def __call__(self, image: np.ndarray) -> list[ReadWord]: ...


class RapidOCREngine:
    """PP-OCRv4 from the package rapidocr-onnxruntime, which carries its weights.

    Reads Chinese, Latin letters and digits. Lines are split into words at blanks.

    Args:
        threads: Cores that it may use; None: all.
        min_score: Lines read with a lower score are left out, 0 to 1.

    Raises:
        ImportError: A package of the extra ``ppocr`` is missing.
    """

    def __init__(self, threads: int | None = None, min_score: float = MIN_SCORE):
        try:
            from rapidocr_onnxruntime import RapidOCR
        except ImportError as error:
            raise ImportError(
                f'RapidOCREngine needs the package {error.name}; {INSTALL}'
            ) from error
        cores = -1 if threads is None else threads
        self._engine = RapidOCR(intra_op_num_threads=cores, inter_op_num_threads=cores)
        self.min_score = min_score

    def __call__(self, image: np.ndarray) -> list[ReadWord]:
        """Read an image.

        Thin ones are padded first; words that are small beside the longer side are not found.

        Args:
            image: uint8 (H, W, 3), BGR.

        Returns:
            The words of its lines, from top to bottom, their polygons within the image.
        """
        boxes, _ = self._engine(_pad_thin(image), use_det=True, use_cls=False, use_rec=False)
        corner = np.float32(image.shape[1::-1])
        lines = [order_by_reading(np.float32(box).clip(0, corner)) for box in boxes or []]
        lines = [line for line in lines if min(_sides(line)) >= MIN_SIDE]
        if not lines:
            return []
        crops, turns, _ = self._engine.text_cls([_cut_out(image, line) for line in lines])
        readings, _ = self._engine.text_rec(crops)
        threshold = self._engine.text_cls.cls_thresh
        words = []
        for line, (turn, certainty), (text, score) in zip(lines, turns, readings, strict=True):
            if score >= self.min_score:
                # As the classifier does: it turns a picture only where it is sure.
                upside_down = turn == '180' and certainty > threshold
                polygon = np.roll(line, -2, axis=0) if upside_down else line
                words += split_line(text, polygon, float(score))
        return words


def split_line(text: str, polygon: np.ndarray, score: float) -> list[ReadWord]:
    """Split a line into words at its blanks; all characters count as equally wide.

    Args:
        text: Of the line.
        polygon: (4, 2), corners of the line in reading order, as :class:`ReadWord` has them.
        score: Of the line, which each of its words gets.

    Returns:
        The words, none for a blank line.
    """
    text = text.strip()
    upper_left, upper_right, lower_right, lower_left = np.asarray(polygon, np.float32)
    words = []
    for match in re.finditer(r'\S+', text):
        start, end = match.start() / len(text), match.end() / len(text)
        corners = [
            upper_left + start * (upper_right - upper_left),
            upper_left + end * (upper_right - upper_left),
            lower_left + end * (lower_right - lower_left),
            lower_left + start * (lower_right - lower_left),
        ]
        words.append(ReadWord(match[0], np.stack(corners), score))
    return words


def order_by_reading(box: np.ndarray) -> np.ndarray:
    """Let a high and narrow box start at its upper right corner: it is read downwards.

    Args:
        box: (4, 2), from the upper left corner of the image clockwise.
    """
    width, height = _sides(box)
    return np.roll(box, -1, axis=0) if height >= UPRIGHT * width else box


def _pad_thin(image: np.ndarray) -> np.ndarray:
    """Continues the edges of a thin image at right or bottom, so that places stay the same."""
    height, width = image.shape[:2]
    longer, shorter = max(height, width), min(height, width)
    if longer <= THIN * shorter:
        return image
    side = math.ceil(longer / PADDED)
    below, right = max(0, side - height), max(0, side - width)
    return cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)


def _sides(box: np.ndarray) -> tuple[float, float]:
    """Longer of the two widths and of the two heights, in pixels."""
    lengths = np.linalg.norm(box - np.roll(box, -1, axis=0), axis=1)
    return max(lengths[0], lengths[2]), max(lengths[1], lengths[3])


def _cut_out(image: np.ndarray, line: np.ndarray) -> np.ndarray:
    width, height = (int(side) for side in _sides(line))
    corners = np.float32([(0, 0), (width, 0), (width, height), (0, height)])
    return cv2.warpPerspective(
        image,
        cv2.getPerspectiveTransform(line, corners),
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
