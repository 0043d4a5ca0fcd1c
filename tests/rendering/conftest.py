"""Font files that come with the dependencies, or are made from these."""

import string
from pathlib import Path

import pytest
from fontTools.ttLib import TTCollection, TTFont

from odm_mmocr.rendering.fonts import default_font_path


@pytest.fixture(scope='session')
def font_folder() -> Path:
    """The folder of fonts of matplotlib."""
    return Path(default_font_path()).parent


def subset(source: Path, target: Path, characters: str) -> Path:
    """Copies a font that forgets all but some characters."""
    with TTFont(source) as font:
        for table in font['cmap'].tables:
            table.cmap = {code: n for code, n in table.cmap.items() if chr(code) in characters}
        font.save(target)
    return target


@pytest.fixture(scope='session')
def letters_only(font_folder, tmp_path_factory) -> Path:
    """A font that covers the ASCII letters and nothing else."""
    target = tmp_path_factory.mktemp('fonts') / 'letters.ttf'
    return subset(font_folder / 'DejaVuSerif.ttf', target, string.ascii_letters)


@pytest.fixture(scope='session')
def digits_only(font_folder, tmp_path_factory) -> Path:
    """A font that covers the digits and nothing else."""
    target = tmp_path_factory.mktemp('fonts') / 'digits.ttf'
    return subset(font_folder / 'DejaVuSansMono.ttf', target, string.digits)


@pytest.fixture(scope='session')
def collection(font_folder, tmp_path_factory) -> Path:
    """A collection of a thin and a bold face."""
    fonts = TTCollection()
    fonts.fonts = [TTFont(font_folder / name) for name in ('cmr10.ttf', 'DejaVuSansMono-Bold.ttf')]
    path = tmp_path_factory.mktemp('fonts') / 'collection.ttc'
    fonts.save(path)
    return path


@pytest.fixture(scope='session')
def hebrew_only(font_folder, tmp_path_factory) -> Path:
    """A font that covers the Hebrew letters and nothing else."""
    target = tmp_path_factory.mktemp('fonts') / 'hebrew.ttf'
    letters = ''.join(chr(code) for code in range(0x5D0, 0x5EB))
    return subset(font_folder / 'DejaVuSans.ttf', target, letters)
