"""Pictures of lines, cut out by whatever detector, to text: PP-OCR's recogniser alone."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from rapidocr import RapidOCR

INSTALL = 'install the extra: pip install "odm_mmocr[pseudo]"'
HEIGHT = 48  # pixels, at which the recogniser reads
# Least and most width of its input: short words need not be padded further (on words of ICDAR 2015
# 48 to 480 pixels read the same share), long lines are squeezed.
_MIN_WIDTH, _MAX_WIDTH = 160, 4000
_BATCH_AREA = 6 * 320 * HEIGHT  # pixels at once


class ReadLine(NamedTuple):
    """What a picture reads.

    Attributes:
        text: Its characters; empty where nothing is read.
        score: Mean certainty of its characters, 0 to 1; 0 where all are blank.
        centers: float64 (characters,), their places along the picture, 0 to 1; None where they
            stand too densely to tell.
        certainties: float64 (characters,), how sure the recogniser is of each, 0 to 1.
        turned: Whether the picture was upside down, and read after it was turned.
    """

    text: str
    score: float
    centers: np.ndarray | None
    certainties: np.ndarray
    turned: bool


def load_rapidocr(threads: int | None = None, device: str = 'cpu') -> 'RapidOCR':
    """Make the engine of the package rapidocr, which loads each of its networks when it is asked.

    Args:
        threads: Cores that it may use; None: all.
        device: ``cpu``, or ``cuda`` with the package onnxruntime-gpu.

    Raises:
        ImportError: A package of the extra ``pseudo`` is missing.
        ValueError: The device is not there.
    """
    try:
        from rapidocr import RapidOCR
    except ImportError as error:
        raise ImportError(f'PP-OCRv6 needs the package {error.name}; {INSTALL}') from error
    _check_device(device)
    cores = -1 if threads is None else threads
    onnxruntime = 'EngineConfig.onnxruntime'
    return RapidOCR(
        params={
            'Global.log_level': 'error',
            f'{onnxruntime}.intra_op_num_threads': cores,
            f'{onnxruntime}.inter_op_num_threads': cores,
            f'{onnxruntime}.use_cuda': device == 'cuda',
            'Det.limit_side_len': 1,  # images are resized before
        }
    )


class LineReader:
    """PP-OCRv6's recogniser (small), after its classifier has found what is upside down.

    Args:
        engine: Of :func:`load_rapidocr`.
        turn: Whether to look for what is upside down; now and then an upright word is taken for
            it ("you" reads "noh").
    """

    def __init__(self, engine: 'RapidOCR', turn: bool = True):
        self._classifier = engine._load_cls_model() if turn else None
        self._recognizer = engine._load_rec_model()
        self._characters = self._recognizer.postprocess_op.character

    def __call__(self, crops: Sequence[np.ndarray]) -> list[ReadLine]:
        """Read pictures.

        Args:
            crops: uint8 (h, w, 3) BGR, of any size of at least one pixel, each one line of text,
                level.
        """
        if not crops:
            return []
        turned = self._upside_down(crops)
        crops = [
            cv2.rotate(crop, cv2.ROTATE_180) if turn else crop
            for crop, turn in zip(crops, turned, strict=True)
        ]
        lines = []
        for (text, centers, scores), turn in zip(self._recognize(crops), turned, strict=True):
            score = min(float(scores.mean()), 1.0) if text.strip() else 0.0
            lines.append(ReadLine(text, score, centers, scores, turn))
        return lines

    def _upside_down(self, crops: Sequence[np.ndarray]) -> list[bool]:
        if self._classifier is None:
            return [False] * len(crops)
        threshold = self._classifier.cls_thresh
        return [
            # As the classifier does: a picture is turned only where it is sure.
            '180' in turn and certainty > threshold
            for turn, certainty in self._classifier(list(crops)).cls_res
        ]

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
