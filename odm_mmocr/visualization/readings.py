"""Pictures of words whose label or image reads otherwise than annotated."""

import cv2
import numpy as np

from odm_mmocr.evaluation.read_back import LaidOut, WordCheck, draw_alone, lay_out
from odm_mmocr.image_files import read_image
from odm_mmocr.rendering import FontChain, Undrawable, load_fonts
from odm_mmocr.rendering.fonts import FontSpec, default_font_path

from .annotations import draw_annotations
from .drawing import write_lines

READING_COLUMNS = ('image', 'label', 'laid out flat', 'text and reading')
TILE = (300, 150)  # pixels
CONTEXT = 0.3  # of the picture of a word, around it
TEXT_SIZE = 15
GROUND = 235  # grey around pictures that do not fill their tile
BLACK, GREEN, RED, GREY = (0, 0, 0), (20, 110, 40), (180, 30, 30), (110, 110, 110)


def reading_row(check: WordCheck, fonts: FontSpec = None) -> list[np.ndarray]:
    """Draw a checked word: in its image, as label, laid out flat, and what is read.

    Args:
        check: The word. Where its image is not there, or of another size, it is left grey.
        fonts: With which the labels are drawn. They also write the text; what they do not cover is
            written with DejaVu Sans.

    Returns:
        A picture, uint8 (150, 300, 3) BGR, for each of :data:`READING_COLUMNS`.
    """
    chain = load_fonts(fonts)
    polygon, shape = check.word.polygon, check.image.shape
    try:
        image = read_image(check.image.path)
    except (OSError, ValueError):
        image = None
    if image is None or image.shape[:2] != shape:
        image = np.full((*shape, 3), GROUND, np.uint8)
    try:
        drawn = draw_alone(polygon, check.word.text, shape, chain)
    except Undrawable:
        drawn = None
    label = np.zeros(shape, np.uint8)
    if drawn is not None:
        drawn.cut(label)[:] = drawn.label
    finite = len(polygon) > 2 and np.isfinite(polygon).all()
    region = _around(polygon) if finite else None
    return [
        draw_annotations(image, [polygon] if finite else [], [''], region, TILE),
        draw_annotations(label, [], [], region, TILE),
        _flat_tile(image, drawn),
        _text_tile(check, chain),
    ]


def _around(polygon: np.ndarray) -> tuple[float, float, float, float]:
    (left, top), (right, bottom) = polygon.min(0), polygon.max(0)
    margin = max(8.0, CONTEXT * max((right - left) * TILE[1] / TILE[0], bottom - top))
    return left - margin, top - margin, right + margin, bottom + margin


def _flat_tile(image: np.ndarray, drawn: LaidOut | None) -> np.ndarray:
    tile = np.full((TILE[1], TILE[0], 3), GROUND, np.uint8)
    if drawn is None:
        return tile
    half = TILE[1] // 2
    for y, flat in enumerate((lay_out(drawn.cut(image), drawn.strip, drawn.ribbon), drawn.flat())):
        factor = min(TILE[0] / flat.shape[1], (half - 4) / flat.shape[0])
        size = tuple(max(1, int(factor * side)) for side in flat.shape[1::-1])
        flat = cv2.resize(flat, size, interpolation=cv2.INTER_AREA)
        flat = cv2.cvtColor(flat, cv2.COLOR_GRAY2BGR) if flat.ndim == 2 else flat
        tile[y * half : y * half + size[1], : size[0]] = flat
    return tile


def _text_tile(check: WordCheck, chain: FontChain) -> np.ndarray:
    lines = [(check.word.text, BLACK)]
    if check.read:
        colour = GREEN if check.distance == 0 else RED
        lines.append((f'label: {check.read}  {check.score:.2f}', colour))
    if check.scene_read:
        lines.append((f'image: {check.scene_read}  {check.scene_score:.2f}', BLACK))
    lines += [(reason, RED) for reason in (check.cause, check.doubt) if reason]
    lines.append((f'{check.image.source}, {check.word.place}', GREY))
    chain = load_fonts([*chain, default_font_path()])
    tile = np.full((TILE[1], TILE[0], 3), 255, np.uint8)
    wrapped = [(part, colour) for text, colour in lines for part in _wrap(text, chain)]
    write_lines(tile, (2, 2), wrapped, TEXT_SIZE, chain)
    return tile


def _wrap(text: str, chain: FontChain) -> list[str]:
    """Breaks a text, at most twice, where it fills the tile; the rest is left out."""
    face = next(iter(chain)).at(TEXT_SIZE)
    parts = ['']
    for character in text:
        if face.getlength(parts[-1] + character) > TILE[0] - 4:
            if len(parts) == 3:
                parts[-1] = parts[-1][:-1] + '…'
                break
            parts.append('')
        parts[-1] += character
    return parts
