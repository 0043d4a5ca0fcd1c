"""Finds fonts and draws, for a word, one that covers it."""

import os
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from fontTools import agl
from fontTools.ttLib import TTFont

from odm_mmocr.rendering.fonts import Font, FontChain, find_font
from odm_mmocr.synthesis.parts import check_part, font_part, keep_part

FONT_SUFFIXES = ('.ttf', '.otf', '.ttc', '.otc')
# What a font must draw to be taken from the system unasked: symbol fonts lack some of it.
LATIN = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
# Thinner letters, in pixels, are lost when the picture is blurred a little.
MIN_STROKE = 1.3
# Packages with font files in their folders that announce them through no entry point.
FONT_PACKAGES = ('matplotlib', 'canvas_fonts')


class FontPool:
    """Fonts from which each word gets one that covers it.

    Args:
        fonts: folder (searched with its sub-folders), path of a font file (the name alone of one
            that comes with matplotlib), sequence of paths and folders, or None for
            :func:`installed_fonts`.
        part: 'train' or 'test' for the fonts of this part only, see
            :func:`~odm_mmocr.synthesis.parts.font_part`; None: all.

    Attributes:
        chains: one :class:`~odm_mmocr.rendering.fonts.FontChain` a font.
        mixture: all fonts in one chain.

    Raises:
        FileNotFoundError: a path does not exist, or nothing is installed.
        ValueError: a path is not a font, a folder has no font in it, or no font is of the part.
    """

    def __init__(
        self, fonts: str | Path | Sequence[str | Path] | None = None, part: str | None = None
    ):
        if fonts is None:
            paths = installed_fonts()
            if not paths:
                raise FileNotFoundError(
                    'no font with Latin letters and digits was found on this system; '
                    'run "pip install matplotlib" or give fonts=<folder or list of font files>'
                )
        else:
            given = [fonts] if isinstance(fonts, (str, os.PathLike)) else list(fonts)
            if not given:
                raise ValueError('the list of fonts is empty; give font files, a folder, or None')
            paths = [path for item in given for path in _expand(Path(find_font(item)))]
        found = [Font(str(path)) for path in paths]
        fonts = keep_part(found, check_part(part), lambda font: font_part(font_family(font.path)))
        if not fonts:
            raise ValueError(
                f'none of the {len(found)} fonts belongs to the part {part!r}: families of fonts '
                'are split by hash; give or install more families'
            )
        self.chains = [FontChain((font,)) for font in fonts]
        self.mixture = FontChain(tuple(fonts))

    def __len__(self) -> int:
        return len(self.chains)

    def pick(self, text: str, height: float, rng: np.random.Generator) -> FontChain:
        """Draw a font that covers a text.

        Args:
            text: what is to be drawn; :meth:`check_texts` has made sure that it can.
            height: pixels of a capital letter; hairline fonts are drawn for large letters only.
            rng: source of randomness.

        Returns:
            One font, or the mixture of all where none covers the text alone.
        """
        start = int(rng.integers(len(self.chains)))
        thin = None
        for chain in self.chains[start:] + self.chains[:start]:
            if not chain.covers(text):
                continue
            if stroke_width(chain.fonts[0]) * height >= MIN_STROKE:
                return chain
            thin = thin or chain
        return thin or self.mixture

    def check_texts(self, texts: Iterable[str]) -> None:
        """Check that every text can be drawn.

        Raises:
            ValueError: some texts cannot; it names up to five of them.
        """
        texts = list(texts)
        if self.mixture.covers(''.join(set().union(*texts))):
            return
        missing = [text for text in texts if not self.mixture.covers(text)]
        if missing:
            named = ', '.join(repr(text) for text in missing[:5])
            raise ValueError(
                f'{len(missing)} of {len(texts)} words cannot be drawn with the '
                f'{len(self.chains)} fonts: {named}{", …" if len(missing) > 5 else ""}; '
                'add a font that has their characters, or remove the words'
            )


@lru_cache(maxsize=1024)
def stroke_width(font: Font) -> float:
    """Width of the main strokes as a fraction of the cap height; 1 where there is no Latin H."""
    if not font.covers('H'):
        return 1.0
    letter = np.pad(font.glyph('H', 200).mask, 1)
    inside = cv2.distanceTransform((letter > 127).astype(np.uint8), cv2.DIST_L2, 5)
    # A quarter down there are stems only, neither serifs nor the bar; the middle of a stem of w
    # pixels is (w + 1) / 2 away from the nearest pixel outside.
    return (2 * float(inside[len(letter) // 4].max()) - 1) / (200 * font.cap_height)


def font_family(path: str | Path) -> str:
    """Read the family name of a font file (of its first font); the file's name if it has none."""
    with TTFont(path, fontNumber=0, lazy=True) as file:
        names = file.get('name')
        # 16 joins the weights and widths that 1 keeps apart; most fonts have only the latter.
        family = names and (names.getDebugName(16) or names.getDebugName(1))
    return family or Path(path).stem


@lru_cache(maxsize=1)
def installed_fonts() -> tuple[Path, ...]:
    """Find text fonts on this machine.

    Searched are the system's font folders, matplotlib's fonts, packages that announce fonts
    through the entry points ``fonts_ttf`` and ``fonts_otf`` (``font-roboto`` and its like on
    PyPI), and ``canvas-fonts``. A font that lacks a Latin letter or digit, draws several alike (a
    last-resort font) or has symbols in their places is left out; of files of one name the first is
    taken.

    Returns:
        Paths, sorted by file name, so that the order does not depend on where they lie.
    """
    found: dict[str, Path] = {}
    for folder in _font_folders():
        for path in _font_files(folder):
            found.setdefault(path.name, path)
    return tuple(found[name] for name in sorted(found) if _is_text_font(found[name]))


def _font_folders() -> list[Path]:
    if sys.platform == 'darwin':
        folders = [Path('/System/Library/Fonts'), Path('/Library/Fonts'), Path('~/Library/Fonts')]
    elif sys.platform == 'win32':
        folders = [Path(os.environ.get('WINDIR', 'C:/Windows'), 'Fonts')]
    else:
        folders = [Path('/usr/share/fonts'), Path('/usr/local/share/fonts'), Path('~/.fonts')]
        folders.append(Path(os.environ.get('XDG_DATA_HOME', '~/.local/share'), 'fonts'))
    announced = (e for group in ('fonts_ttf', 'fonts_otf') for e in entry_points(group=group))
    for package in (*FONT_PACKAGES, *(entry.value.partition(':')[0] for entry in announced)):
        spec = find_spec(package)  # located, not imported: no code of theirs needs to run
        if spec is not None and spec.origin:
            folders.append(Path(spec.origin).parent)
    return [folder.expanduser() for folder in folders]


def _font_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob('*') if path.suffix.lower() in FONT_SUFFIXES)


def _expand(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = _font_files(path)
    if not files:
        raise ValueError(
            f'font folder {str(path)!r} has no font file ({", ".join(FONT_SUFFIXES)}) in it'
        )
    return files


def _is_text_font(path: Path) -> bool:
    try:
        font = Font(str(path))
    except (OSError, ValueError):
        return False  # a broken file of the system is not the user's concern
    if not font.covers(LATIN):
        return False
    if len({font.glyph(character, 32).mask.tobytes() for character in 'AMao'}) < 4:
        return False
    with TTFont(path, fontNumber=0, lazy=True) as file:
        cmap = file.getBestCmap()
    # A symbol font can have symbols at the places of letters; only their names tell.
    return all(agl.toUnicode(cmap[ord(c)]) in ('', c) for c in LATIN + '&,!' if ord(c) in cmap)
