import cv2
import numpy as np
import pytest

from odm_mmocr.rendering.fonts import default_font_path, load_fonts, shaping_available
from odm_mmocr.rendering.strips import MAX_STRIP_SIDE, normalize_text, render_strip

FONTS = load_fonts()
raqm = pytest.mark.skipif(not shaping_available(), reason='this Pillow has no raqm and fribidi')


def ink_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@pytest.mark.parametrize('text', ['Entrance', 'xxx', 'Ägypten', 'fjord', '24/7', 'W', 'AVATAR'])
@pytest.mark.parametrize('height', [32, 100])
def test_strip_is_tight_to_the_ink(text, height):
    mask = render_strip(text, FONTS, height).mask
    left, top, right, bottom = ink_box(mask)
    margin = 0.04 * mask.shape[0] + 1
    assert left > 0
    assert top > 0
    assert max(left, top, mask.shape[1] - right, mask.shape[0] - bottom) <= margin


@pytest.mark.parametrize('text', ['-', '.', "'", '_', '...', '='])
def test_low_ink_keeps_the_height_of_a_small_letter(text):
    height = render_strip(text, FONTS, 100).mask.shape[0]
    assert height >= render_strip('x', FONTS, 100).mask.shape[0]


@pytest.mark.parametrize('text', ['I', 'i', 'l', '|', '!'])
def test_narrow_ink_keeps_the_width_of_its_character(text):
    mask = render_strip(text, FONTS, 100).mask
    left, _, right, _ = ink_box(mask)
    assert right - left < 0.8 * mask.shape[1]


def test_edges_part_the_characters():
    strip = render_strip('Tile', FONTS, 64)
    assert len(strip.edges) == 5
    assert strip.edges[0] == 0
    assert strip.edges[-1] == strip.size[1]
    assert (np.diff(strip.edges) > 0).all()
    # The cell of the narrow "i" holds one stroke: its dot and stem, not those of its neighbours.
    cell = strip.mask[:, round(strip.edges[1]) + 3 : round(strip.edges[2])]
    inked = cell.any(0).astype(int)
    assert np.abs(np.diff(inked)).sum() <= 2
    assert inked.any()


def test_edges_are_where_the_prefix_ends():
    strip, prefix = render_strip('HHHH', FONTS, 64), render_strip('HH', FONTS, 64)
    half = strip.mask[:, : prefix.mask.shape[1] - 4]
    np.testing.assert_allclose(half, prefix.mask[:, :-4], atol=80)  # within half a pixel
    assert strip.edges[2] == pytest.approx(strip.mask.shape[1] / 2, abs=2)


def test_baseline_is_below_the_letters_that_stand_on_it():
    for text in ('HxH', 'gHg'):
        strip = render_strip(text, FONTS, 100)
        column = strip.mask[:, round(strip.edges[1]) + 12 : round(strip.edges[2]) - 12]
        if text == 'gHg':
            assert abs(np.flatnonzero(column.any(1))[-1] + 1 - strip.baseline) <= 2
            assert strip.mask.shape[0] > strip.baseline + 10
        else:
            assert abs(ink_box(strip.mask)[3] - strip.baseline) <= 2


def test_stacked_letters_stand_below_each_other_in_order():
    strip = render_strip('LIT', FONTS, 64, True)
    assert strip.stacked
    assert strip.mask.shape[0] > 2.5 * strip.mask.shape[1]
    letters = [
        strip.mask[round(a) : round(b)] for a, b in zip(strip.edges, strip.edges[1:], strict=False)
    ]
    foot, head = letters[0], letters[2]
    rows = np.flatnonzero(foot.any(1))
    assert (foot[rows[-1] - 2] > 0).sum() > 2 * (foot[rows[0] + 2] > 0).sum()  # L: wide at its foot
    rows = np.flatnonzero(head.any(1))
    assert (head[rows[0] + 2] > 0).sum() > 2 * (head[rows[-1] - 2] > 0).sum()  # T: at its head
    centres = [np.flatnonzero(letter.any(0)).mean() for letter in letters]
    assert np.ptp(centres) <= 3


