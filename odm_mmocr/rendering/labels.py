"""Destylized labels: every word in one uniform font, where it stands in the scene."""

import math
import unicodedata
from bisect import bisect_left
from collections.abc import Sequence

import cv2
import numpy as np

from .characters import check_quads, mean_size, spread_strip, warp_characters
from .faults import Undrawable, UnusableCharacters, UnusablePolygon
from .fonts import FontChain, FontSpec, load_fonts
from .meshes import MAX_COORDINATE, MAX_POINTS, Ribbon
from .strips import Strip, normalize_text, render_strip

# How many pixels of a strip an image pixel should have at least: enough for crisp edges, and so few
# that most strips are warped as they are.
_OVERSAMPLING = 1.25
# Heights of capitals, in pixels, at which strips are drawn: few, so that strips are found again in
# their cache whatever the size of the polygon, and powers of two, so that they are made from the
# same glyphs.
_RESOLUTIONS = (8, 16, 32, 64, 128, 256, 512)
# From this height over length on, a polygon is asked whether its text runs along its short side:
# in ICDAR 2015 words above it hardly ever do, most of those below it do.
_TALL = 1.66
# fillPoly takes coordinates in units of 1 / 16 pixel.
_FILL_SHIFT = 4


def render_label(
    polygons: Sequence[np.ndarray],
    texts: Sequence[str],
    shape: tuple[int, int],
    fonts: FontSpec = None,
    character_quads: Sequence[np.ndarray | None] | None = None,
) -> np.ndarray:
    """Draws the destylized label of a scene.

    Args:
        polygons: N polygons in pixels, flat or (k, 2), k even: the first half of the points along
            the top of the word in reading direction, the second half back along its bottom.
            4 points are drawn in perspective, more along the curve.
        texts: The N words.
        shape: Height and width of the label, in pixels.
        fonts: As :func:`load_fonts` takes them.
        character_quads: For each word None or the boxes of its characters, (C, 4, 2), clockwise
            from the top left of each: every glyph is then drawn into its own. None: no word has
            any.

    Returns:
        uint8 ``shape``, antialiased ink from 0 to 255. Words that cannot be drawn are left out;
        :func:`render_words` tells which.

    Raises:
        FileNotFoundError, ValueError, TypeError: As :func:`render_words`.
    """
    return render_words(polygons, texts, shape, fonts, character_quads)[0]


def render_words(
    polygons: Sequence[np.ndarray],
    texts: Sequence[str],
    shape: tuple[int, int],
    fonts: FontSpec = None,
    character_quads: Sequence[np.ndarray | None] | None = None,
) -> tuple[np.ndarray, list[Undrawable | UnusableCharacters | None]]:
    """Draws the destylized label of a scene and says which words are not in it, and why.

    The result does not depend on the order of the words: where they overlap, the stronger ink
    stands.

    Args:
        polygons, texts, shape, fonts, character_quads: As :func:`render_label`.

    Returns:
        The label, uint8 ``shape``, and N faults: None for a word that is drawn, be it in part or
        wholly outside the image; :class:`UnusableCharacters` for one that is drawn along its
        polygon because its character boxes do not fit; else an :class:`Undrawable`
        (:class:`UncoveredText`, :class:`UnusableText`, :class:`UnusablePolygon`), whose message
        says what is wrong.

    Raises:
        FileNotFoundError: A font file does not exist.
        ValueError: The numbers of polygons, texts and lists of character boxes differ, or a font
            file is none.
    """
    if len(polygons) != len(texts):
        raise ValueError(f'{len(polygons)} polygons but {len(texts)} texts; expected one each')
    if character_quads is None:
        character_quads = [None] * len(texts)
    elif len(character_quads) != len(texts):
        raise ValueError(
            f'{len(character_quads)} lists of character boxes but {len(texts)} texts; expected one '
            'each'
        )
    chain = load_fonts(fonts)
    label = np.zeros(shape, np.uint8)
    faults: list[Undrawable | UnusableCharacters | None] = [None] * len(texts)
    for i, (polygon, text, quads) in enumerate(zip(polygons, texts, character_quads)):
        try:
            if quads is not None and _draw_characters(label, text, polygon, quads, chain):
                continue
        except UnusableCharacters as fault:
            faults[i] = fault
        except Undrawable as fault:
            faults[i] = fault
            continue
        try:
            strip, ribbon = fit_text(text, polygon, chain)
            _paste(label, *ribbon.warp(strip.mask, shape, strip.size, strip.reduced))
        except Undrawable as fault:
            faults[i] = fault
    return label, faults


