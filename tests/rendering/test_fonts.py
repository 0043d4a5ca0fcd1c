import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables.TupleVariation import TupleVariation

from odm_mmocr.rendering.faults import UncoveredText
from odm_mmocr.rendering.fonts import Font, FontChain, default_font_path, find_font, load_fonts


def test_a_bundled_font_by_its_name(tmp_path, monkeypatch):
    (font,) = load_fonts('DejaVuSans-Bold.ttf')
    assert Path(font.path).parent == Path(default_font_path()).parent
    monkeypatch.chdir(tmp_path)
    shutil.copy(default_font_path(), 'DejaVuSans-Bold.ttf')  # a file that is there comes first
    assert find_font('DejaVuSans-Bold.ttf') == 'DejaVuSans-Bold.ttf'
    with pytest.raises(FileNotFoundError, match='DejaVuNone'):
        load_fonts('DejaVuNone.ttf')


def test_default_is_dejavu_sans():
    (font,) = load_fonts()
    assert font.path == default_font_path()
    assert font.path.endswith('DejaVuSans.ttf')


def test_default_is_found_without_importing_matplotlib():
    script = (
        'import sys; sys.modules["mmengine"] = None; '
        'from odm_mmocr.rendering import load_fonts; load_fonts(); '
        'sys.exit("matplotlib" in sys.modules)'
    )
    subprocess.run([sys.executable, '-W', 'ignore', '-c', script], check=True)


def test_coverage_follows_the_character_map(letters_only):
    font = Font(str(letters_only))
    assert font.covers('A')
    assert font.covers('word')
    assert not font.covers('1')
    assert not font.covers('a1')


@pytest.mark.parametrize('character', ['\x00', '\n', '\x7f', '\ud800', '\ue000', '\uffff'])
def test_what_shows_nothing_is_not_covered(character):
    assert not load_fonts().covers(character)


def test_one_font_for_the_whole_word_is_preferred(letters_only):
    chain = load_fonts([letters_only, default_font_path()])
    assert chain.runs('word') == [(chain.fonts[0], 'word')]
    assert chain.runs('word1') == [(chain.fonts[1], 'word1')]


def test_a_word_is_mixed_where_no_font_has_all_of_it(letters_only, digits_only):
    chain = load_fonts([letters_only, digits_only])
    letters, digits = chain
    assert chain.runs('ab12c') == [(letters, 'ab'), (digits, '12'), (letters, 'c')]
    assert chain.covers('ab12c')
    assert not chain.covers('ab-12')


def test_marks_stay_with_their_letter(letters_only):
    chain = load_fonts([letters_only, default_font_path()])
    for _, part in chain.runs('x\u0302y\u0302'):
        assert not part.startswith('\u0302')


def test_missing_character_is_named():
    assert not load_fonts().covers('a汉')
    with pytest.raises(ValueError, match=r"'\\u6c49'"):
        load_fonts().runs('a汉')


def test_chains_are_values():
    chain = load_fonts([default_font_path()])
    assert chain == load_fonts()
    assert hash(chain) == hash(load_fonts())
    assert pickle.loads(pickle.dumps(chain)) == chain
    assert load_fonts(chain) is chain
    assert load_fonts(chain.fonts[0]) == chain


def test_faces_of_a_collection(collection):
    first, second = load_fonts([f'{collection}#0', f'{collection}#1'])
    assert first.path == second.path == str(collection)
    assert first != second
    assert first.characters != second.characters
    assert first.glyph('l', 100).advance != second.glyph('l', 100).advance
    with pytest.raises(ValueError, match=r'collection\.ttc'):
        load_fonts(f'{collection}#2')


def test_a_face_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match='DejaVuSans'):
        load_fonts('DejaVuSans.ttf#3')


def test_capitals_have_the_asked_height(font_folder):
    for name in ('DejaVuSans.ttf', 'DejaVuSerif.ttf', 'cmr10.ttf', 'STIXGeneral.ttf'):
        font = Font(str(font_folder / name))
        glyph = font.glyph('H', round(200 / font.cap_height))
        assert abs(glyph.mask.shape[0] - 200) <= 2
        assert font.x_height < font.cap_height


def test_errors_name_the_path_and_the_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no/where\.ttf.*give the path'):
        load_fonts('no/where.ttf')
    with pytest.raises(ValueError, match='is a folder'):
        load_fonts(tmp_path)
    cut = Path(default_font_path()).read_bytes()[:3000]
    for name, content in (('text.ttf', b'no font'), ('empty.ttf', b''), ('cut.ttf', cut)):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf'{path.stem}\.ttf.*is not a font file'):
            load_fonts(path)
    with pytest.raises(TypeError, match='fonts must be'):
        load_fonts(7)
    with pytest.raises(ValueError, match='at least one font'):
        load_fonts([])
    with pytest.raises(ValueError, match='at least one font'):
        FontChain(())


