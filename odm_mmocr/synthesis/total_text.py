"""Ground truth in the format of Total-Text: polygons of few points, orientations, text files."""

import numpy as np

from odm_mmocr.rendering.meshes import split_polygon

DONT_CARE = '#'  # text and orientation of words that do not count
BOW = 0.1  # of the height; a side that leaves its chord by more makes a word curved
LEVEL = np.deg2rad(10)  # words that rise or fall by more are multi-oriented
SLACK = 0.06  # of the height, by which a polygon of fewer points may leave the exact one
# MMOCR parses a line as YAML, in which these end a value.
SEPARATORS = ',?[]{}'


def thin_out(polygon: np.ndarray) -> np.ndarray:
    """Draw a polygon with as few points as an annotator would take.

    Args:
        polygon: (2n, 2) in pixels; the first half along the top of the text, the second half back
            along its bottom.

    Returns:
        (2m, 2) of the same order, m from 2 to n: the least with which neither side leaves its
        exact course by more than 0.06 of the height, or half a pixel.
    """
    sides = np.stack((split_polygon(polygon)), 1).astype(np.float64)  # (n, 2 sides, 2)
    slack = max(SLACK * _height(polygon), 0.5)
    exact = np.arange(len(sides))
    for count in range(2, len(sides) + 1):
        places = np.linspace(0, len(sides) - 1, count)
        thin = _sample(sides, places)
        off = _sample(thin, exact / (len(sides) - 1) * (count - 1)) - sides
        if np.hypot(*off.T).max() <= slack:
            break
    return np.concatenate((thin[:, 0], thin[::-1, 1]))


def _sample(sides: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Points (len(places), 2, 2) at fractional indices of two polylines."""
    low = np.minimum(places.astype(int), len(sides) - 2)
    share = (places - low)[:, None, None]
    return (1 - share) * sides[low] + share * sides[low + 1]


def _height(polygon: np.ndarray) -> float:
    top, bottom = split_polygon(polygon)
    return float(np.hypot(*(bottom - top).T).mean())


def orientation(polygon: np.ndarray) -> str:
    """Say how a word runs.

    Args:
        polygon: (2n, 2) in pixels, as for :func:`thin_out`.

    Returns:
        'c' for curved words, of which a side leaves its chord by 0.1 of the height; otherwise 'h'
        for horizontal ones, within 10 degrees, and 'm' (multi-oriented) for the others.
    """
    sides = split_polygon(polygon)
    for side in sides:
        chord = side[-1] - side[0]
        off = side - side[0]
        bow = np.abs(chord[0] * off[:, 1] - chord[1] * off[:, 0]).max() / np.hypot(*chord)
        if bow >= BOW * _height(polygon):
            return 'c'
    x, y = sum(side[-1] - side[0] for side in sides)
    return 'h' if abs(np.arctan2(y, x)) <= LEVEL else 'm'


def can_carry(text: str) -> bool:
    """Whether the format, as MMOCR reads it, can carry a text: no blank, bracket, `,` or `?`."""
    return text != DONT_CARE and not any(c in SEPARATORS or c.isspace() for c in text)


def format_line(polygon: np.ndarray, orient: str, text: str) -> str:
    """Write a word as a line of a ground truth file, without its end.

    Args:
        polygon: integer (n, 2), pixels.
        orient: 'c', 'h', 'm', or '#'.
        text: what the word says, '#' for one that does not count.

    Raises:
        ValueError: the format cannot carry the text.
    """
    if text != DONT_CARE and not can_carry(text):
        raise ValueError(
            f"Total-Text's format cannot carry the text {text!r}: no {' '.join(SEPARATORS)}, no "
            f'blank, and {DONT_CARE!r} alone stands for a word that does not count'
        )
    x, y = (' '.join(map(str, values)) for values in polygon.T.tolist())
    # The official files were written by Python 2: quotes as repr() takes them, ASCII only.
    return f"x: [[{x}]], y: [[{y}]], ornt: [u'{orient}'], transcriptions: [u{text!a}]"