@pytest.mark.parametrize('stacked', [False, True])
def test_character_quads_tile_the_strip(stacked):
    strip = render_strip('Text', FONTS, 64, stacked)
    quads = strip.character_quads()
    height, width = strip.size
    assert quads.shape == (4, 4, 2)
    assert quads.dtype == np.float32
    np.testing.assert_array_equal(quads[0, 0], (0, 0))
    np.testing.assert_array_equal(quads[-1, 2], (width, height))
    sides = np.roll(quads, -1, 1) - quads
    turns = sides[:, :, 0] * np.roll(sides, -1, 1)[:, :, 1]
    turns -= sides[:, :, 1] * np.roll(sides, -1, 1)[:, :, 0]
    assert (turns > 0).all()  # clockwise
    shared = (3, 2) if stacked else (1, 2)
    np.testing.assert_array_equal(quads[0, list(shared)], quads[1, [0, 1 if stacked else 3]])


def test_normalisation():
    assert normalize_text('  two\t\nwords ') == 'two words'
    assert normalize_text('e\u0301') == 'é'
    assert normalize_text('soft\u00adhyphen\ufeff\ufe0f') == 'softhyphen'
    assert normalize_text('plain') == 'plain'
    assert normalize_text('A\U000e0100') == 'A'  # chooses among variants of an ideograph
    assert normalize_text('\u060012') == '\u060012'  # a sign, though a format character


@pytest.mark.parametrize(
    'text', ['', '   ', '\u00ad', 'a\x00b', '\x1b', '\ud800', '汉', 'x' * 1001, '\u2800']
)
def test_undrawable_texts_are_refused(text):
    with pytest.raises(ValueError):
        render_strip(text, FONTS, 64)


def test_long_texts_stay_small():
    mask = render_strip('W' * 1000, FONTS, 512).mask
    assert mask.shape[1] <= MAX_STRIP_SIDE
    assert render_strip('ab ' * 160, FONTS, 512, True).mask.shape[0] <= MAX_STRIP_SIDE


def test_equal_texts_are_drawn_once():
    assert render_strip('cached', FONTS, 64) is render_strip(' cached ', FONTS, 64)


def test_fallback_font_is_as_high_as_the_first(letters_only):
    chain = load_fonts([letters_only, default_font_path()])
    mixed = load_fonts([letters_only]).runs('H')[0][0]
    assert mixed.path == str(letters_only)
    heights = [
        np.ptp(np.flatnonzero(render_strip(text, chain, 100).mask.any(1))) for text in ('H', '1')
    ]
    assert abs(heights[0] - heights[1]) <= 3


@raqm
def test_joined_scripts_are_shaped():
    strip = render_strip('سلام', FONTS, 64)
    apart = sum(render_strip(character, FONTS, 64).mask.shape[1] for character in 'سلام')
    assert strip.mask.shape[1] < 0.8 * apart
    assert len(strip.edges) == 5


def test_unshaped_scripts_are_refused_without_raqm(monkeypatch):
    monkeypatch.setattr('odm_mmocr.rendering.strips.shaping_available', lambda: False)
    with pytest.raises(ValueError, match='shaped'):
        render_strip('مرحبا', FONTS, 61)


@raqm
def test_pairs_are_kerned():
    """As in "AV", whose letters reach into each other's cells."""
    kerned, plain = (render_strip(text, FONTS, 200) for text in ('AVAVA', 'AAAVV'))
    assert kerned.mask.shape[1] < plain.mask.shape[1] - 15
    cells = np.diff(kerned.edges)
    assert cells[1] == pytest.approx(cells[3], abs=2)
    assert cells[1] == pytest.approx(cells[2], abs=2)


@pytest.mark.parametrize(
    'text',
    [
        'Zürich', 'Łódź', 'Việt', 'Ωμέγα', 'Москва', 'Їжак', '12,50€', '−5°C', '½x²', 'don’t',
        '日本語', 'カタカナ', '漢字Tokyo', 'mixed漢字', '（注）',
    ],
)  # fmt: skip
def test_scripts_of_separate_letters(text, japanese):
    """Every character has ink in its own cell, in its order."""
    strip = render_strip(text, load_fonts([default_font_path(), japanese]), 64)
    assert strip.text == text
    assert len(strip.edges) == len(text) + 1
    assert not strip.leftward
    for start, end in zip(strip.edges, strip.edges[1:]):
        assert strip.mask[:, round(start) : round(end)].max() > 127


