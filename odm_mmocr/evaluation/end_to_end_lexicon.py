"""Lists of words that a reading is corrected by."""

import os
from collections.abc import Iterable
from pathlib import Path

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

MAX_DISTANCE = 1.0
# Files of one image's words: those of ICDAR 2015, those of AdelaiDet, and plain ones.
_IMAGE_FILES = ('voc_{}.txt', 'new_voc_{}.txt', '{}.txt')


class Lexicon:
    """Replaces a reading by the nearest word of a list, case aside.

    The nearest is that with the fewest letters inserted, deleted or replaced (plain edit distance,
    each of them one); of several the first in the list. With the default distance that is how
    AdelaiDet (ABCNet) corrects; Mask TextSpotter weighs the edits by the certainties of the
    letters, which recognisers of other kinds do not give, and SPTS takes relative distances.

    Args:
        words: At least one; blank ones are left out.
        max_distance: From 1 on the most edits. Below 1 the most edits as a share of the longer of
            the two texts. None: the nearest word, however far.

    Raises:
        ValueError: There is no word, or the distance is negative.
    """

    def __init__(self, words: Iterable[str], max_distance: float | None = MAX_DISTANCE):
        check_distance(max_distance)
        self._words = list(dict.fromkeys(word.strip().upper() for word in words if word.strip()))
        if not self._words:
            raise ValueError('a lexicon without words; expected one word a line')
        self._known = frozenset(self._words)
        self._relative = max_distance is not None and max_distance < 1
        self.max_distance = max_distance

    def __len__(self) -> int:
        return len(self._words)

    def correct(self, text: str) -> str | None:
        """Find the word that a reading stands for.

        Args:
            text: What was read.

        Returns:
            The word in capitals, or None where none is near enough.
        """
        text = text.upper()
        if text in self._known:
            return text
        scorer = Levenshtein.normalized_distance if self._relative else Levenshtein.distance
        found = process.extractOne(
            text, self._words, scorer=scorer, score_cutoff=self.max_distance, processor=None
        )
        return found[0] if found else None


class LexiconFiles:
    """One lexicon for all images, or one for each.

    Args:
        path: A text file with a word in each line (``GenericVocabulary.txt`` of ICDAR 2015), or a
            folder with such a file for each image, ``voc_NAME.txt``, ``new_voc_NAME.txt`` or
            ``NAME.txt`` for the image ``NAME.jpg``.
        max_distance: As :class:`Lexicon` has it.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: The file holds no words or is not UTF-8, or the distance is negative.
    """

    def __init__(self, path: str | os.PathLike, max_distance: float | None = MAX_DISTANCE):
        self.path = Path(path)
        self.max_distance = check_distance(max_distance)
        if not self.path.exists():
            raise FileNotFoundError(
                f'there is no lexicon {path}; expected a text file with a word in each line, or a '
                'folder of them'
            )
        self._shared = None if self.path.is_dir() else self._read(self.path)

    def for_image(self, image: str | os.PathLike) -> Lexicon:
        """The lexicon of an image.

        Args:
            image: Its path or name.

        Raises:
            FileNotFoundError: The folder has no file for it.
            ValueError: Its file holds no words or is not UTF-8.
        """
        if self._shared is not None:
            return self._shared
        names = [name.format(Path(image).stem) for name in _IMAGE_FILES]
        for name in names:
            if (self.path / name).is_file():
                return self._read(self.path / name)
        raise FileNotFoundError(
            f'{self.path} has no lexicon for {Path(image).name}: expected {" or ".join(names)}'
        )

    def _read(self, path: Path) -> Lexicon:
        try:
            return Lexicon(path.read_text(encoding='utf-8-sig').splitlines(), self.max_distance)
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from error


def check_distance(max_distance: float | None) -> float | None:
    """Return a distance of :class:`Lexicon`; raise ValueError where it is negative."""
    if max_distance is not None and not max_distance >= 0:
        raise ValueError(
            f'max_distance={max_distance}: expected a number of edits, a share below 1, or None'
        )
    return max_distance
