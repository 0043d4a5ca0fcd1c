"""Font files, what they cover, and chains of them that fall back on each other."""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from fontTools.ttLib import TTFont, TTLibError
from PIL import Image, ImageDraw, ImageFont, features

from .caching import memory_bounded
from .faults import UncoveredText

# Control characters, lone surrogates, private use and unassigned code points: a font may hold a
# glyph for them, but none that shows what was written in the scene.
_UNDRAWABLE_CATEGORIES = frozenset(('Cc', 'Cs', 'Co', 'Cn'))
_FOLLOWING_CATEGORIES = frozenset(('Mn', 'Mc', 'Me', 'Cf'))
_INKLESS_CATEGORIES = _FOLLOWING_CATEGORIES | {'Zs'}
# Signs for numbers, the end of a verse and the like, which Unicode counts as format characters.
VISIBLE_FORMATS = frozenset('\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u08e2\U000110bd')
_UNASSIGNED = '\U000effff'  # drawn with the glyph for what a font lacks
_PROBE_SIZE = 48  # pixels an em
_REGULAR_WEIGHT = 400
_REFERENCE_SIZE = 1000  # pixels an em, at which the proportions of a font are measured
# Ems to which a character may reach: the widest sign of Arabic takes 11, a damaged or hostile font
# thousands, whose picture no memory holds.
_MAX_EMS = 16


class Glyph(NamedTuple):
    """The picture of a character, or of a run of characters shaped together.

    Attributes:
        mask: uint8 (h, w), ink from 0 to 255, tight; 0 x 0 for a blank.
        left: Pixels from the pen position to the left edge of ``mask``.
        top: Pixels from the baseline up to the upper edge of ``mask``.
        advance: Pixels by which the pen moves on.
    """

    mask: np.ndarray
    left: int
    top: int
    advance: float


@dataclass(frozen=True)
class Font:
    """One face of a scalable font file.

    Equal and hashed by path and index; loaded faces are cached outside, so that pickling costs
    nothing.

    Args:
        path: TrueType or OpenType file (ttf, otf, woff) or collection (ttc, otc).
        index: Face in a collection.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not a scalable font, or has no face of that index.
    """

    path: str
    index: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, 'path', os.fspath(self.path))
        # A wrong file is to be reported here, not at the first word.
        self.characters  # noqa: B018
        self.at(_PROBE_SIZE)

    def __str__(self) -> str:
        return f'{self.path}#{self.index}' if self.index else self.path

    @property
    def characters(self) -> frozenset[str]:
        """All characters for which the font has a glyph."""
        return _characters(self.path, self.index)

    @property
    def cap_height(self) -> float:
        """Height of capital letters as a fraction of the font size."""
        return _letter_height(self, 'H', 0.73)

    @property
    def x_height(self) -> float:
        """Height of small letters without ascender as a fraction of the font size."""
        return _letter_height(self, 'x', 0.55)

    def covers(self, character: str) -> bool:
        """Whether the font has a glyph for each character of a string."""
        return self.characters.issuperset(character)

    def shows(self, text: str) -> bool:
        """Whether the font draws each character of a string.

        Unlike :meth:`covers`, not so where the glyph is empty or the box for missing characters,
        which some fonts have for whole scripts.
        """
        return all(_shows(self, character) for character in text)

    def at(self, size: int, shaping: bool = False) -> ImageFont.FreeTypeFont:
        """Opens the font at a size.

        Args:
            size: Pixels an em.
            shaping: Join and reorder characters as complex scripts need it; asks for raqm.

        Returns:
            Cached Pillow font.
        """
        return _open(self.path, self.index, size, shaping)

    def glyph(self, text: str, size: int, shaping: bool = False) -> Glyph:
        """Draws a character, or a run of characters, at a size in pixels an em; cached."""
        return _glyph(self, text, size, shaping)

    def advance(self, character: str) -> float:
        """By how much the pen moves on, as a fraction of the size; cached.

        Unlike that of a :class:`Glyph` not rounded to whole pixels, so that texts have the same
        proportions at every size.
        """
        return _advance(self, character)

    def kerning(self, left: str, right: str) -> float:
        """What to add between two characters that follow each other, as a fraction of the size.

        Cached. Zero where Pillow has no raqm.
        """
        return _kerning(self, left, right)


