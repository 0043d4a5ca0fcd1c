"""Which of the words that an engine has read are good enough to learn from."""

from collections.abc import Sequence
from dataclasses import dataclass

from odm_mmocr.datasets.vocabulary import Vocabulary, build_vocabulary
from odm_mmocr.evaluation.reading import letters_and_digits, same_word
from odm_mmocr.evaluation.text_heights import extents
from odm_mmocr.rendering import split_polygon
from odm_mmocr.synthesis.common_words import COMMON_WORDS
from odm_mmocr.synthesis.words import load_words

from .plausibility import LetterPairs


@dataclass(frozen=True)
class FilterSettings:
    """What a word must be like; None switches a filter off.

    The defaults are those that did best on the training images of ICDAR 2015, see
    ``docs/pseudo_labels.md``.

    Attributes:
        min_score: Least score of the recogniser, 0 to 1.
        min_detection_score: Least score of the detector, 0 to 1. Words without one pass.
        min_height: Least height of the text, and least length, pixels of the image: on a high and
            narrow box nobody can tell which is which.
        min_letter_aspect: Least length of a letter over its height, the letters of a word taken as
            equally long.
        max_letter_aspect: Largest likewise.
        min_known: Least share of characters that the vocabulary has, 0 to 1; the blanks in a line
            do not count.
        vocabulary: Of the model: as :func:`build_vocabulary` takes it; None: printable ASCII.
        max_coverage: Largest share of the image that a word may cover, 0 to 1.
        min_letters: Least number of letters and digits.
        read_back: Whether the label of the word must read as the word: True needs readings made
            with it.
        min_plausibility: Least plausibility, see :class:`LetterPairs`; 0 or below.
        words: File of a language's words, one a line, for the plausibility; None: the English
            words of the synthesizer.
        max_duplicate_distance: Images that differ in at most so many of the 64 bits of their
            perceptual hash from an earlier one are left out, 0 to 16.

    Raises:
        ValueError: A setting is out of range.
    """

    min_score: float | None = 0.9
    min_detection_score: float | None = None
    min_height: float | None = 8.0
    min_letter_aspect: float | None = 0.1
    max_letter_aspect: float | None = 2.0
    min_known: float | None = 1.0
    vocabulary: str | dict | None = None
    max_coverage: float | None = 0.5
    min_letters: int | None = 2
    read_back: bool = False
    min_plausibility: float | None = None
    words: str | None = None
    max_duplicate_distance: int | None = 4

    def __post_init__(self):
        shares = ('min_score', 'min_detection_score', 'min_known', 'max_coverage')
        bounds = dict.fromkeys(shares, (0, 1, '0 to 1'))
        at_least_0 = (0, float('inf'), '0 or more')
        bounds |= dict.fromkeys(('min_height', 'min_letter_aspect', 'min_letters'), at_least_0)
        bounds['max_letter_aspect'] = at_least_0
        bounds['min_plausibility'] = (-float('inf'), 0, '0 or below')
        bounds['max_duplicate_distance'] = (0, 16, '0 to 16 bits')
        for name, (low, high, expected) in bounds.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ValueError(f'{name} is {value!r}; expected {expected}')


class WordFilter:
    """Says why a word is rejected.

    Args:
        settings: What words must be like.

    Raises:
        FileNotFoundError: The vocabulary or the list of words is not there.
        ValueError: They are none.
    """

    names = (
        'text',
        'score',
        'detection_score',
        'height',
        'aspect',
        'vocabulary',
        'coverage',
        'read_back',
        'plausibility',
    )

    def __init__(self, settings: FilterSettings):
        self.settings = settings
        self.vocabulary: Vocabulary = build_vocabulary(settings.vocabulary)
        self._pairs = None
        if settings.min_plausibility is not None:
            words = COMMON_WORDS if settings.words is None else load_words(settings.words)
            self._pairs = LetterPairs(words)

    def __call__(self, word: dict, shape: Sequence[int]) -> str | None:
        """Judge a word.

        Args:
            word: Of a record of readings.
            shape: Height and width of the image, in pixels.

        Returns:
            The filter that rejects it, one of ``names``, the first of them; None: it passes.

        Raises:
            ValueError: Words must be read back, and the record does not tell how they read.
        """
        settings = self.settings
        text = word['text']
        least = settings.min_letters
        if not text or (least is not None and len(letters_and_digits(text)) < least):
            return 'text'
        if settings.min_score is not None and word['score'] < settings.min_score:
            return 'score'
        detection = word.get('detection_score')
        least = settings.min_detection_score
        if least is not None and detection is not None and detection < least:
            return 'detection_score'
        length, height = extents(*split_polygon(word['polygon']))
        if settings.min_height is not None and min(length, height) < settings.min_height:
            return 'height'
        aspect = length / max(height, 1e-6) / len(text)
        low, high = settings.min_letter_aspect, settings.max_letter_aspect
        if (low is not None and aspect < low) or (high is not None and aspect > high):
            return 'aspect'
        known = self.vocabulary.known(''.join(text.split()))
        if settings.min_known is not None and known < settings.min_known:
            return 'vocabulary'
        covered = length * height / (shape[0] * shape[1])
        if settings.max_coverage is not None and covered > settings.max_coverage:
            return 'coverage'
        if settings.read_back:
            if 'read_back' not in word:
                raise ValueError(
                    'the readings do not tell how the labels read; make them with --read-back'
                )
            read = word['read_back']
            if read is not None and not same_word(read, text):
                return 'read_back'
        if self._pairs is not None and self._pairs(text) < settings.min_plausibility:
            return 'plausibility'
        return None
