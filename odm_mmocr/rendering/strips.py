"""A text as a flat, horizontal or stacked, picture of its glyphs."""

import unicodedata
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import cv2
import numpy as np

from .caching import memory_bounded
from .faults import Undrawable, UnusableText
from .fonts import VISIBLE_FORMATS, Font, FontChain, Glyph, clusters, shaping_available

MAX_CHARACTERS = 1000
# Before it is known how many of them show nothing: ordering marks takes the square of their number.
_MAX_RAW_CHARACTERS = 10 * MAX_CHARACTERS
MAX_STRIP_SIDE = 16384  # OpenCV warps no picture with a side beyond 32767

# Height of capitals, in pixels, from which on glyphs are drawn as they are. Lower ones are drawn
# larger and averaged: hinting and whole pixels would bend and shift them.
_FINE = 128
# Blank border of a strip as a fraction of its height. Annotators leave about as much, and it keeps
# the antialiased rim of the ink inside the polygon.
_MARGIN = 0.04
# Narrower than this fraction of its height, a word's ink does not tell how wide its polygon is
# drawn: "I", "1" and "." keep the white space that the font gives them at either side.
_NARROW = 0.35
# Blank between stacked characters as a fraction of their common height.
_STACK_GAP = 0.12
# Dashes, dots in a row and East Asian brackets run along a column of text as they do along a line.
_VARIATION_SELECTORS = (
    ('\u180b', '\u180d'),
    ('\ufe00', '\ufe0f'),
    ('\U000e0100', '\U000e01ef'),
)
_TURNED_IN_COLUMNS = frozenset('—―…‥ー～〜（）［］｛｝「」『』【】〖〗〈〉《》〔〕')


class PlacedGlyph(NamedTuple):
    """A character in a strip. Its mask is not kept, which would be beyond the bounds of the caches.

    Attributes:
        font, character, size: What :meth:`.fonts.Font.glyph` takes.
        x, y: Of the first pixel of its mask.
    """

    font: Font
    character: str
    size: int
    x: int
    y: int

    def draw(self) -> np.ndarray:
        """The mask: uint8 (h, w), 0 x 0 for a blank."""
        return self.font.glyph(self.character, self.size).mask


@dataclass(frozen=True, eq=False)
class Strip:
    """Glyphs of one word on a blank ground, tight to their ink but for a small margin.

    Coordinates are continuous: the strip reaches from (0, 0) to (width, height), and the centre of
    its first pixel is (0.5, 0.5).

    Attributes:
        text: The text as drawn: normalised by :func:`normalize_text`.
        mask: uint8 (h, w), ink from 0 to 255. Shared by all who ask for it: not to be written to.
        size: Height and width of the strip, float: of the last row and column of the mask it may
            be that only a part belongs to it.
        edges: float32 (C + 1,), borders of the cells of the C characters, rising: x of horizontal
            text, y of stacked text. Approximate in text that mixes directions.
        baseline: y of the baseline of horizontal text, which can lie outside the mask; the lower
            edge of stacked text.
        stacked: Whether the characters stand upright one below the other.
        leftward: Whether the text is read from right to left: the last cell is of its first
            character.
        glyphs: For each character what it is drawn with and where, at ``glyph_scale`` times the
            resolution of the strip. None of stacked text and of text that is shaped as a whole.
        glyph_scale: As ``glyphs`` says.
        reduced: Averages of the mask, by the numbers of pixels along and across, as
            :func:`.meshes.reduce` leaves them.
    """

    text: str
    mask: np.ndarray
    size: tuple[float, float]
    edges: np.ndarray
    baseline: float
    stacked: bool = False
    leftward: bool = False
    glyphs: tuple[PlacedGlyph, ...] | None = None
    glyph_scale: int = 1
    reduced: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)

    def character_quads(self) -> np.ndarray:
        """Cells of the characters: float32 (C, 4, 2), clockwise from the top left."""
        height, width = self.size
        quads = np.empty((len(self.edges) - 1, 4, 2), np.float32)
        along, across, extent = (1, 0, width) if self.stacked else (0, 1, height)
        first, last = self.edges[:-1, None], self.edges[1:, None]
        quads[..., along] = np.where((0, 0, 1, 1) if self.stacked else (0, 1, 1, 0), last, first)
        quads[..., across] = np.where((0, 1, 1, 0) if self.stacked else (0, 0, 1, 1), extent, 0)
        return quads[::-1] if self.leftward else quads