@dataclass(frozen=True)
class FontChain:
    """Fonts in order of preference: what one does not cover is drawn with the next that does.

    Args:
        fonts: At least one font.

    Raises:
        ValueError: ``fonts`` is empty.
    """

    fonts: tuple[Font, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, 'fonts', tuple(self.fonts))
        if not self.fonts:
            raise ValueError('a font chain needs at least one font; got none')

    def __iter__(self) -> Iterator[Font]:
        return iter(self.fonts)

    def __len__(self) -> int:
        return len(self.fonts)

    def covers(self, text: str) -> bool:
        """Whether some font shows every character of ``text``, marks in that of their letter."""
        return all(any(font.shows(cluster) for font in self.fonts) for cluster in clusters(text))

    def runs(self, text: str) -> list[tuple[Font, str]]:
        """Splits a text into runs of one font each.

        A font that covers the whole text is preferred to a mixture, for the uniform look. Marks
        stay in the font of the letter that carries them.

        Args:
            text: Any string.

        Returns:
            Pairs of font and part of the text, whose parts joined are the text.

        Raises:
            UncoveredText: No font covers some character, which is named.
        """
        for font in self.fonts:
            if font.shows(text):
                return [(font, text)] if text else []
        runs: list[tuple[Font, str]] = []
        for cluster in clusters(text):
            font = next((font for font in self.fonts if font.shows(cluster)), None)
            if font is None:
                raise UncoveredText(
                    f'no font of {[str(font) for font in self.fonts]} has a glyph for '
                    f'{cluster!a} in {text!a}; add a font that covers it'
                )
            if runs and runs[-1][0] == font:
                runs[-1] = (font, runs[-1][1] + cluster)
            else:
                runs.append((font, cluster))
        return runs


FontSpec = str | os.PathLike | Font | FontChain | Sequence[str | os.PathLike | Font] | None


def load_fonts(spec: FontSpec = None) -> FontChain:
    """Loads a chain of fonts and checks them.

    Args:
        spec: Path of a font file (the name alone of one that comes with matplotlib, such as
            ``'DejaVuSerif.ttf'``), a :class:`Font`, a sequence of these in order of preference, or
            a :class:`FontChain`, which is returned as it is. Face ``i`` of a collection is written
            ``'path.ttc#i'``. None is DejaVu Sans as it comes with matplotlib.

    Returns:
        The chain; cached by paths.

    Raises:
        FileNotFoundError: A file does not exist; the message names it.
        ValueError: A file is not a scalable font, or the sequence is empty.
        TypeError: ``spec`` is something else.
    """
    if isinstance(spec, FontChain):
        return spec
    if spec is None:
        spec = default_font_path()
    if isinstance(spec, (str, os.PathLike, Font)):
        spec = (spec,)
    try:
        return FontChain(tuple(_load_font(item) for item in spec))
    except TypeError as error:
        raise TypeError(
            f'fonts must be None, a path, a Font, a sequence of these or a FontChain; got {spec!r}'
        ) from error


@lru_cache(maxsize=1)
def bundled_font_folder() -> Path | None:
    """Folder of the fonts that come with matplotlib, which is not imported; None without it."""
    matplotlib = find_spec('matplotlib')
    if matplotlib is None or matplotlib.origin is None:
        return None
    return Path(matplotlib.origin).parent / 'mpl-data' / 'fonts' / 'ttf'


def find_font(path: str | os.PathLike) -> str:
    """Find a font file by its bare name, such as ``DejaVuSans-Bold.ttf``, among the bundled ones.

    Args:
        path: Path, or name of a file that comes with matplotlib.

    Returns:
        Path of the bundled file; what was given where that exists or there is no such file.
    """
    given, folder = os.fspath(path), bundled_font_folder()
    if folder is not None and os.path.basename(given) == given and not os.path.exists(given):
        bundled = folder / given
        if bundled.is_file():
            return str(bundled)
    return given


def default_font_path() -> str:
    """Path of the DejaVu Sans that comes with matplotlib.

    Raises:
        FileNotFoundError: matplotlib is not installed or has lost its fonts.
    """
    folder = bundled_font_folder()
    if folder is None or not (folder / 'DejaVuSans.ttf').is_file():
        raise FileNotFoundError(
            'DejaVuSans.ttf, the default font, comes with matplotlib, which has not been found: '
            'run "pip install matplotlib" or give the path of a font file'
        )
    return str(folder / 'DejaVuSans.ttf')


@lru_cache(maxsize=1)
def shaping_available() -> bool:
    """Whether Pillow can shape complex scripts (Arabic, Hebrew, Indic, combining marks)."""
    return features.check_feature('raqm') and features.check_feature('fribidi')


def _load_font(item: str | os.PathLike | Font) -> Font:
    if isinstance(item, Font):
        return item
    path, index = find_font(item), 0
    stem, separator, suffix = path.rpartition('#')
    if separator and suffix.isdecimal() and not os.path.exists(path):
        path, index = find_font(stem), int(suffix)
    return Font(path, index)


@lru_cache(maxsize=256)
def _characters(path: str, index: int) -> frozenset[str]:
    if not os.path.exists(path):
        raise FileNotFoundError(f'font {path!r} does not exist; give the path of a font file')
    if os.path.isdir(path):
        raise ValueError(f'font {path!r} is a folder; give the path of a font file in it')
    try:
        with TTFont(path, fontNumber=index, lazy=True) as font:
            tables, cmap = set(font.keys()), font.getBestCmap()
    except PermissionError:
        raise
    except Exception as error:  # fontTools raises whatever a damaged table happens to cause
        if isinstance(error, TTLibError) and 'font number' in str(error).lower():
            raise ValueError(f'font {path!r} has no face {index}: {error}') from error
        raise ValueError(
            f'{path!r} is not a font file that can be read ({error}); '
            'give a TrueType or OpenType font'
        ) from error
    if not tables & {'glyf', 'CFF ', 'CFF2'}:
        raise ValueError(
            f'{path!r} is not a font file with outlines, only with bitmaps; give a scalable font'
        )
    if not cmap:
        raise ValueError(f'{path!r} is not a font file for text: it maps no Unicode character')
    return frozenset(
        character
        for character in (chr(code) for code, name in cmap.items() if name != '.notdef')
        if unicodedata.category(character) not in _UNDRAWABLE_CATEGORIES
    )


