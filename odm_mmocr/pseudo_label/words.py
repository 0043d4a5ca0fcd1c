"""What OCR engines read: words and lines, and how lines are cut into words."""

import re
from dataclasses import dataclass

import numpy as np

from odm_mmocr.rendering import split_polygon

_MIN_SHARE = 1e-3  # of a line's length, for a word
_SAME = 1e-6  # of a line's length: places that differ by less are one


@dataclass(frozen=True)
class ReadWord:
    """A word or line that an engine has read.

    Attributes:
        text: One with blanks is a line: :func:`split_line`.
        polygon: float32 (2k, 2), pixels: k points along the top in reading direction, then k back
            along the bottom. 4 points are the upper left, upper right, lower right and lower left
            corner as one reads the word.
        score: How sure the recogniser is, 0 to 1.
        detection: How sure the detector is, 0 to 1; None: unknown.
        centers: float (len(text),), where along the line the characters stand, from 0 (its start)
            to 1; None: unknown.
        certainties: float (len(text),), how sure the recogniser is of each; None: unknown.
    """

    text: str
    polygon: np.ndarray
    score: float
    detection: float | None = None
    centers: np.ndarray | None = None
    certainties: np.ndarray | None = None


def split_line(line: ReadWord) -> list[ReadWord]:
    """Cut a line into words at its blanks.

    Where the places of the characters are known, a word reaches half of a narrow letter beyond the
    places of its first and last one, but at most half way to the next word; else, and where a word
    would have no length, all characters count as equally wide.

    Args:
        line: As an engine gives it.

    Returns:
        The words, none for a blank line. Their score is the mean over their characters where the
        engine tells how sure it is of each, else that of the line.
    """
    spans = [match.span() for match in re.finditer(r'\S+', line.text)]
    if not spans:
        return []
    if len(spans) == 1 and spans[0] == (0, len(line.text)):
        return [line]
    edges = _edges(line, spans)
    words = []
    for (first, end), (start, stop) in zip(spans, edges, strict=True):
        score = line.score
        if line.certainties is not None:
            score = float(np.mean(line.certainties[first:end]))
        polygon = cut_polygon(line.polygon, start, stop)
        words.append(ReadWord(line.text[first:end], polygon, score, line.detection))
    return words


def cut_polygon(polygon: np.ndarray, start: float, stop: float) -> np.ndarray:
    """Cut a piece out of a line.

    Args:
        polygon: (2k, 2), as :class:`ReadWord` has it.
        start: Where the piece begins along top and bottom, 0 to 1 of their lengths.
        stop: Where it ends, above ``start``.

    Returns:
        float32 (2m, 2), the vertices of the line between both cuts included.
    """
    top, bottom = split_polygon(np.asarray(polygon, np.float64))
    # At the same shares on both sides, so that tops and bottoms stay opposite each other.
    places = [_places(side) for side in (top, bottom)]
    shares = [start]
    for place in sorted(p for side in places for p in side if p < stop - _SAME):
        if place > shares[-1] + _SAME:  # opposite vertices differ by rounding
            shares.append(place)
    shares.append(stop)
    sides = [
        np.stack([np.interp(shares, place, side[:, axis]) for axis in (0, 1)], 1)
        for place, side in zip(places, (top, bottom))
    ]
    return np.concatenate((sides[0], sides[1][::-1])).astype(np.float32)


def _places(side: np.ndarray) -> np.ndarray:
    """Where along an open line its points stand, 0 to 1."""
    lengths = np.hypot(*np.diff(side, axis=0).T)
    total = lengths.sum()
    if total == 0:
        return np.linspace(0, 1, len(side))
    return np.concatenate(([0.0], np.cumsum(lengths) / total))


def _edges(line: ReadWord, spans: list[tuple[int, int]]) -> list[tuple[float, float]]:
    """Start and end of each word along the line, 0 to 1."""
    length = len(line.text)
    equal = [(first / length, end / length) for first, end in spans]
    if line.centers is None:
        return equal
    centers = np.asarray(line.centers, np.float64)
    # Half of a narrow letter's width: what of the gap belongs to the letters beside it.
    steps = [np.diff(centers[first:end]) for first, end in spans if end - first > 1]
    steps = np.concatenate(steps) if steps else np.diff(centers)
    reach = float(np.median(steps)) / 2
    edges = []
    for number, (first, end) in enumerate(spans):
        start = 0.0 if first == 0 else centers[first] - reach
        stop = 1.0 if end == length else centers[end - 1] + reach
        if number:
            middle = (centers[spans[number - 1][1] - 1] + centers[first]) / 2
            start = max(start, middle)
        if number + 1 < len(spans):
            middle = (centers[end - 1] + centers[spans[number + 1][0]]) / 2
            stop = min(stop, middle)
        edges.append((max(start, 0.0), min(stop, 1.0)))
    return edges if all(stop - start >= _MIN_SHARE for start, stop in edges) else equal
