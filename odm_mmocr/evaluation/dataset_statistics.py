"""What the annotations of a data set hold: counts, sizes, characters, words, scores."""

import heapq
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from odm_mmocr.datasets.annotation_files import AnnotatedImage, AnnotatedWord
from odm_mmocr.datasets.preparers.parsers import UNREADABLE
from odm_mmocr.datasets.vocabulary import Vocabulary, as_drawn
from odm_mmocr.rendering import UnusablePolygon, split_polygon

from .text_heights import HEIGHTS, extents, height_class, text_height

# Bounds of bins. The first and the last bin are open to their side. Steps of a factor of the square
# root of 2, so that the bounds of small and large text are among them.
HEIGHT_EDGES = tuple(2.0 ** (k / 2) for k in range(4, 17))
RATIO_EDGES = tuple(2.0 ** (k / 2) for k in range(-6, 11))
ROTATION_EDGES = tuple(float(15 * k) - 7.5 for k in range(-12, 14))
SCORE_EDGES = tuple(k / 20 for k in range(21))
MAX_COUNT_BINS = 30
DOUBLED_OVERLAP = 0.5
NUM_EXTREMES = 6
NUM_LISTED = 50  # characters, words and examples in `summary`


@dataclass(frozen=True)
class Distribution:
    """How a quantity is spread.

    Attributes:
        count: Number of values, at least 1.
        mean, minimum, low, median, high, maximum: Of the values; low and high are the quantiles of
            5 % and 95 %.
        edges: Bounds of the bins, ascending, one more than bins.
        counts: Values in each bin, its lower bound included. The first and the last bin also count
            what lies beyond.
    """

    count: int
    mean: float
    minimum: float
    low: float
    median: float
    high: float
    maximum: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Extreme(NamedTuple):
    """A word at an end of a distribution.

    Attributes:
        image, word: The annotation.
        value: What is extreme about it.
    """

    image: AnnotatedImage
    word: AnnotatedWord
    value: float


@dataclass
class DatasetStatistics:
    """The figures of a data set's annotations.

    Distributions are None where there is nothing to count. All but `ignored_heights` and
    `rejected_scores` are of the readable words, which are not ignored and have a text.

    Attributes:
        images: Number of images; `images_without_words` of these have no word at all,
            `images_without_readable` no readable one.
        words, readable: Number of words, and of readable ones.
        ignored: Number of the others, by reason; those that a filter rejected stand in `rejected`
            alone, by its name.
        misplaced: Words, ignored ones too, whose middle lies outside the image.
        undirected: Readable words whose polygon tells no reading direction, such as three points.
        words_an_image: Of all words.
        readable_an_image: Of readable ones.
        heights, ignored_heights: Of the text, pixels: :func:`.text_heights.text_height`.
        height_classes: Readable words by :data:`.text_heights.HEIGHTS`.
        ratios: Length of the text over its height, both along its reading direction; below 1 for a
            column of letters.
        rotations: Degrees from -180 to 180 from level, anticlockwise as one sees it: at 90 text
            reads upwards.
        lengths: Characters of a word.
        scores, rejected_scores: 0 to 1, of the words that have one.
        characters, texts: How often each character and each word stands there.
        unknown_characters: Those that the vocabulary lacks.
        words_with_unknown: Words with such.
        longest_known: Characters of a word that the vocabulary has room for.
        cut_words: Longer words.
        doubled: Readable words that repeat another one of their image at the same place.
        extremes: By what they are, the most extreme first; of the words in their image.
    """

    images: int
    images_without_words: int
    images_without_readable: int
    words: int
    readable: int
    ignored: Counter[str]
    rejected: Counter[str]
    misplaced: int
    undirected: int
    words_an_image: Distribution
    readable_an_image: Distribution
    heights: Distribution | None
    ignored_heights: Distribution | None
    height_classes: dict[str, int]
    ratios: Distribution | None
    rotations: Distribution | None
    lengths: Distribution | None
    scores: Distribution | None
    rejected_scores: Distribution | None
    characters: Counter[str]
    unknown_characters: Counter[str]
    words_with_unknown: int
    longest_known: int
    cut_words: int
    texts: Counter[str]
    doubled: list[tuple[AnnotatedImage, AnnotatedWord]]
    extremes: dict[str, list[Extreme]]

    def summary(self) -> dict[str, Any]:
        """The figures as JSON takes them; of characters, words and places the first 50."""
        figures = dict(vars(self))
        for name, value in figures.items():
            if isinstance(value, Distribution):
                figures[name] = dict(vars(value))
            elif isinstance(value, Counter):
                figures[name] = dict(value.most_common(NUM_LISTED))
        figures['distinct_characters'] = len(self.characters)
        figures['distinct_words'] = len(self.texts)
        figures['doubled'] = len(self.doubled)
        figures['doubled_first'] = [_place(*found) for found in self.doubled[:NUM_LISTED]]
        figures['extremes'] = {
            kind: [{**_place(found.image, found.word), 'value': found.value} for found in extremes]
            for kind, extremes in self.extremes.items()
        }
        return figures