@lru_cache(maxsize=128)
def _open(path: str, index: int, size: int, shaping: bool) -> ImageFont.FreeTypeFont:
    engine = ImageFont.Layout.RAQM if shaping else ImageFont.Layout.BASIC
    try:
        face = ImageFont.truetype(path, size, index=index, layout_engine=engine)
    except OSError as error:
        raise ValueError(
            f'{path!r} is not a font file that FreeType can open ({error}); '
            'give a TrueType or OpenType font'
        ) from error
    _set_regular(face)
    return face


def _set_regular(face: ImageFont.FreeTypeFont) -> None:
    """Sets a variable font to the regular weight: some are hairlines by default."""
    try:
        axes = face.get_variation_axes()
    except OSError:  # not variable
        return
    weights = {b'Weight': _REGULAR_WEIGHT}
    face.set_variation_by_axes(
        [
            min(max(weights.get(axis['name'], axis['default']), axis['minimum']), axis['maximum'])
            for axis in axes
        ]
    )


@lru_cache(maxsize=1024)
def _letter_height(font: Font, letter: str, default: float) -> float:
    if not font.covers(letter):
        return default
    try:
        height = -font.at(_REFERENCE_SIZE).getbbox(letter, anchor='ls')[1] / _REFERENCE_SIZE
    except OSError:  # as in `_glyph`
        return default
    return height if 0.1 < height < 2 else default


@memory_bounded(16 * 2**20, size=lambda glyph: glyph.mask.nbytes + 256)
def _glyph(font: Font, text: str, size: int, shaping: bool) -> Glyph:
    face = font.at(size, shaping)
    try:
        left, top, right, bottom = face.getbbox(text, anchor='ls')
        advance = face.getlength(text)
    except OSError:  # of FreeType, about numbers that it cannot hold
        return Glyph(np.zeros((0, 0), np.uint8), 0, 0, 0.0)
    widest, highest = _MAX_EMS * size * len(text), _MAX_EMS * size
    if right - left > widest or bottom - top > highest or advance > widest:
        return Glyph(np.zeros((0, 0), np.uint8), 0, 0, 0.0)
    if right <= left or bottom <= top:
        return Glyph(np.zeros((0, 0), np.uint8), 0, 0, advance)
    canvas = Image.new('L', (right - left, bottom - top))
    ImageDraw.Draw(canvas).text((-left, -top), text, fill=255, font=face, anchor='ls')
    mask = np.asarray(canvas)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(rows) == 0:
        return Glyph(np.zeros((0, 0), np.uint8), 0, 0, advance)
    mask = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
    return Glyph(mask, left + int(columns[0]), -top - int(rows[0]), advance)


@lru_cache(maxsize=2**16)
def _advance(font: Font, character: str) -> float:
    return font.at(_REFERENCE_SIZE).getlength(character) / _REFERENCE_SIZE


@lru_cache(maxsize=2**16)
def _kerning(font: Font, left: str, right: str) -> float:
    if not shaping_available():  # Pillow's basic layout rounds kerning away
        return 0.0
    face = font.at(_REFERENCE_SIZE, True)
    alone = face.getlength(left) + face.getlength(right)
    return (face.getlength(left + right, features=['-liga', '-clig']) - alone) / _REFERENCE_SIZE


def clusters(text: str) -> Iterator[str]:
    """Characters together with the combining marks and joiners that follow them."""
    start = 0
    for end in range(1, len(text) + 1):
        if end == len(text) or unicodedata.category(text[end]) not in _FOLLOWING_CATEGORIES:
            yield text[start:end]
            start = end


@lru_cache(maxsize=2**16)
def _shows(font: Font, character: str) -> bool:
    """Whether a font shows a character: has a glyph, neither empty nor its box for missing ones."""
    if (
        unicodedata.category(character) == 'Cf' and character not in VISIBLE_FORMATS
    ):  # joiners: no font need have them
        return True
    if not font.covers(character):
        return False
    if unicodedata.category(character) in _INKLESS_CATEGORIES:
        return True
    mask = font.glyph(character, _PROBE_SIZE).mask
    missing = font.glyph(_UNASSIGNED, _PROBE_SIZE).mask
    looks_missing = mask.shape == missing.shape and not _is_box(character)
    return mask.size > 0 and not (looks_missing and np.array_equal(mask, missing))


def _is_box(character: str) -> bool:
    """Whether a character is a geometric shape, as fonts show it for what they lack."""
    return '\u2300' <= character <= '\u2bff' or character == '\ufffd'
