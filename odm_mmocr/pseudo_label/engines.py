"""OCR engines behind one small interface."""

import math
from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np

from .words import ReadWord

INSTALL = 'install the extra: pip install "odm_mmocr[pseudo]"'
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
HEIGHT = 48  # pixels, at which the recogniser reads
# Least and most width of its input: short words need not be padded further (on words of ICDAR 2015
# 48 to 480 pixels read the same share), long lines are squeezed.
_MIN_WIDTH, _MAX_WIDTH = 160, 4000
_BATCH_AREA = 6 * 320 * HEIGHT  # pixels at once


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
        try:
            from rapidocr import RapidOCR
        except ImportError as error:
            raise ImportError(
                f'RapidOCREngine needs the package {error.name}; {INSTALL}'
            ) from error
        _check_device(device)
        cores = -1 if threads is None else threads
        onnxruntime = 'EngineConfig.onnxruntime'
        engine = RapidOCR(
            params={
                'Global.log_level': 'error',
                f'{onnxruntime}.intra_op_num_threads': cores,
                f'{onnxruntime}.inter_op_num_threads': cores,
                f'{onnxruntime}.use_cuda': device == 'cuda',
                'Det.limit_side_len': 1,  # images are resized here
            }
        )
        self._detector = engine._load_det_model()
        self._classifier = engine._load_cls_model()
        self._recognizer = engine._load_rec_model()
        self._characters = self._recognizer.postprocess_op.character
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
        if not crops:
            return []
        turns = self._classifier(crops).cls_res
        threshold = self._classifier.cls_thresh
        lines = []
        for index, (turn, certainty) in enumerate(turns):
            # As the classifier does: a picture is turned only where it is sure.
            if '180' in turn and certainty > threshold:
                crops[index] = cv2.rotate(crops[index], cv2.ROTATE_180)
                boxes[index] = np.roll(boxes[index], -2, axis=0)
        readings = self._recognize(crops)
        for box, certainty, reading in zip(boxes, certainties, readings, strict=True):
            text, centers, scores = reading
            score = min(float(scores.mean()), 1.0) if text.strip() else 0.0
            if score >= self.min_score:
                box, centers = _narrow(box, centers, *self.margins)
                lines.append(ReadWord(text, box, score, certainty, centers, scores))
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

    def _recognize(self, crops: list[np.ndarray]) -> list[tuple]:
        """Text of each picture, and of its characters the places, 0 to 1 or None, and scores."""
        widths = [_width(crop) for crop in crops]
        readings: list = [None] * len(crops)
        for batch in _batches(widths):
            width = max(_MIN_WIDTH, *(widths[i] for i in batch))
            pictures = np.stack([_prepare(crops[i], widths[i], width) for i in batch])
            for i, probabilities in zip(batch, self._recognizer.session(pictures), strict=True):
                readings[i] = self._decode(probabilities, width / widths[i])
        return readings

    def _decode(self, probabilities: np.ndarray, padding: float) -> tuple:
        """Greedy decoding of CTC: one character of each run of the same one, but for the blank."""
        best = probabilities.argmax(1)
        starts = np.flatnonzero(np.diff(best, prepend=-1))
        ends = np.append(starts[1:], len(best))
        runs = [(a, b) for a, b in zip(starts, ends) if best[a] != 0]
        text = ''.join(self._characters[best[a]] for a, _ in runs)
        scores = np.array([probabilities[a, best[a]] for a, _ in runs], np.float64)
        centers = np.array([(a + b) / 2 for a, b in runs]) * padding / len(best)
        # Where letters are narrower than its steps, it goes on into the padding: no places then.
        beyond = len(runs) and centers.max() > 1 + padding / len(best)
        return text, None if beyond else centers.clip(0, 1), scores


def order_by_reading(box: np.ndarray) -> np.ndarray:
    """Let a high and narrow box start at its upper right corner: it is read downwards.

    Args:
        box: (4, 2), from the upper left corner of the image clockwise.
    """
    width, height = _sides(box)
    return np.roll(box, -1, axis=0) if height >= UPRIGHT * width else box


def _check_device(device: str) -> None:
    if device not in ('cpu', 'cuda'):
        raise ValueError(f"device must be 'cpu' or 'cuda', not {device!r}")
    if device == 'cuda':
        import onnxruntime

        if 'CUDAExecutionProvider' not in onnxruntime.get_available_providers():
            raise ValueError(
                "device='cuda': the installed onnxruntime runs on the CPU only; install "
                'onnxruntime-gpu in its place'
            )


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


def _width(crop: np.ndarray) -> int:
    """Of a picture at the height at which it is read."""
    height, width = crop.shape[:2]
    return min(max(1, math.ceil(HEIGHT * width / height)), _MAX_WIDTH)


def _batches(widths: Sequence[int]) -> list[list[int]]:
    """Pictures of similar widths together."""
    batches: list[list[int]] = []
    for index in sorted(range(len(widths)), key=lambda i: widths[i]):
        width = max(_MIN_WIDTH, widths[index])
        if batches and (len(batches[-1]) + 1) * width * HEIGHT <= _BATCH_AREA:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def _prepare(crop: np.ndarray, width: int, padded_width: int) -> np.ndarray:
    """float32 (3, 48, padded width), -1 to 1; the padding is 0."""
    picture = np.zeros((3, HEIGHT, padded_width), np.float32)
    resized = cv2.resize(crop, (width, HEIGHT)).astype(np.float32)
    picture[:, :, :width] = resized.transpose(2, 0, 1) / 127.5 - 1
    return picture
