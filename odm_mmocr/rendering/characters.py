"""Each glyph into the box of its own character, where a data set has such boxes."""

from collections.abc import Iterator

import cv2
import numpy as np

from .faults import UnusableCharacters
from .meshes import MAX_COORDINATE, MIN_EXTENT, Ribbon, is_convex, rectangle_to_quad, reduce
from .strips import Strip

# How much wider than the other letters of its word one may become to fill its box: an "i" of a
# scene in which all letters are equally wide would else become a beam.
_MAX_WIDENING = 1.5
# Spread of the glyphs' heights, as logarithms, from which on boxes that follow them are told from
# boxes that differ because of perspective.
_UNLIKE = 0.06
# Of a ribbon's height: how near to its sides cells begin and end.
_NEAR_RIM = 0.15
# Of the mean width of a cell along a curve: what is narrower is out of order.
_LEAST_CELL = 0.05
_LEAST_SIDE = 0.1  # pixels
# Blank pixels around a glyph, for its soft rim.
_PADDING = 2


def check_quads(quads: np.ndarray | None, text: str) -> np.ndarray:
    """Character boxes of a word, one for each character of a text.

    Args:
        quads: (C, 4, 2) corners, clockwise from the top left of each character, in pixels. Of the
            blanks of the text, all or none have a box.
        text: The word.

    Returns:
        float64 (C, 4, 2); boxes of blanks are nan where there were none.

    Raises:
        UnusableCharacters: The shape or number of the boxes does not fit, or one of them is no
            convex box that is read clockwise.
    """
    quads = np.asarray(quads, np.float64)
    if quads.size % 8:
        raise UnusableCharacters(f'character boxes of {quads.size} numbers; expected 8 for each')
    quads = quads.reshape(-1, 4, 2)
    inked = [character != ' ' for character in text]
    if len(quads) == len(text):
        quads = quads.copy()
    elif len(quads) == sum(inked):
        spread = np.full((len(text), 4, 2), np.nan)
        spread[inked] = quads
        quads = spread
    else:
        raise UnusableCharacters(f'{len(quads)} character boxes for the {len(text)} of {text!a}')
    for i in np.flatnonzero(inked):
        if not np.abs(quads[i]).max() <= MAX_COORDINATE:  # also true for NaN
            raise UnusableCharacters(f'box of character {i} of {text!a} is not finite or too far')
        if not is_convex(quads[i]):
            raise UnusableCharacters(
                f'box of character {i} of {text!a} is not convex or not clockwise'
            )
    return quads


def mean_size(quads: np.ndarray) -> tuple[float, float]:
    """Mean width and height of boxes (C, 4, 2), in pixels; those that are nan do not count.

    Raises:
        UnusableCharacters: They are smaller than a pixel, or one of them than a tenth of one.
    """
    sides = np.array(_sides(quads))
    width, height = np.nanmean(sides, 1)
    least = np.nanmin(sides)
    if not min(width, height) >= MIN_EXTENT or least < _LEAST_SIDE:
        raise UnusableCharacters(
            f'character boxes of {width:.2g} x {height:.2g} pixels on average, of {least:.2g} at '
            'least'
        )
    return float(width), float(height)


def spread_strip(strip: Strip, quads: np.ndarray, ribbon: Ribbon) -> np.ndarray | None:
    """Spaces a strip so that each glyph falls into its box when it is warped along a curve.

    Args:
        strip: A strip with glyphs.
        quads: Boxes as :func:`check_quads` returns them.
        ribbon: Curved: of more than 4 points.

    Returns:
        uint8 mask of the shape of the strip's; None where the boxes are no cells that follow each
        other along the ribbon from its upper to its lower side.
    """
    if np.isnan(quads).any():
        return None
    corners = ribbon.locate(quads.reshape(-1, 2)).reshape(-1, 4, 2)
    along, across = corners[..., 0], corners[..., 1]
    high, low = across[:, :2].max(), across[:, 2:].min()
    if not (high < _NEAR_RIM and low > 1 - _NEAR_RIM):  # also where some are nan
        return None
    first, last = along[:, [0, 3]].mean(1), along[:, [1, 2]].mean(1)
    borders = np.concatenate((first[:1], (first[1:] + last[:-1]) / 2, last[-1:]))
    if (np.diff(borders) < _LEAST_CELL / len(borders)).any():
        return None
    height, width = strip.mask.shape
    places = (np.arange(width) + 0.5) / strip.size[1]
    columns = np.interp(places, np.clip(borders, 0, 1), strip.edges).astype(np.float32)
    source = np.broadcast_to(columns - 0.5, (height, width))
    rows = np.broadcast_to(np.arange(height, dtype=np.float32)[:, None], (height, width))
    return cv2.remap(strip.mask, source, rows, cv2.INTER_LINEAR)


