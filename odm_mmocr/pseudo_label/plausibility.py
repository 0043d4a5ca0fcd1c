"""How much a text looks like a word of a language, by the letters that follow each other."""

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

_EDGE = '\0'
_SMOOTHING = 0.1


class LetterPairs:
    """The probabilities of pairs of letters in a list of words.

    Args:
        words: Of the language; case does not count.

    Raises:
        ValueError: There are no letters in them.
    """

    def __init__(self, words: Iterable[str]):
        self.words = {key for word in words if (key := _letters(word))}
        if not self.words:
            raise ValueError('a list of words without letters says nothing about a language')
        self._pairs: Counter[str] = Counter()
        self._firsts: Counter[str] = Counter()
        for word in self.words:
            marked = _EDGE + word + _EDGE
            self._pairs.update(a + b for a, b in pairwise(marked))
            self._firsts.update(marked[:-1])
        self._letters = len(self._firsts)

    def __call__(self, text: str) -> float:
        """Mean log-probability (base 2) of the letters of a text, one after the other.

        Returns:
            0 for a word of the list and for a text without letters, such as a number; else below 0:
            of English words about -4, of letters in any order -6 and less.
        """
        word = _letters(text)
        if not word or word in self.words:
            return 0.0
        marked = _EDGE + word + _EDGE
        total = 0.0
        for a, b in pairwise(marked):
            count = self._pairs[a + b] + _SMOOTHING
            total += math.log2(count / (self._firsts[a] + _SMOOTHING * (self._letters + 1)))
        return total / (len(marked) - 1)


def _letters(text: str) -> str:
    folded = unicodedata.normalize('NFKC', text).casefold()
    return ''.join(c for c in folded if c.isalpha())
