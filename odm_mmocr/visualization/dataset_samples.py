"""Pictures from a data set: images with their words, single words, pairs of images."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from odm_mmocr.datasets.annotation_files import AnnotatedImage, AnnotatedWord
from odm_mmocr.evaluation.dataset_images import Duplicate, choose_evenly, load_image
from odm_mmocr.evaluation.dataset_statistics import Extreme
from odm_mmocr.evaluation.text_heights import text_height
from odm_mmocr.rendering.fonts import FontSpec

from .annotations import draw_annotations
from .drawing import SHIFT, add_caption, draw_polygon, scale_picture, text_width, write_lines
from .plain_text import printable, shorten
from .sheets import MARGIN, add_legend, draw_sheet

# BGR, of polygons; bright, since they stand on photographs.
COLOURS = {'readable': (60, 230, 60), 'ignored': (190, 190, 190), 'rejected': (0, 150, 255)}
TILE = (560, 420)  # width and height in pixels that a sample fits into
CROP = (240, 110)
PAIR_HEIGHT = 160
GROUND = (238, 238, 238)  # around pictures that do not fill their cell
MAX_ENLARGED = 2.0
COLUMNS = 4
MAX_COORDINATE = 1e5  # pixels; what lies beyond is not drawn
LABEL_SIZE = 12
LABEL_LENGTH = 40  # characters
MARGIN_SHARE = 0.5  # of a crop's word, around it


class Tile(NamedTuple):
    """A picture of the report.

    Attributes:
        picture: uint8 (h, w, 3), BGR.
        caption: What it shows.
    """

    picture: np.ndarray
    caption: str


def draw_samples(
    images: Sequence[AnnotatedImage], num: int, seed: int = 0, fonts: FontSpec = None
) -> list[Tile]:
    """Draw images with their words.

    Args:
        images: To choose from.
        num: How many to choose, evenly.
        seed: Of the choice.
        fonts: For the texts.

    Returns:
        The pictures. Those that cannot be loaded are left out.
    """
    tiles = []
    for index in choose_evenly(len(images), num, seed):
        try:
            pixels = load_image(images[index])
        except (OSError, ValueError):
            continue
        words = images[index].words
        readable = sum(not word.ignored for word in words)
        caption = f'{images[index].source}: {readable} readable of {len(words)} words'
        tiles.append(Tile(draw_words(pixels, words, TILE, fonts), caption))
    return tiles


def draw_words(
    image: np.ndarray,
    words: Sequence[AnnotatedWord],
    size: tuple[int, int] = TILE,
    fonts: FontSpec = None,
) -> np.ndarray:
    """Draw the words of an image: polygon, text, score, and the filter that rejected one.

    Readable words are green with their text above, rejected ones orange, others that are ignored
    grey. A dot marks the first vertex. Where texts would cover each other, that of the higher word
    is written.

    Args:
        image: uint8 (H, W, 3), BGR.
        words: With polygons in its pixels.
        size: Width and height that the picture fits into. Small images are enlarged up to twofold.
        fonts: For the texts; what they lack is written as ``?``.

    Returns:
        uint8 (h, w, 3), BGR.
    """
    height, width = image.shape[:2]
    scale = min(size[0] / width, size[1] / height, MAX_ENLARGED)
    picture = scale_picture(image, (max(1, round(scale * height)), max(1, round(scale * width))))
    picture = picture.copy()
    scales = np.array(picture.shape[1::-1]) / (width, height)
    shown = [
        word
        for word in words
        if len(word.polygon) > 2 and np.abs(word.polygon).max() < MAX_COORDINATE
    ]
    shown.sort(key=lambda word: (not word.ignored, text_height(word.polygon)))
    for word in shown:
        _outline(picture, word.polygon * scales, COLOURS[_role(word)])
    written: list[tuple[int, int, int, int]] = []
    for word in reversed(shown):
        if label := _label_text(word):
            colour = COLOURS[_role(word)]
            _write_label(picture, word.polygon * scales, label, colour, written, fonts)
    return picture


def draw_crops(extremes: Sequence[Extreme]) -> list[Tile | None]:
    """Draw single words with what stands around them.

    Args:
        extremes: The words.

    Returns:
        A picture for each; None where the image cannot be loaded or the polygon is absurd.
    """
    tiles: list[Tile | None] = []
    for image, word, _ in extremes:
        try:
            pixels = load_image(image)
        except (OSError, ValueError):
            pixels = None
        if pixels is None or not np.abs(word.polygon).max() < MAX_COORDINATE:
            tiles.append(None)
            continue
        (left, top), (right, bottom) = word.polygon.min(0), word.polygon.max(0)
        margin = max(8.0, MARGIN_SHARE * (bottom - top))
        region = (left - margin, top - margin, right + margin, bottom + margin)
        picture = draw_annotations(pixels, [word.polygon], [''], region, CROP)
        tiles.append(Tile(picture, f'{word.text} ({image.source}, {word.place})'))
    return tiles


def draw_pairs(duplicates: Sequence[Duplicate]) -> list[Tile]:
    """Draw images beside those that they repeat; pairs that cannot be loaded are left out."""
    tiles = []
    for image, first, distance in duplicates:
        try:
            pictures = [load_image(one) for one in (first, image)]
        except (OSError, ValueError):
            continue
        pair = [
            scale_picture(p, (PAIR_HEIGHT, max(1, round(PAIR_HEIGHT * p.shape[1] / p.shape[0]))))
            for p in pictures
        ]
        gap = np.full((PAIR_HEIGHT, MARGIN, 3), 255, np.uint8)
        caption = f'{first.source} and {image.source}: {distance} of 64 bits differ'
        tiles.append(Tile(np.concatenate((pair[0], gap, pair[1]), 1), caption))
    return tiles


def samples_page(tiles: Sequence[Tile]) -> np.ndarray:
    """Arrange samples on one page with captions and a legend.

    Args:
        tiles: Of :func:`draw_samples`, at least one.

    Returns:
        uint8 (H, W, 3), BGR.
    """
    columns = min(COLUMNS, len(tiles))
    rows = []
    for start in range(0, len(tiles), columns):
        row = tiles[start : start + columns]
        height = max(len(tile.picture) for tile in row)
        cells = [_frame(tile, height) for tile in row]
        rows.append(cells + [np.full_like(cells[0], 255)] * (columns - len(cells)))
    return add_legend(draw_sheet([], rows), list(COLOURS.items()))


def _frame(tile: Tile, height: int) -> np.ndarray:
    below, beside = height - len(tile.picture), TILE[0] - tile.picture.shape[1]
    border = (below // 2, below - below // 2, beside // 2, beside - beside // 2)
    framed = cv2.copyMakeBorder(tile.picture, *border, cv2.BORDER_CONSTANT, value=GROUND)
    return add_caption(framed, printable(tile.caption))


def _role(word: AnnotatedWord) -> str:
    if not word.ignored:
        return 'readable'
    return 'rejected' if word.rejected else 'ignored'


def _label_text(word: AnnotatedWord) -> str:
    """What is written at a word: nothing of those that were ignored without a filter."""
    if _role(word) == 'ignored':
        return ''
    parts = [shorten(printable(word.text), LABEL_LENGTH)]
    if word.score is not None:
        parts.append(f'{word.score:.2f}')
    if word.ignored:
        parts.append(shorten(printable(word.rejected), LABEL_LENGTH))
    return ' '.join(parts)


def _outline(picture: np.ndarray, points: np.ndarray, colour: tuple[int, int, int]) -> None:
    start = (np.clip(points[0], -1e4, 1e4) * 2**SHIFT).round().astype(int).tolist()
    # A dark seam, so that it shows on bright ground as well.
    for ink, width, radius in (((0, 0, 0), 2, 3), (colour, 1, 2)):
        draw_polygon(picture, points, ink, width)
        cv2.circle(picture, start, radius << SHIFT, ink, -1, cv2.LINE_AA, SHIFT)


def _write_label(
    picture: np.ndarray,
    points: np.ndarray,
    text: str,
    colour: tuple[int, int, int],
    written: list[tuple[int, int, int, int]],
    fonts: FontSpec,
) -> None:
    """Writes a text above a polygon, or below where there is no room, if that place is free."""
    width, height = round(text_width(text, LABEL_SIZE, fonts)) + 4, LABEL_SIZE + 4
    rows, columns = picture.shape[:2]
    points = np.clip(points, -1e4, 1e4)
    x = int(min(max(points[:, 0].min(), 0), max(columns - width, 0)))
    for y in (int(points[:, 1].min()) - height - 2, int(points[:, 1].max()) + 3):
        if not 0 <= y <= rows - height:
            continue
        if any(
            x < right and x + width > left and y < bottom and y + height > top
            for left, top, right, bottom in written
        ):
            continue
        label = np.full((height, width, 3), 20, np.uint8)
        write_lines(label, (2, 1), [(text, colour[::-1])], LABEL_SIZE, fonts)
        part = picture[y : y + height, x : x + width]
        part[...] = label[: part.shape[0], : part.shape[1]]
        written.append((x, y, x + width, y + height))
        return
