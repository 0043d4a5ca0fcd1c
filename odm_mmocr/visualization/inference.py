"""A prediction as one picture: image, ink over it, map, and where each word was looked for."""

from collections.abc import Sequence

import cv2
import numpy as np

from .attention import attention_overlay, ink_overlay
from .sheets import draw_sheet

COLUMNS = 6
MAX_WORDS = 21  # with the three columns before them, four lines
MIN_SIDE = 256  # pixels; smaller images are enlarged, so that titles have room


def draw_prediction(
    image: np.ndarray,
    probability: np.ndarray,
    words: Sequence[tuple[str, float]],
    attention: np.ndarray,
    padded_size: tuple[int, int],
    threshold: float = 0.5,
) -> np.ndarray:
    """Draw a prediction.

    Args:
        image: uint8 (H, W, 3), BGR, as the network saw it.
        probability: (H, W), 0 to 1, of ink.
        words: Text and score of each word. Of many, those with the highest scores are shown.
        attention: (words, rows, columns), 0 to 1.
        padded_size: Height and width that the cells of ``attention`` cover, in pixels.
        threshold: Ink below it is not laid over the image.

    Returns:
        uint8 (H', W', 3), BGR.
    """
    factor = max(1, round(MIN_SIDE / max(image.shape[:2])))
    size = (factor * image.shape[1], factor * image.shape[0])
    image, probability = (
        cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
        for picture in (image, probability)
    )
    padded = tuple(factor * side for side in padded_size)
    ink = np.where(probability >= threshold, probability, 0)
    panels = [
        ('image', image),
        (f'ink, from {threshold:g}', ink_overlay(image, ink)),
        ('map', np.rint(255 * probability).astype(np.uint8)),
    ]
    shown = sorted(range(len(words)), key=lambda i: -words[i][1])[:MAX_WORDS]
    for index in sorted(shown):
        text, score = words[index]
        panels.append((f'{text} {score:.2f}', attention_overlay(image, attention[index], padded)))
    lines = [panels[start : start + COLUMNS] for start in range(0, len(panels), COLUMNS)]
    sheets = [draw_sheet([title for title, _ in line], [[p for _, p in line]]) for line in lines]
    width = max(sheet.shape[1] for sheet in sheets)
    return np.concatenate(
        [
            cv2.copyMakeBorder(
                sheet, 0, 0, 0, width - sheet.shape[1], cv2.BORDER_CONSTANT, value=(255,) * 3
            )
            for sheet in sheets
        ]
    )
