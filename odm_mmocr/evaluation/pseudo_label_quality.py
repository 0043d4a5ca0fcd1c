"""How good pseudo-labels are: precision and recall of words against a ground truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from odm_mmocr.datasets.annotation_files import AnnotatedWord

from .reading import letters_and_digits, same_word
from .shapes import polygon_shape

MIN_IOU = 0.5
# Of a word's area, on unreadable text, from which on nobody can say whether the word is right.
UNKNOWN_SHARE = 0.5


class FoundWord(NamedTuple):
    """A word that an engine has found, or an annotation claims.

    Attributes:
        text: The transcription.
        polygon: (n, 2), pixels.
    """

    text: str
    polygon: np.ndarray


@dataclass
class WordQuality:
    """Counts over images; they add up.

    Attributes:
        found: Words that are claimed, those on unreadable text left out.
        right: Of them at the place of a readable word (IoU of at least 0.5) with its text; letters
            and digits count, case does not.
        located: Of them at the place of a readable word, whatever their text.
        annotated: Readable words of the ground truth.
    """

    found: int = 0
    right: int = 0
    located: int = 0
    annotated: int = 0

    def __add__(self, other: 'WordQuality') -> 'WordQuality':
        return WordQuality(
            self.found + other.found,
            self.right + other.right,
            self.located + other.located,
            self.annotated + other.annotated,
        )

    @property
    def precision(self) -> float:
        """Share of the words found that are right, 0 to 1; not a number where there are none."""
        return self.right / self.found if self.found else float('nan')

    @property
    def recall(self) -> float:
        """Share of the annotated words that are found and right, 0 to 1."""
        return self.right / self.annotated if self.annotated else float('nan')

    @property
    def f_score(self) -> float:
        """Harmonic mean of precision and recall, 0 to 1."""
        total = self.found + self.annotated
        return 2 * self.right / total if total else float('nan')

    @property
    def location_precision(self) -> float:
        """Share of the words found that stand where a readable word is, 0 to 1."""
        return self.located / self.found if self.found else float('nan')


class ImageMatch:
    """The overlaps of an image's words with its ground truth, made once for many choices of words.

    Args:
        found: All words that were read.
        annotated: The ground truth.
    """

    def __init__(self, found: Sequence[FoundWord], annotated: Sequence[AnnotatedWord]):
        shapes = [polygon_shape(word.polygon) for word in found]
        readable = [
            (word.text, polygon_shape(word.polygon)) for word in annotated if not word.ignored
        ]
        unreadable = [polygon_shape(word.polygon) for word in annotated if word.ignored]
        self.annotated = len(readable)
        self.unknown = np.zeros(len(found), bool)
        self._pairs: list[tuple[float, int, int, bool]] = []
        for i, shape in enumerate(shapes):
            covered = sum(shape.intersection(other).area for other in unreadable)
            on_readable = False
            for j, (text, other) in enumerate(readable):
                common = shape.intersection(other).area
                union = shape.area + other.area - common
                if union and common / union >= MIN_IOU:
                    on_readable = True
                    right = _reads_the_same(found[i].text, text)
                    self._pairs.append((common / union, i, j, right))
            self.unknown[i] = (
                not on_readable and shape.area > 0 and covered > UNKNOWN_SHARE * shape.area
            )
        # Right texts first: of two words at one place the right one is matched.
        self._pairs.sort(key=lambda pair: (pair[3], pair[0]), reverse=True)

    def judge(self, chosen: Sequence[bool]) -> WordQuality:
        """Count, for a choice of the words.

        Args:
            chosen: (N,) bool, which of the words found are claimed.
        """
        chosen = np.asarray(chosen, bool)
        taken: set[int] = set()
        matched: set[int] = set()
        right = 0
        for _, i, j, is_right in self._pairs:
            if chosen[i] and i not in taken and j not in matched:
                taken.add(i)
                matched.add(j)
                right += is_right
        return WordQuality(int((chosen & ~self.unknown).sum()), right, len(taken), self.annotated)


def _reads_the_same(found: str, text: str) -> bool:
    """By letters and digits, case aside; of texts without any by all characters."""
    if not letters_and_digits(text):
        return found == text
    return same_word(found, text)
