"""Whether the label that training would draw of a word reads as that word."""

from collections.abc import Sequence

from odm_mmocr.evaluation.read_back import draw_alone
from odm_mmocr.evaluation.reading import WordReader
from odm_mmocr.rendering import Undrawable, load_fonts

from .words import ReadWord


class LabelReader:
    """Draws the labels of words and reads them by another engine than the one that found them.

    That is PP-OCRv4, see :class:`WordReader`. A text that does not fit into its polygon, one that
    no font can draw, or one with lines mixed up reads otherwise.

    Raises:
        ImportError: A package of the extra ``pseudo`` is missing.
    """

    def __init__(self):
        self._reader = WordReader()
        self._fonts = load_fonts(None)

    def __call__(self, words: Sequence[ReadWord], shape: tuple[int, int]) -> list[str | None]:
        """Read the labels of words.

        Args:
            words: Of one image.
            shape: Its height and width, in pixels.

        Returns:
            What is read of each, empty where it cannot be drawn; None where the reader does not
            know its letters, so that nothing is said about it.
        """
        pictures, places = [], []
        read: list[str | None] = [None] * len(words)
        for place, word in enumerate(words):
            if not self._reader.knows(word.text):
                continue
            try:
                pictures.append(draw_alone(word.polygon, word.text, shape, self._fonts).flat())
                places.append(place)
            except Undrawable:
                read[place] = ''
        for place, (text, _) in zip(places, self._reader(pictures), strict=True):
            read[place] = text
        return read
