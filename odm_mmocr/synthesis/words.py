"""Words for synthetic scenes: a given vocabulary, or common words and random strings."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from odm_mmocr.rendering.strips import normalize_text
from odm_mmocr.synthesis.common_words import COMMON_WORDS
from odm_mmocr.synthesis.parts import check_part, keep_part, word_part

MAX_LENGTH = 100  # characters; what is longer is no word, and could not be read in an image
LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
DIGITS = '0123456789'
PUNCTUATION = '!?.:;,-&+#@*/()"\''


def load_words(words: str | Path | Sequence[str]) -> list[str]:
    """Read a vocabulary.

    Args:
        words: path of a UTF-8 text file with one word a line (blank lines are skipped), or a
            sequence of strings.

    Returns:
        The words in the given order, as :func:`~odm_mmocr.rendering.normalize_text` writes them.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: there is no word, a word is blank, far too long or not a string, or the file is
            not UTF-8.
    """
    if isinstance(words, (str, Path)):
        path = Path(words)
        source = f'word file {str(path)!r}'
        if not path.is_file():
            raise FileNotFoundError(
                f'{source} does not exist; give a text file with one word a line, or a list'
            )
        try:
            lines = path.read_text(encoding='utf-8-sig').splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f'{source} is not UTF-8 text: {error}') from error
        words = [line for line in lines if line.strip()]
    else:
        source = 'the list of words'
    if not len(words):
        raise ValueError(f'{source} is empty; give at least one word, or None for built-in words')
    loaded = []
    for number, word in enumerate(words, 1):
        text = normalize_text(word) if isinstance(word, str) else ''
        if not 1 <= len(text) <= MAX_LENGTH:
            raise ValueError(
                f'word {number} of {source} is {word!r:.60}; expected a string of 1 to '
                f'{MAX_LENGTH} visible characters: correct or remove it'
            )
        loaded.append(text)
    return loaded


class WordSource:
    """Draws words.

    Args:
        words: vocabulary as for :func:`load_words`, or None for the built-in list.
        random_share: share (0 to 1) of random strings (numbers, prices, times, dates, codes) among
            the words. None: 0.25 with the built-in list, 0 with a given vocabulary.
        vary_case: whether to redraw the casing (upper, title, lower, rarely mixed). None: only
            with the built-in list, so that a given vocabulary is written as given.
        part: 'train' or 'test' for the words, and the random strings, of this part only, see
            :func:`~odm_mmocr.synthesis.parts.word_part`; None: all.

    Raises:
        ValueError: no word is of the part.
    """

    def __init__(
        self,
        words: str | Path | Sequence[str] | None = None,
        random_share: float | None = None,
        vary_case: bool | None = None,
        part: str | None = None,
    ):
        built_in = words is None
        given = list(COMMON_WORDS) if built_in else load_words(words)
        self.part = check_part(part)
        self.words = keep_part(given, part, word_part)
        if not self.words:
            raise ValueError(
                f'none of the {len(given)} words belongs to the part {part!r}: words are split by '
                'hash; give more of them'
            )
        self.random_share = (0.25 if built_in else 0.0) if random_share is None else random_share
        self.vary_case = built_in if vary_case is None else vary_case
        if not 0 <= self.random_share <= 1:
            raise ValueError(f'random_words is {self.random_share}, expected a share from 0 to 1')

    def additions(self) -> list[str]:
        """Characters that casing and random strings can bring in beside the words themselves."""
        characters = set()
        if self.vary_case:
            characters.update(PUNCTUATION, *(word.upper() for word in self.words))
        if self.random_share:
            characters.update(map(chr, range(33, 127)))
        return sorted(characters)

    def keep_up_to(self, length: int) -> None:
        """Leave out the words that are longer than ``length`` characters.

        Raises:
            ValueError: all are longer.
        """
        kept = [word for word in self.words if len(word) <= length]
        if not kept:
            raise ValueError(
                f'all words are too long, even {min(self.words, key=len)!r}: the images have room '
                f'for {length} characters of the least text height; give shorter words, a larger '
                'size or a smaller text_height'
            )
        self.words = kept

    def __call__(self, rng: np.random.Generator) -> str:
        """Draw a word or a random string."""
        if rng.random() < self.random_share:
            return self._random_string(rng)
        return self.vocabulary_word(rng)

    def _random_string(self, rng: np.random.Generator) -> str:
        while True:
            text = RANDOM_STRINGS[rng.integers(len(RANDOM_STRINGS))](rng)
            if self.part is None or word_part(text) == self.part:
                return text

    def vocabulary_word(self, rng: np.random.Generator) -> str:
        """Draw a word of the vocabulary."""
        word = self.words[rng.integers(len(self.words))]
        return _recase(word, rng) if self.vary_case else word


def _recase(word: str, rng: np.random.Generator) -> str:
    style = rng.random()
    if style < 0.5:
        word = word.upper()
    elif style < 0.8:
        word = word[:1].upper() + word[1:]
    elif style > 0.99:
        word = ''.join(c.upper() if up else c for c, up in zip(word, rng.random(len(word)) < 0.5))
    if rng.random() < 0.05:
        word += PUNCTUATION[rng.integers(len(PUNCTUATION))]
    return word


def _draw(alphabet: str, low: int, high: int, rng: np.random.Generator) -> str:
    return ''.join(alphabet[i] for i in rng.integers(len(alphabet), size=rng.integers(low, high)))


def _number(rng: np.random.Generator) -> str:
    return _draw(DIGITS, 1, 7, rng)


def _price(rng: np.random.Generator) -> str:
    amount = f'{rng.integers(1, 1000)}' if rng.random() < 0.3 else f'{rng.uniform(0.1, 200):.2f}'
    return f'${amount}' if rng.random() < 0.5 else amount


def _percent(rng: np.random.Generator) -> str:
    return f'{"-" if rng.random() < 0.3 else ""}{rng.integers(1, 20) * 5}%'


def _time(rng: np.random.Generator) -> str:
    if rng.random() < 0.3:
        return f'{rng.integers(1, 13)}{("am", "pm", "AM", "PM")[rng.integers(4)]}'
    return f'{rng.integers(24):02d}{(":", ".")[rng.integers(2)]}{rng.integers(60):02d}'


def _date(rng: np.random.Generator) -> str:
    separator = '/.-'[rng.integers(3)]
    day_and_month = f'{rng.integers(1, 32):02d}{separator}{rng.integers(1, 13):02d}'
    return day_and_month + (f'{separator}{rng.integers(1950, 2035)}' if rng.random() < 0.5 else '')


def _phone(rng: np.random.Generator) -> str:
    return f'{rng.integers(100, 1000)}-{rng.integers(10000):04d}'


def _code(rng: np.random.Generator) -> str:
    pieces = [_draw(LETTERS, 1, 4, rng), _draw(DIGITS, 1, 5, rng)]
    if rng.random() < 0.3:
        pieces.reverse()
    return ('', '-', '')[rng.integers(3)].join(pieces)


def _letters(rng: np.random.Generator) -> str:
    return _recase(_draw(LETTERS, 2, 9, rng).lower(), rng)


def _address(rng: np.random.Generator) -> str:
    word = COMMON_WORDS[rng.integers(len(COMMON_WORDS))]
    return ('www.' if rng.random() < 0.5 else '') + word + ('.com', '.net', '.org')[rng.integers(3)]


RANDOM_STRINGS: tuple[Callable[[np.random.Generator], str], ...] = (
    _number,
    _number,
    _price,
    _price,
    _percent,
    _time,
    _date,
    _phone,
    _code,
    _code,
    _letters,
    _letters,
    _address,
)