def warp_characters(
    strip: Strip, quads: np.ndarray, shape: tuple[int, int]
) -> Iterator[tuple[np.ndarray, tuple[int, int]]]:
    """Warps each glyph of a strip into the box of its character.

    Data sets box their characters in two ways: cells of one height, side by side as in
    :meth:`.strips.Strip.character_quads`, or boxes tight to the ink of each. Which it is shows in
    the heights: they are alike, or follow the heights of the glyphs.

    Args:
        strip: A strip with glyphs.
        quads: Boxes as :func:`check_quads` returns them.
        shape: Height and width of the image, in pixels.

    Yields:
        As :func:`.meshes.warp_strip` returns them: the patch of a character, and where it goes.
    """
    glyphs = [(place.draw(), place.x, place.y) for place in strip.glyphs]
    inked = np.array([mask.size > 0 for mask, _, _ in glyphs])
    quads = quads[inked]
    glyphs = [glyph for glyph, ok in zip(glyphs, inked) if ok]
    inks = np.array([(x, y, x + m.shape[1], y + m.shape[0]) for m, x, y in glyphs], np.float64)
    inks /= strip.glyph_scale
    boxes = _source_boxes(strip, inks, inked, quads)
    widths, heights = _sides(quads)
    scale_x = widths / (boxes[:, 2] - boxes[:, 0])
    scale_y = heights / (boxes[:, 3] - boxes[:, 1])
    widening = scale_x / scale_y
    spare = np.maximum(widening / (_MAX_WIDENING * np.median(widening)), 1) - 1
    spare *= (boxes[:, 2] - boxes[:, 0]) / 2
    boxes[:, 0] -= spare
    boxes[:, 2] += spare

    for (mask, x, y), box, quad, ink in zip(glyphs, boxes, quads, inks):
        homography = rectangle_to_quad(quad[:2], quad[[3, 2]], box[2] - box[0], box[3] - box[1])
        homography = homography @ ((1, 0, -box[0]), (0, 1, -box[1]), (0, 0, 1))
        corners = ink[[[0, 1], [2, 1], [2, 3], [0, 3]]]
        reached = cv2.perspectiveTransform(corners[None], homography)[0]
        x0, y0 = np.maximum(np.floor(reached.min(0)), 0).astype(int).tolist()
        x1, y1 = np.minimum(np.ceil(reached.max(0)) + 1, shape[::-1]).astype(int).tolist()
        if x0 >= x1 or y0 >= y1:
            continue
        length, height = _sides(reached[None])
        padded = cv2.copyMakeBorder(mask, *[_PADDING] * 4, cv2.BORDER_CONSTANT, value=0)
        share = 1 + 2 * _PADDING / np.array(mask.shape)
        reduced, reach = reduce(padded, padded.shape, length[0] * share[1], height[0] * share[0])
        finer_x, finer_y = padded.shape[1] / reach[0], padded.shape[0] / reach[1]
        to_strip = (
            (finer_x, 0, x - _PADDING + finer_x / 2),
            (0, finer_y, y - _PADDING + finer_y / 2),
        )
        homography = homography @ (*np.array(to_strip) / strip.glyph_scale, (0, 0, 1))
        homography = np.array(((1, 0, -x0), (0, 1, -y0), (0, 0, 1))) @ homography
        size = (x1 - x0, y1 - y0)
        yield cv2.warpPerspective(reduced, homography, size, flags=cv2.INTER_LINEAR), (x0, y0)


def _source_boxes(
    strip: Strip, inks: np.ndarray, inked: np.ndarray, quads: np.ndarray
) -> np.ndarray:
    """What of the strip the boxes hold, x0, y0, x1, y1 each: cells, or no more than the ink."""
    glyphs, boxes = np.log(inks[:, 3] - inks[:, 1]), np.log(_sides(quads)[1])
    glyphs -= glyphs.mean()
    if glyphs.std() > _UNLIKE and glyphs @ boxes > 0.5 * (glyphs @ glyphs):
        return inks
    cells = np.empty((len(inked), 4))
    cells[:, 0], cells[:, 2] = strip.edges[:-1], strip.edges[1:]
    cells[:, 1], cells[:, 3] = 0, strip.size[0]
    return cells[inked]


def _sides(quads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean width and mean height of each box (C, 4, 2)."""
    sides = np.roll(quads, -1, axis=1) - quads
    lengths = np.hypot(sides[..., 0], sides[..., 1])
    return (lengths[:, 0] + lengths[:, 2]) / 2, (lengths[:, 1] + lengths[:, 3]) / 2