@raqm
@pytest.mark.parametrize('text', ['x\u0302\u0323', 'x\u0301', 'q\u0327', 'שָׁ', 'ي\u064e'])
def test_marks_sit_on_their_letters(text):
    """The picture of the letter, and more ink above or below, but hardly any beside."""
    text = normalize_text(text)
    marked, plain = render_strip(text, FONTS, 128).mask, render_strip(text[0], FONTS, 128).mask
    assert marked.shape[0] >= plain.shape[0]
    assert marked.shape[1] <= 1.35 * plain.shape[1]
    assert marked.sum(dtype=float) > 1.01 * plain.sum(dtype=float)


@raqm
@pytest.mark.parametrize('text', ['שלום', 'سلام', 'مرحبا'])
def test_right_to_left(text):
    """The first letter stands last, and its cell is the first of the quads."""
    strip = render_strip(text, FONTS, 64)
    assert strip.leftward
    quads = strip.character_quads()
    assert (np.diff(quads[:, 0, 0]) <= 0).all()
    assert quads[0, 1, 0] == strip.size[1]
    longer = render_strip(text + 'ו', FONTS, 64)
    assert longer.size[1] > strip.size[1]
    shared = strip.mask.shape[1] // 2
    rows = min(strip.mask.shape[0], longer.mask.shape[0]) - 12
    difference = np.abs(strip.mask[4:rows, -shared:].astype(int) - longer.mask[4:rows, -shared:])
    assert difference.mean() < 12


@raqm
@pytest.mark.parametrize('text', ['שלום12', '12שלום', 'שלום ab', 'ab שלום', 'א1ב2ג', 'x שלום 12 y'])
def test_directions_mix_alike_in_one_font_and_in_several(text, hebrew_only):
    """Runs of several fonts are ordered as one font orders all of them."""
    mixed = render_strip(text, load_fonts([hebrew_only, default_font_path()]), 64).mask
    single = render_strip(text, FONTS, 64).mask
    assert abs(mixed.shape[1] - single.shape[1]) <= 3
    width = min(mixed.shape[1], single.shape[1])
    a, b = mixed[:, :width] > 127, single[:, :width] > 127
    assert (a & b).sum() / (a | b).sum() > 0.6


def test_brackets_and_dashes_turn_in_a_column(japanese):
    fonts = load_fonts(japanese)
    line, column = render_strip('一', fonts, 64).mask, render_strip('本ー本', fonts, 64, True)
    assert line.shape[1] > line.shape[0]
    start, end = column.edges[1:3].astype(int)
    ink = np.argwhere(column.mask[start:end] > 127)
    high, wide = np.ptp(ink, axis=0)
    assert high > 3 * wide


@raqm
def test_marks_stay_on_their_letters_in_a_column():
    strip = render_strip('ex\u0301x', FONTS, 64, True)
    assert len(strip.edges) == 5
    assert strip.edges[3] == strip.edges[2] or strip.edges[2] == strip.edges[1]
    plain = render_strip('exx', FONTS, 64, True)
    assert strip.mask.shape[1] == plain.mask.shape[1]


def test_every_resolution_shows_the_same():
    """Small strips are averages of large ones: neither hinted nor shifted."""
    large = render_strip('Same', FONTS, 512).mask
    for height in (24, 32, 48, 100):
        strip = render_strip('Same', FONTS, height)
        assert strip.size[1] / strip.size[0] == pytest.approx(
            large.shape[1] / large.shape[0], rel=0.02
        )
        # Enlarged, so that parts of pixels at the border count as such.
        whole = cv2.resize(strip.mask, None, fx=8, fy=8, interpolation=cv2.INTER_LINEAR)
        whole = whole[: round(8 * strip.size[0]), : round(8 * strip.size[1])] > 127
        same = cv2.resize(large, whole.shape[::-1], interpolation=cv2.INTER_AREA) > 127
        assert (whole & same).sum() >= 0.9 * (whole | same).sum()
