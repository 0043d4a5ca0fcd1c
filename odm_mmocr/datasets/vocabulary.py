"""The characters that the text encoder knows, and words as their ids."""

import zlib
from collections import Counter
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from mmocr.registry import TASK_UTILS

from odm_mmocr.rendering import UnusableText, normalize_text

# Printable ASCII without the space, in code order: the order of the released checkpoint.
PRINTABLE_ASCII = ''.join(map(chr, range(33, 127)))


@TASK_UTILS.register_module()
class Vocabulary:
    """Maps words to arrays of character ids.

    Id 0 stands for padding and for characters that are not known, 1 to n for the characters in the
    order given, n + 1 for the end of a word.

    Args:
        characters (str or path, optional): The characters themselves, or a file of them, one a
            line, as the dictionaries of MMOCR are (a `Path`, or a string that ends in `.txt`).
            Defaults to None: the 94 printable ASCII characters in code order.
        max_characters (int): Slots of a word, its end included; a longer word is cut so that the
            end takes the last slot. Defaults to 25.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If a character stands twice, a line of the file is not one character, there are
            no characters, or `max_characters` is less than 2.
    """

    def __init__(self, characters: str | PathLike | None = None, max_characters: int = 25) -> None:
        if characters is None:
            characters = PRINTABLE_ASCII
        # A list of characters cannot end in '.txt': the t would stand twice.
        elif isinstance(characters, PathLike) or characters.endswith('.txt'):
            characters = _read_characters(Path(characters))
        repeated = sorted(c for c, count in Counter(characters).items() if count > 1)
        if repeated:
            raise ValueError(f'the vocabulary has characters that stand twice: {repeated}')
        if not characters:
            raise ValueError('the vocabulary has no characters')
        if max_characters < 2:
            raise ValueError(
                f'max_characters must be at least 2 (a character and the end), not {max_characters}'
            )
        self.characters = characters
        self.max_characters = max_characters
        self._ids = {character: i for i, character in enumerate(characters, start=1)}

    @property
    def end(self) -> int:
        """Id of the end of a word."""
        return len(self.characters) + 1

    @property
    def num_ids(self) -> int:
        """Number of ids: padding, the characters, the end."""
        return len(self.characters) + 2

    @property
    def fingerprint(self) -> int:
        """Checksum that tells vocabularies apart, their order and their slots included."""
        return zlib.crc32(f'{self.max_characters} {self.characters}'.encode())

    def known(self, text: str) -> float:
        """Share of the characters of `text` that the vocabulary has, 0 to 1; 0 for no text.

        They are those of :func:`as_drawn`.
        """
        text = as_drawn(text)
        return sum(c in self._ids for c in text) / len(text) if text else 0.0

    def encode(self, words: Sequence[str], max_words: int = 32) -> tuple[np.ndarray, np.ndarray]:
        """Turn words, as :func:`as_drawn` has them, into character ids.

        Args:
            words (Sequence[str]): At most `max_words` words.
            max_words (int): Number of rows of the result. Defaults to 32.

        Returns:
            tuple[ndarray, ndarray]: `tokens` (max_words, max_characters) int64, and `mask`
            (max_words,) bool, True for the rows that hold a word.

        Raises:
            ValueError: If there are more than `max_words` words.
        """
        if len(words) > max_words:
            raise ValueError(
                f'{len(words)} words, but the prompt holds max_words={max_words}: give every '
                'transform that takes max_words the same value'
            )
        tokens = np.zeros((max_words, self.max_characters), np.int64)
        for row, word in zip(tokens, words):
            ids = [self._ids.get(c, 0) for c in as_drawn(word)[: self.max_characters - 1]]
            row[: len(ids) + 1] = [*ids, self.end]
        return tokens, np.arange(max_words) < len(words)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(characters={self.characters!r}, '
            f'max_characters={self.max_characters})'
        )


def as_drawn(text: str) -> str:
    """A text as the label shows it, so that equal ink is equal text.

    That is :func:`~odm_mmocr.rendering.normalize_text`; a text too long to be drawn stays. What is
    so already stays the same object.
    """
    try:
        normal = normalize_text(text)
    except UnusableText:
        return text
    return text if text == normal else normal


def build_vocabulary(vocabulary: Vocabulary | dict | str | PathLike | None) -> Vocabulary:
    """The `Vocabulary` that a setting stands for.

    Args:
        vocabulary (Vocabulary, dict, str, path or None): A vocabulary, its config (`type` may be
            left out), or the `characters` of one.
    """
    if isinstance(vocabulary, Vocabulary):
        return vocabulary
    if isinstance(vocabulary, dict):
        return TASK_UTILS.build({'type': 'Vocabulary', **vocabulary})
    return Vocabulary(vocabulary)


def _read_characters(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(f'there is no vocabulary file {path}')
    lines = path.read_text(encoding='utf-8-sig').rstrip('\n').split('\n')
    lines = [line.rstrip('\r') for line in lines]
    for number, line in enumerate(lines, start=1):
        if len(line) != 1:
            raise ValueError(f'{path}:{number}: expected one character, found {line!r}')
    return ''.join(lines)
