"""Sheets of pictures: what the model sees, is told, should draw and draws."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from odm_mmocr.structures import ODMDataSample

from .drawing import text_width, write_lines

MARGIN = 8
LEGEND_SIZE = 14
COLOURS = dict(prompted=(20, 110, 40), dropped=(180, 30, 30), noise=(110, 110, 110))


def draw_sheet(titles: Sequence[str], rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Arrange pictures in a table with a title above each column.

    Args:
        titles: One for each column, or none at all.
        rows: Pictures uint8 (h, w) or (h, w, 3) BGR; all of one row are brought to the height of
            its first.

    Returns:
        uint8 (H, W, 3), BGR.
    """
    rows = [[_fit(picture, row[0].shape[0]) for picture in row] for row in rows]
    widths = [max(picture.shape[1] for picture in column) for column in zip(*rows, strict=True)]
    size = max(11, min(widths) // 12) if titles else 0
    lines = [np.full((2 * size, sum(widths) + MARGIN * (len(widths) + 1), 3), 255, np.uint8)]
    x = MARGIN
    for title, width in zip(titles, widths, strict=bool(titles)):
        write_lines(lines[0], (x, size // 3), [(title, (0, 0, 0))], size)
        x += width + MARGIN
    for row in rows:
        line = np.full((row[0].shape[0] + MARGIN, lines[0].shape[1], 3), 255, np.uint8)
        x = MARGIN
        for picture, width in zip(row, widths, strict=True):
            line[: picture.shape[0], x : x + picture.shape[1]] = picture
            x += width + MARGIN
        lines.append(line)
    return np.concatenate(lines)


def prediction_sheet(
    images: Sequence[np.ndarray],
    samples: Sequence[ODMDataSample],
    predictions: Mapping[str, Sequence[np.ndarray]],
) -> np.ndarray:
    """Show predictions beside image, prompt and target, one sample a row.

    The prompt is green where the image has the word and grey where it has not (noise); words of
    the image that are not prompted stand in red.

    Args:
        images: uint8 (H, W, 3), BGR, one for each sample.
        samples: With ``prompt``, ``gt_instances`` and ``gt_destylized``.
        predictions: For each title a picture of each sample, probability (H, W) from 0 to 1.

    Returns:
        uint8 (H', W', 3), BGR.
    """
    rows = []
    for index, (image, sample) in enumerate(zip(images, samples, strict=True)):
        height, width = image.shape[:2]
        target = sample.gt_destylized.label[0, :height, :width].cpu().numpy()
        drawn = [np.rint(255 * maps[index]).astype(np.uint8) for maps in predictions.values()]
        rows.append([image, prompt_panel(sample, image.shape[:2]), target, *drawn])
    return draw_sheet(['image', 'prompt', 'target', *predictions], rows)


def add_legend(
    sheet: np.ndarray, entries: Sequence[tuple[str, tuple[int, int, int]]]
) -> np.ndarray:
    """Set a line below a sheet that says what colours mean.

    Args:
        sheet: uint8 (H, W, 3), BGR.
        entries: (meaning, BGR colour).

    Returns:
        uint8 (H + 22, W, 3), BGR.
    """
    line = np.full((LEGEND_SIZE + MARGIN, sheet.shape[1], 3), 255, np.uint8)
    x = MARGIN
    for meaning, colour in entries:
        line[: LEGEND_SIZE + 2, x : x + LEGEND_SIZE] = 0
        line[1 : LEGEND_SIZE + 1, x + 1 : x + LEGEND_SIZE - 1] = colour
        x += LEGEND_SIZE + MARGIN // 2
        write_lines(line, (x, 0), [(meaning, (0, 0, 0))], LEGEND_SIZE)
        x += round(text_width(meaning, LEGEND_SIZE)) + 2 * MARGIN
    return np.concatenate((sheet, line))


def prompt_panel(sample: ODMDataSample, shape: tuple[int, int]) -> np.ndarray:
    """Write a sample's prompt, coloured as in :func:`prediction_sheet`: uint8 (*shape, 3), BGR."""
    prompt = sample.prompt
    lines = [
        (text, COLOURS['prompted' if shown else 'noise'])
        for text, shown in zip(prompt.texts, prompt.shown.tolist(), strict=False)
    ]
    lines += [(f'not: {text}', COLOURS['dropped']) for text in _dropped_texts(sample)]
    panel = np.full((*shape, 3), 255, np.uint8)
    size = max(9, min(shape[0] // 9, int(0.9 * shape[0] / max(1, len(lines)) / 1.3)))
    widest = max((text_width(text, size) for text, _ in lines), default=0)
    if widest > shape[1] - 4:
        size = max(9, int(size * (shape[1] - 4) / widest))
    write_lines(panel, (2, 2), lines, size)
    return panel


def _dropped_texts(sample: ODMDataSample) -> list[str]:
    if 'gt_instances' not in sample:
        return []
    instances = sample.gt_instances
    flags = zip(
        instances.texts, instances.ignored.tolist(), instances.prompted.tolist(), strict=True
    )
    return sorted({text for text, ignored, prompted in flags if text and not (ignored or prompted)})


def _fit(picture: np.ndarray, height: int) -> np.ndarray:
    if picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    if picture.shape[0] == height:
        return picture
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