def test_variable_fonts_are_regular(font_folder, tmp_path):
    """Not of the weight that happens to be their default, which may be a hairline."""
    weights = {}
    for name, points in (('thin', 40), ('regular', 120)):
        builder = FontBuilder(1000)
        builder.setupGlyphOrder(['.notdef', 'l'])
        builder.setupCharacterMap({ord('l'): 'l'})
        pen = TTGlyphPen(None)
        pen.moveTo((100, 0))
        pen.lineTo((100, 700))
        pen.lineTo((100 + points, 700))
        pen.lineTo((100 + points, 0))
        pen.closePath()
        builder.setupGlyf({'.notdef': TTGlyphPen(None).glyph(), 'l': pen.glyph()})
        builder.setupHorizontalMetrics({'.notdef': (400, 0), 'l': (400, 100)})
        builder.setupHorizontalHeader(ascent=800, descent=-200)
        builder.setupNameTable({'familyName': 'Stick', 'styleName': name})
        builder.setupOS2()
        builder.setupPost()
        weights[name] = builder
    thin = weights['thin']
    thin.setupFvar([('wght', 100, 100, 700, 'Weight')], [])
    shift = [(0, 0), (0, 0), (160, 0), (160, 0)] + [(0, 0)] * 4
    thin.setupGvar({'l': [TupleVariation({'wght': (0, 1, 1)}, shift)]})
    thin.save(tmp_path / 'variable.ttf')
    weights['regular'].save(tmp_path / 'regular.ttf')
    variable, regular = (Font(str(tmp_path / f'{n}.ttf')) for n in ('variable', 'regular'))
    width = variable.glyph('l', 200).mask.shape[1]
    assert width == pytest.approx(regular.glyph('l', 200).mask.shape[1], abs=1)


def test_blanks_and_boxes_are_no_glyphs(tmp_path, japanese):
    """Some fonts map scripts that they lack to an empty glyph, or to their box."""
    with TTFont(default_font_path()) as font:
        glyphs, metrics = font['glyf'], font['hmtx']
        glyphs['box.copy'], metrics['box.copy'] = glyphs['.notdef'], metrics['.notdef']
        font['cmap'].tables = [table for table in font['cmap'].tables if table.isUnicode()]
        for table in font['cmap'].tables:
            table.cmap.update({ord('日'): 'space', ord('本'): 'box.copy', ord('語'): 'A'})
        path = tmp_path / 'fake.ttf'
        font.save(path)
    fake = Font(str(path))
    assert fake.covers('日本語')
    assert [fake.shows(c) for c in '日本語'] == [False, False, True]
    assert not load_fonts(path).covers('日本')
    chain = load_fonts([path, japanese])
    assert chain.runs('日') == [(chain.fonts[1], '日')]


def test_blanks_and_real_boxes_are_shown():
    font = load_fonts().fonts[0]
    assert font.shows('a b\u00a0c')
    assert font.shows('\u25a1\u25af')
    assert font.shows('a\u200db')  # a joiner shows nothing, in any font
    assert not font.shows('汉')


@pytest.mark.parametrize(('extent', 'advance'), [(16000, 20), (10, 32000)])
def test_giant_glyphs_count_as_missing(tmp_path, extent, advance):
    """With 16 units an em they would take gigabytes, or more than FreeType can count to."""
    builder = FontBuilder(16, isTTF=True)
    names = ['.notdef', *'Hax']
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(name): name for name in 'Hax'})
    glyphs = {}
    for number, name in enumerate(names):
        pen, side = TTGlyphPen(None), extent - number
        pen.moveTo((-side, -side))
        for corner in ((-side, side), (side, side), (side, -side)):
            pen.lineTo(corner)
        pen.closePath()
        glyphs[name] = pen.glyph()
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(names, (advance, 0)))
    builder.setupHorizontalHeader(ascent=16, descent=0)
    builder.setupNameTable(dict(familyName='Giant', styleName='Regular'))
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / 'giant.ttf')
    font = Font(str(tmp_path / 'giant.ttf'))
    for size in (8, 48, 512):
        assert font.glyph('a', size).mask.size == 0
    assert font.covers('Hax') and not font.shows('a')
    assert font.cap_height > 0
    with pytest.raises(UncoveredText):
        FontChain((font,)).runs('Ha')
