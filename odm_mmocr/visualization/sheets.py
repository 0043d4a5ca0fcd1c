"""Sheets of pictures: what the model sees, is told, should draw and draws."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw

from odm_mmocr.rendering import load_fonts
from odm_mmocr.rendering.fonts import FontSpec
from odm_mmocr.structures import ODMDataSample

MARGIN = 8
COLOURS = dict(prompted=(20, 110, 40), dropped=(180, 30, 30), noise=(110, 110, 110))


def draw_sheet(titles: Sequence[str], rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Arrange pictures in a table with a title above each column.

    Args:
        titles: One for each column.
        rows: Pictures uint8 (h, w) or (h, w, 3) BGR; all of one row are brought to the height of
            its first.

    Returns:
        uint8 (H, W, 3), BGR.
    """
    rows = [[_fit(picture, row[0].shape[0]) for picture in row] for row in rows]
    widths = [max(row[c].shape[1] for row in rows) for c in range(len(titles))]
    size = max(11, min(widths) // 12)
    lines = [np.full((2 * size, sum(widths) + MARGIN * (len(widths) + 1), 3), 255, np.uint8)]
    x = MARGIN
    for title, width in zip(titles, widths, strict=True):
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


def prompt_panel(sample: ODMDataSample, shape: tuple[int, int]) -> np.ndarray:
    """Write a sample's prompt, coloured as in :func:`prediction_sheet`: uint8 (*shape, 3), BGR."""
    prompt, instances = sample.prompt, sample.gt_instances
    lines = [
        (text, COLOURS['prompted' if shown else 'noise'])
        for text, shown in zip(prompt.texts, prompt.shown.tolist(), strict=False)
    ]
    dropped = {
        text
        for text, ignored, prompted in zip(
            instances.texts, instances.ignored.tolist(), instances.prompted.tolist(), strict=True
        )
        if text and not ignored and not prompted
    }
    lines += [(f'not: {text}', COLOURS['dropped']) for text in sorted(dropped)]
    panel = np.full((*shape, 3), 255, np.uint8)
    size = max(9, min(shape[0] // 9, int(0.9 * shape[0] / max(1, len(lines)) / 1.3)))
    write_lines(panel, (2, 2), lines, size)
    return panel


def write_lines(
    picture: np.ndarray,
    place: tuple[int, int],
    lines: Sequence[tuple[str, tuple[int, int, int]]],
    size: int,
    fonts: FontSpec = None,
) -> None:
    """Write lines of (text, RGB colour) into a BGR picture, in place; '?' for what no font has."""
    chain = load_fonts(fonts)
    canvas = Image.fromarray(picture[..., ::-1])
    draw = ImageDraw.Draw(canvas)
    x, y = place
    for text, colour in lines:
        start = x
        drawable = ''.join(c if chain.covers(c) else '?' for c in text)
        for font, run in chain.runs(drawable):
            face = font.at(size)
            draw.text((start, y), run, font=face, fill=colour)
            start += face.getlength(run)
        y += int(1.3 * size)
    picture[...] = np.asarray(canvas)[..., ::-1]


def _fit(picture: np.ndarray, height: int) -> np.ndarray:
    if picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    if picture.shape[0] == height:
        return picture
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