def normalize_text(text: str) -> str:
    """Text as it is drawn.

    Composes characters (Unicode NFC), drops marks that show nothing (variation selectors, byte
    order mark, soft hyphen, direction marks), makes one blank of any white space between words and
    none of that around them. Other control characters stay, and no font covers them.

    Raises:
        UnusableText: It has more than 10,000 characters.
    """
    if len(text) > _MAX_RAW_CHARACTERS:
        raise UnusableText(f'text of {len(text)} characters; at most {MAX_CHARACTERS} can be drawn')
    if text.isascii() and text.isprintable() and ' ' not in text:
        return text
    text = ''.join(' ' if c.isspace() else c for c in text if not _is_invisible(c))
    return unicodedata.normalize('NFC', ' '.join(text.split()))


def render_strip(text: str, fonts: FontChain, height: int, stacked: bool = False) -> Strip:
    """Draws a text, cached.

    The strip is tight to the ink of the whole word, as annotated polygons are, with a floor: ink
    lower than a small letter (of "-", "." or "'") is given the height of one, ink much narrower
    than high (of "I" or "1") the width that the font gives it.

    Args:
        text: Text of one line, of at most 1000 characters.
        fonts: Fonts to draw with.
        height: Height of capital letters, in pixels: the resolution. The strip's own height
            follows from the ink of the word: about 0.8 ("xxx") to 1.4 ("Äg") times that.
        stacked: Characters upright, one below the other, instead of side by side.

    Returns:
        The strip.

    Raises:
        UnusableText: The text is empty, too long or without ink, or has to be shaped and cannot be.
        UncoveredText: No font covers it.
    """
    return _render_strip(normalize_text(text), fonts, int(height), bool(stacked))


def _memory(strip: Strip) -> int:
    # Averages of the mask come later: half of it, as a rule, and another half at most.
    return 2 * strip.mask.nbytes + 300 * len(strip.edges) + 1024


