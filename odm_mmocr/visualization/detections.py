"""What detectors find, beside each other: right, wrong and missed."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from odm_mmocr.evaluation.end_to_end import Overlaps, match_words

from .drawing import add_caption, draw_polygon
from .sheets import add_legend, draw_sheet

# BGR: a word that is found, a detection at none, a word that is not found, what does not count.
COLOURS = dict(found=(60, 200, 0), false=(0, 0, 255), missed=(0, 190, 255), ignored=(170, 170, 170))
Detections = Sequence[tuple[np.ndarray, float]]


def draw_detections(
    image: np.ndarray,
    words: Sequence[np.ndarray],
    ignored: Sequence[bool],
    detections: Detections,
    threshold: float = 0.5,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Outline what a detector has found in an image, and what it has missed.

    Pairs are those of :func:`odm_mmocr.evaluation.end_to_end.match_words`.

    Args:
        image: uint8 (H, W, 3), BGR.
        words: Polygons of the ground truth, (k, 2), pixels.
        ignored: Which of them do not count.
        detections: Polygon (k, 2) and score, 0 to 1, of each.
        threshold: Least score of those that are drawn.
        size: Width and height of the picture; None: those of the image.

    Returns:
        uint8 (size, 3), BGR, with a line above that counts.
    """
    height, width = image.shape[:2]
    size = size or (width, height)
    scale = np.divide(size, (width, height))
    kept = [(polygon, score) for polygon, score in detections if score >= threshold]
    ignored = np.array(ignored, bool)
    matches = match_words(
        Overlaps.of(words, [polygon for polygon, _ in kept]), ignored, [s for _, s in kept]
    )
    picture = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    missed = [i for i in np.flatnonzero(~ignored) if i not in matches.words]
    for index in missed:
        draw_polygon(picture, words[index] * scale, COLOURS['missed'], 2)
    roles = [
        'ignored' if aside else 'found' if word >= 0 else 'false'
        for word, aside in zip(matches.words, matches.ignored)
    ]
    for (polygon, _), role in zip(kept, roles):
        draw_polygon(picture, polygon * scale, COLOURS[role], 2)
    count = int((~ignored).sum())
    said = f'{roles.count("found")} of {count} words found, {roles.count("false")} false'
    return add_caption(picture, said)


def detection_sheet(
    images: Sequence[np.ndarray],
    truths: Sequence[tuple[Sequence[np.ndarray], Sequence[bool]]],
    detections: Mapping[str, Sequence[Detections]],
    threshold: float = 0.5,
    width: int = 480,
) -> np.ndarray:
    """Show images in rows and detectors in columns.

    Args:
        images: uint8 (H, W, 3), BGR.
        truths: Polygons and which of them do not count, for each image.
        detections: From the title of a detector to what it has found in each image.
        threshold: Least score of those that are drawn.
        width: Of each picture, in pixels.

    Returns:
        uint8 (H', W', 3), BGR, with a legend.
    """
    rows = []
    for index, (image, (words, ignored)) in enumerate(zip(images, truths, strict=True)):
        size = width, max(1, round(image.shape[0] * width / image.shape[1]))
        rows.append(
            [
                draw_detections(image, words, ignored, found[index], threshold, size)
                for found in detections.values()
            ]
        )
    return add_legend(draw_sheet(list(detections), rows), list(COLOURS.items()))