def dataset_statistics(
    images: Iterable[AnnotatedImage], vocabulary: Vocabulary | None = None
) -> DatasetStatistics:
    """Count what annotations hold. No image is opened.

    Args:
        images: The annotations, at least one.
        vocabulary: Whose characters are known; None: the default one.

    Returns:
        The figures.

    Raises:
        ValueError: There are no images.
    """
    vocabulary = Vocabulary() if vocabulary is None else vocabulary
    tally = _Tally()
    for image in images:
        tally.add(image)
    if not tally.counts:
        raise ValueError('there are no images to count')
    known = set(vocabulary.characters)
    longest = vocabulary.max_characters - 1
    texts = tally.texts
    characters: Counter[str] = Counter()
    for text, count in texts.items():
        for character in text:
            characters[character] += count
    unknown = {c: n for c, n in characters.items() if c not in known}
    heights = np.asarray(tally.heights)
    classes = Counter(map(height_class, tally.heights))
    counts, readable = np.asarray(tally.counts), np.asarray(tally.readable_counts)
    return DatasetStatistics(
        images=len(counts),
        images_without_words=int((counts == 0).sum()),
        images_without_readable=int((readable == 0).sum()),
        words=int(counts.sum()),
        readable=len(heights),
        ignored=tally.ignored,
        rejected=tally.rejected,
        misplaced=tally.misplaced,
        undirected=int(np.isnan(tally.ratios).sum()),
        words_an_image=describe(counts, count_edges(counts)),
        readable_an_image=describe(readable, count_edges(counts)),
        heights=describe(heights, HEIGHT_EDGES),
        ignored_heights=describe(tally.ignored_heights, HEIGHT_EDGES),
        height_classes={name: classes[i] for i, name in enumerate(HEIGHTS)},
        ratios=describe(tally.ratios, RATIO_EDGES),
        rotations=describe(tally.rotations, ROTATION_EDGES),
        lengths=describe(tally.lengths, count_edges(tally.lengths, first=1)),
        scores=describe(tally.scores, SCORE_EDGES),
        rejected_scores=describe(tally.rejected_scores, SCORE_EDGES),
        characters=characters,
        unknown_characters=Counter(unknown),
        words_with_unknown=sum(n for text, n in texts.items() if not known.issuperset(text)),
        longest_known=longest,
        cut_words=sum(n for text, n in texts.items() if len(text) > longest),
        texts=texts,
        doubled=tally.doubled,
        extremes=tally.extremes(),
    )


def describe(values: Sequence[float], edges: Sequence[float]) -> Distribution | None:
    """Say how values are spread.

    Args:
        values: Those that are not finite are left out.
        edges: Bounds of the bins, ascending, at least two.

    Returns:
        The distribution; None where there are no values.
    """
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    bins = np.searchsorted(edges, values, side='right') - 1
    counts = np.bincount(np.clip(bins, 0, len(edges) - 2), minlength=len(edges) - 1)
    low, median, high = np.quantile(values, (0.05, 0.5, 0.95)).tolist()
    return Distribution(
        count=values.size,
        mean=float(values.mean()),
        minimum=float(values.min()),
        low=low,
        median=median,
        high=high,
        maximum=float(values.max()),
        edges=tuple(map(float, edges)),
        counts=tuple(counts.tolist()),
    )


