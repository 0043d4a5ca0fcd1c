"""MMOCR's own detectors and recognisers as OCR engine."""

from collections.abc import Sequence

import numpy as np
from mmengine.registry import DefaultScope
from mmocr.apis import TextDetInferencer, TextRecInferencer

from .engines import MIN_SIDE, cut_out, enclosing_rectangle, order_by_reading
from .words import ReadWord


class MMOCREngine:
    """A text detector and a text recogniser of MMOCR, or of your own training.

    Each word is a rectangle around what the detector has found, which is cut out, turned level and
    read. Words whose rectangle is high and narrow are read downwards.

    Args:
        det: Config of the detector: a file, or a name that MMOCR knows, whose weights it downloads.
        rec: Likewise of the recogniser.
        det_weights: Checkpoint of the detector; None: that of the name.
        rec_weights: Likewise of the recogniser.
        device: Such as ``cpu`` or ``cuda:0``; None: a GPU where there is one.
        batch_size: Images that the networks take at once.

    Raises:
        FileNotFoundError: A config or a checkpoint is not there.
        ValueError: A name that MMOCR does not know.
    """

    def __init__(
        self,
        det: str,
        rec: str,
        det_weights: str | None = None,
        rec_weights: str | None = None,
        device: str | None = None,
        batch_size: int = 8,
    ):
        with DefaultScope.overwrite_default_scope('mmocr'):
            self._detector = TextDetInferencer(det, det_weights, device)
            self._recognizer = TextRecInferencer(rec, rec_weights, device)
        self.batch_size = batch_size

    def __call__(self, image: np.ndarray) -> list[ReadWord]:
        """Read an image, uint8 (H, W, 3) BGR."""
        return self.read_batch([image])[0]

    def read_batch(self, images: Sequence[np.ndarray]) -> list[list[ReadWord]]:
        """Read several images.

        Args:
            images: uint8 (H, W, 3), BGR.

        Returns:
            The words of each; those that the recogniser cannot read have an empty text and a score
            of 0.
        """
        found = self._run(self._detector, list(images))
        boxes, crops = [], []
        for image, prediction in zip(images, found, strict=True):
            corner = np.float32(image.shape[1::-1])
            kept = []
            for polygon, score in zip(prediction['polygons'], prediction['scores'], strict=True):
                box = enclosing_rectangle(np.float32(polygon).reshape(-1, 2))
                box = order_by_reading(box).clip(0, corner)
                sides = np.linalg.norm(box - np.roll(box, -1, axis=0), axis=1)
                if sides.min() >= MIN_SIDE:
                    kept.append((box, float(score)))
                    crops.append(cut_out(image, box))
            boxes.append(kept)
        readings = iter(self._run(self._recognizer, crops) if crops else [])
        words = []
        for kept in boxes:
            words.append([])
            for box, detection in kept:
                reading = next(readings)
                text = reading['text']
                score = float(np.clip(reading['scores'], 0, 1)) if text.strip() else 0.0
                words[-1].append(ReadWord(text, box, score, min(detection, 1.0)))
        return words

    def _run(self, inferencer: TextDetInferencer | TextRecInferencer, images: list) -> list[dict]:
        return inferencer(images, batch_size=self.batch_size, progress_bar=False)['predictions']
