import shutil

import numpy as np
import pytest
from fontTools.ttLib import TTFont

from odm_mmocr.rendering.fonts import Font, default_font_path
from odm_mmocr.synthesis.font_pool import (
    LATIN,
    FontPool,
    font_family,
    installed_fonts,
    stroke_width,
)


def neighbour(name: str) -> str:
    return default_font_path().replace('DejaVuSans.ttf', name)


def test_installed_fonts_draw_text_and_not_symbols():
    names = {path.name for path in installed_fonts()}
    assert {'DejaVuSans.ttf', 'STIXGeneral.ttf', 'cmr10.ttf'} <= names
    assert not names & {
        'STIXSizOneSymReg.ttf',  # lacks letters
        'LastResortHE-Regular.ttf',  # has one picture for all
        'cmsy10.ttf',  # has symbols in the places of letters
        'cmmi10.ttf',
        'cmex10.ttf',
    }
    assert all(Font(str(path)).covers(LATIN) for path in installed_fonts())
    assert len(names) == len(installed_fonts())


def test_a_folder_a_file_and_a_list_are_accepted(tmp_path):
    shutil.copy(default_font_path(), tmp_path / 'one.TTF')
    (tmp_path / 'deep').mkdir()
    shutil.copy(neighbour('DejaVuSerif.ttf'), tmp_path / 'deep' / 'two.ttf')
    (tmp_path / 'readme.txt').write_text('no font')
    assert len(FontPool(tmp_path)) == 2
    assert len(FontPool(default_font_path())) == 1
    assert len(FontPool([default_font_path(), tmp_path])) == 3


def test_the_font_covers_the_word():
    pool = FontPool([neighbour('cmr10.ttf'), default_font_path()])
    picked = {pool.pick('ЖЯ', 50, np.random.default_rng(i)).fonts[0].path for i in range(20)}
    assert picked == {default_font_path()}
    assert len({pool.pick('open', 50, np.random.default_rng(i)) for i in range(20)}) == 2


def test_what_no_font_covers_alone_is_drawn_with_several():
    pool = FontPool([neighbour('cmr10.ttf'), neighbour('STIXSizOneSymReg.ttf')])
    text = 'open' + min(pool.chains[1].fonts[0].characters - pool.chains[0].fonts[0].characters)
    pool.check_texts([text])
    assert pool.pick(text, 50, np.random.default_rng(0)) is pool.mixture


def test_thin_letters_are_drawn_large_only():
    thin, bold = neighbour('cmr10.ttf'), neighbour('DejaVuSans-Bold.ttf')
    assert stroke_width(Font(default_font_path())) == pytest.approx(0.135, abs=0.01)
    assert stroke_width(Font(bold)) == pytest.approx(0.25, abs=0.01)
    pool = FontPool([thin, bold])
    small = {pool.pick('open', 9, np.random.default_rng(i)).fonts[0].path for i in range(20)}
    assert small == {bold}


def test_undrawable_words_are_named():
    with pytest.raises(ValueError, match=r"1 of 2 words cannot be drawn .*: '書店'"):
        FontPool(default_font_path()).check_texts(['open', '書店'])


def test_a_missing_path_is_named():
    with pytest.raises(FileNotFoundError, match=r'nowhere\.ttf'):
        FontPool(['nowhere.ttf'])


def test_a_file_that_is_no_font_is_named(tmp_path):
    path = tmp_path / 'fake.ttf'
    path.write_bytes(b'not a font')
    for fonts in (path, [path], tmp_path):
        with pytest.raises(ValueError, match=r'fake\.ttf.*not a font'):
            FontPool(fonts)


def test_nothing_to_choose_from_is_refused(tmp_path):
    with pytest.raises(ValueError, match='no font file'):
        FontPool(tmp_path)
    with pytest.raises(ValueError, match='empty'):
        FontPool([])


def test_fonts_of_a_part_are_whole_families():
    train, test = (FontPool(part=part) for part in ('train', 'test'))
    assert len(train) + len(test) == len(installed_fonts())
    names = [{font_family(font.path) for font in pool.mixture.fonts} for pool in (train, test)]
    assert not names[0] & names[1]
    assert 'DejaVu Sans' in names[0]
    assert 'STIXGeneral' in names[1]


def test_a_family_is_read_or_else_named_after_the_file(tmp_path):
    assert font_family(default_font_path()) == 'DejaVu Sans'
    assert font_family(neighbour('DejaVuSansMono-Bold.ttf')) == 'DejaVu Sans Mono'
    with TTFont(default_font_path()) as font:
        del font['name']
        font.save(tmp_path / 'nameless.ttf')
    assert font_family(tmp_path / 'nameless.ttf') == 'nameless'


def test_a_part_without_fonts_is_refused():
    with pytest.raises(ValueError, match=r"none of the 1 fonts belongs to the part 'test'"):
        FontPool(default_font_path(), 'test')
    with pytest.raises(ValueError, match=r"part is 'val'"):
        FontPool(default_font_path(), 'val')