def fill_polygons(polygons: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Marks every pixel that a polygon touches.

    Args:
        polygons: Polygons in pixels, flat or (k, 2), of any number of points. Of one with points
            that are missing or not finite the hull of the others is marked, of more than 1024
            points the hull of all, of two points their bounding box.
        shape: Height and width, in pixels.

    Returns:
        bool ``shape``.
    """
    filled = np.zeros(shape, np.uint8)
    flat = [_fillable(np.asarray(polygon, np.float64).ravel()) for polygon in polygons]
    flat = [points for points in flat if points.size]
    if not flat:
        return filled.view(bool)
    points = np.clip(np.concatenate(flat), -MAX_COORDINATE, MAX_COORDINATE)
    points = np.rint(points * 2**_FILL_SHIFT).astype(np.int32).reshape(-1, 2)
    start = 0
    for corners in flat:
        end = start + corners.size // 2
        cv2.fillPoly(filled, [points[start:end]], 1, shift=_FILL_SHIFT)
        start = end
    return filled.view(bool)


def _fillable(points: np.ndarray) -> np.ndarray:
    """The polygon itself, or what is known of the place of one that is none; flat."""
    few = points.size <= 2 * MAX_POINTS
    if few and points.size >= 6 and points.size % 2 == 0 and np.isfinite(points).all():
        return points
    points = points[: points.size // 2 * 2].reshape(-1, 2)
    points = points[np.isfinite(points).all(1)]
    if len(points) > 2:
        points = np.clip(points, -MAX_COORDINATE, MAX_COORDINATE)
        return cv2.convexHull(points.astype(np.float32)).ravel().astype(np.float64)
    if len(points) == 0:
        return points.ravel()
    (left, top), (right, bottom) = points.min(0), points.max(0)
    return np.array((left, top, right, top, right, bottom, left, bottom))


def fit_text(text: str, polygon: np.ndarray, fonts: FontChain) -> tuple[Strip, Ribbon]:
    """Chooses the strip that is to be warped into a polygon, and which side of that it starts at.

    Text runs along the first half of the points. Much higher than long, a polygon holds either
    stacked letters or text turned by a quarter, whose vertices start at a corner of the image
    rather than of the text, as in ICDAR 2015 and MTWI. Where the polygon leads down the image, wide
    characters, as of Chinese, are taken to be stacked. All else is turned, and reads from top to
    bottom, or from left to right. Nothing in an annotation tells whether turned text reads upwards:
    in ICDAR 2015 half of it does. Nor do proportions tell stacked Latin letters: of 9 words that
    they fit better than turned ones, and that can be read in the image, 7 are turned.

    Args:
        text: The word.
        polygon: Its polygon, in pixels.
        fonts: Fonts to draw with.

    Returns:
        The strip, of a resolution that is enough for the polygon, and the polygon as the text runs
        through it.

    Raises:
        Undrawable: The text or the polygon is unusable.
    """
    ribbon = Ribbon.from_polygon(polygon)
    length, height = ribbon.length, ribbon.height
    if height > _TALL * length:
        strip = render_strip(text, fonts, _resolution(length))
        if len(strip.text) > 1 and _misfit(strip, height, length) < _misfit(strip, length, height):
            right, down = ribbon.bottom.mean(0) - ribbon.top.mean(0)
            leads_down = down > abs(right) / 2
            curved = len(ribbon.top) > 2
            if _is_wide(strip.text) and (leads_down or curved):
                resolution = _resolution(height / len(strip.text))
                return render_strip(text, fonts, resolution, True), ribbon
            if not curved:
                # Of two opposite directions that from steeply up to the right to down to the left.
                return strip, ribbon.turned(1 if 1.5 * right + down > 0 else -1)
    return render_strip(text, fonts, _resolution(height)), ribbon


def _draw_characters(
    label: np.ndarray, text: str, polygon: np.ndarray, quads: np.ndarray, fonts: FontChain
) -> bool:
    """Draws each glyph into its own box; not, and returns False, where there are none or they join.

    Boxes that follow each other along a curved polygon bend with it.
    """
    text = normalize_text(text)
    if not text or np.size(quads) == 0:
        return False
    quads = check_quads(quads, text)
    strip = render_strip(text, fonts, _resolution(mean_size(quads)[1]))
    if strip.glyphs is None:
        return False
    if np.size(polygon) > 8:
        try:
            ribbon = Ribbon.from_polygon(polygon)
            mask = spread_strip(strip, quads, ribbon)
            if mask is not None:
                _paste(label, *ribbon.warp(mask, label.shape, strip.size))
                return True
        except UnusablePolygon:
            pass  # the boxes alone will do
    for patch, corner in warp_characters(strip, quads, label.shape):
        _paste(label, patch, corner)
    return True


def _paste(label: np.ndarray, patch: np.ndarray, corner: tuple[int, int]) -> None:
    if patch.size:
        x, y = corner
        region = label[y : y + patch.shape[0], x : x + patch.shape[1]]
        np.maximum(region, patch, out=region)


def _resolution(height: float) -> int:
    place = bisect_left(_RESOLUTIONS, _OVERSAMPLING * height)
    return _RESOLUTIONS[min(place, len(_RESOLUTIONS) - 1)]


def _misfit(strip: Strip, length: float, height: float) -> float:
    """By which factor, as a logarithm, a strip would be stretched more one way than the other."""
    natural = strip.size[1] / strip.size[0]
    return abs(math.log(max(length, 1e-3) / max(height, 1e-3) / natural))


def _is_wide(text: str) -> bool:
    wide = sum(unicodedata.east_asian_width(character) in 'WF' for character in text)
    return 2 * wide > len(text)