@memory_bounded(144 * 2**20, size=_memory)
def _render_strip(text: str, fonts: FontChain, height: int, stacked: bool) -> Strip:
    if not text:
        raise UnusableText('an empty text cannot be drawn')
    if len(text) > MAX_CHARACTERS:
        raise UnusableText(f'text of {len(text)} characters; at most {MAX_CHARACTERS} can be drawn')
    # A character is rarely wider than 1.4 capitals are high.
    limit = max(1, MAX_STRIP_SIDE // (2 * len(text)))
    height = max(1, min(height, limit))
    halvings = 0
    while height << halvings < _FINE and height << (halvings + 1) <= limit:
        halvings += 1
    draw = _stack if stacked and len(text) > 1 else _line
    try:
        strip = draw(text, fonts, height << halvings, 1 << halvings)
    except Undrawable:
        raise
    except (ValueError, OSError) as error:  # from raqm, for joiners without letters
        if not _needs_shaping(text):
            raise
        raise UnusableText(f'{text!a} cannot be shaped: {error}') from error
    return _halve(strip, halvings)


def _line(text: str, fonts: FontChain, height: int, multiple: int) -> Strip:
    """Strip with a mask whose sides are multiples of some number of pixels."""
    placed: list[tuple[Glyph, int]] = []
    drawn: list[tuple[Font, str, int]] = []
    borders = [0.0]
    x_height = pen = 0.0
    shaped = _needs_shaping(text)
    leftward = shaped and _base_direction(text) == 'R'
    runs = fonts.runs(text)
    for font, run in _visual_order(runs, leftward) if shaped else runs:
        size = max(1, round(height / font.cap_height))
        x_height = max(x_height, font.x_height * size)
        if shaped:
            glyph = font.glyph(run, size, True)
            placed.append((glyph, round(pen)))
            face = font.at(size, True)
            ends = [face.getlength(run[: i + 1]) for i in range(len(run))]
            if _base_direction(run) == 'R':
                ends = [glyph.advance - end for end in (*ends[-2::-1], 0)]
            borders += [pen + end for end in ends]
            pen += glyph.advance
            continue
        previous = None
        for character in run:
            if previous is not None:
                kerning = font.kerning(previous, character) * size
                pen += kerning
                borders[-1] += kerning / 2
            placed.append((font.glyph(character, size), round(pen)))
            drawn.append((font, character, size))
            pen += font.advance(character) * size
            borders.append(pen)
            previous = character
    inked = [(glyph, x + glyph.left) for glyph, x in placed if glyph.mask.size]
    if not inked:
        raise UnusableText(f'{text!a} shows no ink in {[str(font) for font in fonts]}')

    left = min(x for _, x in inked)
    right = max(x + glyph.mask.shape[1] for glyph, x in inked)
    top = min(-glyph.top for glyph, _ in inked)
    bottom = max(glyph.mask.shape[0] - glyph.top for glyph, _ in inked)
    if bottom - top < 0.9 * x_height:
        top, bottom = min(top, -round(x_height)), max(bottom, 0)
    if right - left < _NARROW * (bottom - top):
        left, right = min(left, 0), max(right, round(pen))
    margin = max(1, round(_MARGIN * (bottom - top)))
    left, right, top, bottom = left - margin, right + margin, top - margin, bottom + margin

    mask = _blank(bottom - top, right - left, multiple)
    for glyph, x in inked:
        _paste(mask, glyph.mask, x - left, -glyph.top - top)
    glyphs = None
    if not shaped:
        glyphs = tuple(
            PlacedGlyph(*what, x + glyph.left - left, -glyph.top - top)
            for what, (glyph, x) in zip(drawn, placed)
        )
    edges = _edges(borders, -left, right - left)
    size = (float(bottom - top), float(right - left))
    return Strip(text, mask, size, edges, float(-top), leftward=leftward, glyphs=glyphs)


def _stack(text: str, fonts: FontChain, height: int, multiple: int) -> Strip:
    """Strip with a mask whose sides are multiples of some number of pixels."""
    shaped = _needs_shaping(text)
    glyphs = []
    lengths = []
    for font, run in fonts.runs(text):
        size = max(1, round(height / font.cap_height))
        for cluster in clusters(run):
            glyph = font.glyph(cluster, size, shaped)
            glyphs.append(_turned(glyph) if cluster in _TURNED_IN_COLUMNS else glyph)
            lengths.append(len(cluster))
    inked = [glyph for glyph in glyphs if glyph.mask.size]
    if not inked:
        raise UnusableText(f'{text!a} shows no ink in {[str(font) for font in fonts]}')

    ascent = max(glyph.top for glyph in inked)
    cell = ascent + max(glyph.mask.shape[0] - glyph.top for glyph in inked)
    width = max(max(glyph.mask.shape[1] for glyph in inked), round(_NARROW * cell))
    pitch = cell + round(_STACK_GAP * cell)
    margin = max(1, round(_MARGIN * width))
    borders = [-pitch / 2 + cell / 2]
    canvas = np.zeros((pitch * len(glyphs), width), np.uint8)
    for i, (glyph, length) in enumerate(zip(glyphs, lengths)):
        if glyph.mask.size:
            _paste(
                canvas,
                glyph.mask,
                (width - glyph.mask.shape[1]) // 2,
                i * pitch + ascent - glyph.top,
            )
        # A mark has no cell of its own.
        borders += [borders[-1] + pitch] * length
    rows = np.flatnonzero(canvas.any(1))
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    height, width = bottom - top + 2 * margin, width + 2 * margin
    mask = _blank(height, width, multiple)
    _paste(mask, canvas[top:bottom], margin, margin)
    edges = _edges(borders, margin - top, height)
    return Strip(text, mask, (float(height), float(width)), edges, float(height), True)


def _blank(height: int, width: int, multiple: int) -> np.ndarray:
    """A blank mask of at least this size whose sides can be divided."""
    return np.zeros((height + -height % multiple, width + -width % multiple), np.uint8)


def _turned(glyph: Glyph) -> Glyph:
    """A glyph turned clockwise by a quarter about its middle."""
    mask = np.rot90(glyph.mask, -1)
    return glyph._replace(mask=mask, top=glyph.top - (glyph.mask.shape[0] - mask.shape[0]) // 2)


def _halve(strip: Strip, times: int) -> Strip:
    """The same strip at a fraction of its resolution; its glyphs stay as they are."""
    if times == 0:
        return strip
    mask = strip.mask
    for _ in range(times):  # by two at a time, which OpenCV does fastest
        size = (mask.shape[1] // 2, mask.shape[0] // 2)
        mask = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    scale = 1 << times
    return replace(
        strip,
        mask=mask,
        size=(strip.size[0] / scale, strip.size[1] / scale),
        edges=strip.edges / np.float32(scale),
        baseline=strip.baseline / scale,
        glyph_scale=scale,
    )


def _paste(mask: np.ndarray, glyph: np.ndarray, x: int, y: int) -> None:
    region = mask[y : y + glyph.shape[0], x : x + glyph.shape[1]]
    np.maximum(region, glyph, out=region)


def _edges(borders: list[float], offset: float, end: int) -> np.ndarray:
    edges = np.clip(np.asarray(borders, np.float32) + offset, 0, end)
    edges[0], edges[-1] = 0, end
    return np.maximum.accumulate(edges)


def _needs_shaping(text: str) -> bool:
    """Whether characters of a text join, reorder or carry marks of their own."""
    if text.isascii() or not any(
        unicodedata.category(c) in ('Mn', 'Mc', 'Me', 'Cf')
        or unicodedata.bidirectional(c) in ('R', 'AL')
        for c in text
    ):
        return False
    if not shaping_available():
        raise UnusableText(
            f'{text!a} is of a script that has to be shaped, which this Pillow cannot do: '
            'install a Pillow with raqm and fribidi (the wheels on Linux have raqm)'
        )
    return True


def _base_direction(text: str) -> str:
    """'R' of a text that begins from the right, 'L' of others."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in ('R', 'AL'):
            return 'R'
        if direction == 'L':
            return 'L'
    return 'L'


def _visual_order(runs: list[tuple[Font, str]], leftward: bool) -> list[tuple[Font, str]]:
    """Runs of one font each as they stand from left to right.

    Rule L2 of the Unicode bidirectional algorithm, for whole runs; what is within a run is ordered
    where it is shaped.
    """
    levels = [1 if _base_direction(run) == 'R' else 2 * leftward for _, run in runs]
    order = list(range(len(runs)))
    for level in (2, 1):
        start = 0
        while start < len(order):
            end = start
            while end < len(order) and levels[order[end]] >= level:
                end += 1
            order[start:end] = order[start:end][::-1]
            start = max(end, start + 1)
    return [runs[i] for i in order]


def _is_invisible(character: str) -> bool:
    if unicodedata.category(character) == 'Cf':
        return character not in '\u200c\u200d' and character not in VISIBLE_FORMATS
    return any(first <= character <= last for first, last in _VARIATION_SELECTORS)
