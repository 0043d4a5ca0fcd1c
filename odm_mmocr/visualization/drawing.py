"""What pictures are made of: outlines, lines of text, captions, tiles."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw

from odm_mmocr.rendering import FontChain, load_fonts
from odm_mmocr.rendering.fonts import FontSpec

CAPTION_SIZE = 13
SHIFT = 4  # OpenCV then takes coordinates in units of 1 / 16 pixel


def draw_polygon(
    picture: np.ndarray, points: np.ndarray, colour: tuple[int, int, int], thickness: int = 1
) -> None:
    """Outline a polygon, in place.

    Args:
        picture: uint8 (H, W, 3).
        points: (k, 2), pixels, also far outside the picture.
        colour: In the picture's order of channels.
        thickness: Of the line, pixels.
    """
    corners = np.clip(points, -1e4, 1e4) * 2**SHIFT
    corners = [corners.round().astype(np.int32)]
    cv2.polylines(picture, corners, True, colour, thickness, cv2.LINE_AA, SHIFT)


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
        for face, run in _runs(text, size, chain):
            draw.text((start, y), run, font=face, fill=colour)
            start += face.getlength(run)
        y += int(1.3 * size)
    picture[...] = np.asarray(canvas)[..., ::-1]


def text_width(text: str, size: int, fonts: FontSpec = None) -> float:
    """Width in pixels that :func:`write_lines` takes for a text."""
    return sum(face.getlength(run) for face, run in _runs(text, size, load_fonts(fonts)))


def add_caption(
    picture: np.ndarray, text: str, colour: tuple[int, int, int] = (0, 0, 0)
) -> np.ndarray:
    """Set a line of text above a picture; of a longer one the end, which tells files apart.

    Args:
        picture: uint8 (H, W, 3), BGR.
        text: The caption.
        colour: RGB.

    Returns:
        uint8 (H + 19, W, 3), BGR.
    """
    band = np.full((round(1.5 * CAPTION_SIZE), picture.shape[1], 3), 255, np.uint8)
    shown = text
    while text_width(shown, CAPTION_SIZE) > band.shape[1] - 4 and len(shown) > 1:
        text = text[1:]
        shown = f'…{text}'
    write_lines(band, (2, 2), [(shown, colour)], CAPTION_SIZE)
    return np.concatenate((band, picture))


def scale_picture(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring a picture to a size: averaged where it gets smaller, in hard pixels where larger.

    Args:
        picture: uint8 (H, W) or (H, W, 3).
        size: Height and width.

    Returns:
        uint8 (*size, 3).
    """
    if picture.shape[:2] != tuple(size):
        way = cv2.INTER_AREA if size[0] < picture.shape[0] else cv2.INTER_NEAREST
        picture = cv2.resize(picture, size[::-1], interpolation=way)
    return cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if picture.ndim == 2 else picture


def _runs(text: str, size: int, chain: FontChain) -> Iterator[tuple]:
    drawable = ''.join(c if chain.covers(c) else '?' for c in text)
    for font, run in chain.runs(drawable):
        yield font.at(size), run