def count_edges(counts: Sequence[int], first: int = 0) -> tuple[float, ...]:
    """Bounds of at most 30 bins of equal width for whole numbers.

    One value in a hundred may lie beyond the last bin, so that a few large ones do not make all
    bins wide.

    Args:
        counts: The numbers.
        first: Lower bound of the first bin.
    """
    counts = np.asarray(counts)
    largest = int(np.quantile(counts, 0.99, method='higher')) if counts.size else first
    width = -(-(largest + 1 - first) // MAX_COUNT_BINS)
    return tuple(float(first + width * k) for k in range((largest - first) // width + 2))


def word_shape(polygon: np.ndarray) -> tuple[float, float]:
    """Ratio of a word's length to its height, and its rotation.

    Args:
        polygon: (k, 2), pixels.

    Returns:
        The ratio, above 0, and degrees from -180 to 180, anticlockwise as one sees it. Not a
        number where the polygon does not tell.
    """
    try:
        top, bottom = split_polygon(polygon)
    except UnusablePolygon:
        return math.nan, math.nan
    length, height = extents(top, bottom)
    x, y = (top[-1] - top[0] + bottom[-1] - bottom[0]).tolist()
    if not height or not length or not (x or y):
        return math.nan, math.nan
    return length / height, math.degrees(math.atan2(-y, x))


def doubled_words(words: Sequence[AnnotatedWord]) -> list[AnnotatedWord]:
    """Find words of an image that stand there twice.

    Args:
        words: Of one image.

    Returns:
        The readable ones that have the text of an earlier one and whose bounding box shares at
        least half of the area of both (intersection over union).
    """
    by_text: dict[str, list[AnnotatedWord]] = {}
    for word in words:
        if not word.ignored and len(word.polygon):
            by_text.setdefault(word.text, []).append(word)
    doubled = []
    for same in by_text.values():
        if len(same) == 1:
            continue
        boxes = np.array([[*word.polygon.min(0), *word.polygon.max(0)] for word in same])
        for i in range(1, len(same)):
            if (_overlap(boxes[i], boxes[:i]) >= DOUBLED_OVERLAP).any():
                doubled.append(same[i])
    return doubled


class _Tally:
    """Goes through images once and keeps what cannot be counted before all are seen."""

    def __init__(self) -> None:
        self.counts, self.readable_counts = array('q'), array('q')
        self.ignored: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.texts: Counter[str] = Counter()
        self.misplaced = 0
        self.heights, self.ignored_heights = array('d'), array('d')
        self.ratios, self.rotations = array('d'), array('d')
        self.lengths = array('q')
        self.scores, self.rejected_scores = array('d'), array('d')
        self.doubled: list[tuple[AnnotatedImage, AnnotatedWord]] = []
        # Of the readable words; None: outside the image, where there is nothing to show.
        self.places: list[tuple[AnnotatedImage, AnnotatedWord] | None] = []

    def add(self, image: AnnotatedImage) -> None:
        readable = 0
        for word in image.words:
            outside = _outside(word.polygon, image.shape)
            self.misplaced += outside
            height = text_height(word.polygon)
            if word.ignored:
                self.ignored_heights.append(height)
                self._add_ignored(word)
                continue
            readable += 1
            ratio, rotation = word_shape(word.polygon)
            self.heights.append(height)
            self.ratios.append(ratio)
            self.rotations.append(rotation)
            text = as_drawn(word.text) or word.text  # where nothing of it can be seen
            self.lengths.append(len(text))
            self.scores.append(math.nan if word.score is None else word.score)
            self.texts[text] += 1
            self.places.append(None if outside else (image, word))
        self.counts.append(len(image.words))
        self.readable_counts.append(readable)
        self.doubled += [(image, word) for word in doubled_words(image.words)]

    def _add_ignored(self, word: AnnotatedWord) -> None:
        if word.rejected:
            self.rejected[word.rejected] += 1
            if word.score is not None:
                self.rejected_scores.append(word.score)
        elif not word.text.strip():
            self.ignored['no text'] += 1
        elif word.text.strip() == UNREADABLE:
            self.ignored[f'text is {UNREADABLE}'] += 1
        else:
            self.ignored['marked, though it has a text'] += 1

    def extremes(self) -> dict[str, list[Extreme]]:
        kinds = {
            'highest': (self.heights, 1),
            'lowest': (self.heights, -1),
            'most characters': (self.lengths, 1),
            'longest for their height': (self.ratios, 1),
            'least sure': (self.scores, -1),
        }
        found = {}
        for kind, (values, sign) in kinds.items():
            told = (i for i, v in enumerate(values) if self.places[i] and math.isfinite(v))
            best = heapq.nlargest(NUM_EXTREMES, told, key=lambda i: sign * values[i])
            if best:
                found[kind] = [Extreme(*self.places[i], values[i]) for i in best]
        return found


def _outside(polygon: np.ndarray, shape: tuple[int, int]) -> bool:
    if not len(polygon):
        return True
    xs, ys = polygon.T.tolist()
    if not math.isfinite(sum(xs + ys)):  # as it is where some coordinate is not
        return True
    x, y = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    return not (0 <= x <= shape[1] and 0 <= y <= shape[0])


def _overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (left, top, right, bottom): (4,) with (n, 4) gives (n,)."""
    with np.errstate(all='ignore'):  # of coordinates that are not finite, or absurdly large
        sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
        common = np.maximum(sides, 0).prod(1)
        areas = (others[:, 2:] - others[:, :2]).prod(1) + (box[2:] - box[:2]).prod()
        # Boxes without area are at the same place only where they are equal.
        return np.where(areas > 0, common / (areas - common), (others == box).all(1))


def _place(image: AnnotatedImage, word: AnnotatedWord) -> dict[str, str]:
    return dict(image=image.source, place=word.place, text=word.text)
