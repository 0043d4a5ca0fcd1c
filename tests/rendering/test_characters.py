import cv2
import numpy as np
import pytest

from odm_mmocr.rendering.characters import check_quads
from odm_mmocr.rendering.faults import UnusableCharacters
from odm_mmocr.rendering.fonts import load_fonts
from odm_mmocr.rendering.labels import render_label, render_words
from odm_mmocr.rendering.meshes import Ribbon, map_points
from odm_mmocr.rendering.strips import render_strip

SHAPE = (300, 500)
FONTS = load_fonts()
LEVEL = np.array([[30, 100], [430, 100], [430, 160], [30, 160]], np.float64)
TILTED = np.array([[30, 80], [430, 120], [420, 200], [40, 140]], np.float64)


def arc() -> np.ndarray:
    angle = np.deg2rad(np.linspace(200, 340, 12))
    circle = np.stack((np.cos(angle), np.sin(angle)), -1)
    return np.concatenate((180 * circle, 120 * circle[::-1])) + (250, 220)


def cells(text: str, polygon: np.ndarray) -> np.ndarray:
    """Boxes side by side and of one height, as the synthesizer gives them."""
    strip = render_strip(text, FONTS, 128)
    return map_points(strip.character_quads(), polygon, strip.mask.shape)


def ink_boxes(text: str, polygon: np.ndarray) -> np.ndarray:
    """Boxes tight to the ink of each character."""
    strip = render_strip(text, FONTS, 128)
    quads = []
    for place in strip.glyphs:
        mask, x, y = place.draw(), place.x, place.y
        x0, y0 = x / strip.glyph_scale, y / strip.glyph_scale
        x1, y1 = x0 + mask.shape[1] / strip.glyph_scale, y0 + mask.shape[0] / strip.glyph_scale
        quads.append([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    return map_points(np.array(quads), polygon, strip.mask.shape)


def iou(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first > 127, second > 127
    return (first & second).sum() / max((first | second).sum(), 1)


@pytest.mark.parametrize('boxes', [cells, ink_boxes])
@pytest.mark.parametrize('text', ['Elephant', 'jogging', 'CAPITALS', '24.12.', 'Ärger', 'W'])
@pytest.mark.parametrize('polygon', [LEVEL, TILTED], ids=['level', 'tilted'])
def test_boxes_of_the_same_font_give_the_same_label(boxes, text, polygon):
    """Whether a data set boxes cells or ink is told from the boxes themselves."""
    whole = render_label([polygon], [text], SHAPE, FONTS)
    quads = boxes(text, polygon)
    label, faults = render_words([polygon], [text], SHAPE, FONTS, [quads])
    assert faults == [None]
    # Of letters of one height it cannot be told; they come out smaller by the margins of a cell.
    alike = text in ('CAPITALS', 'W')
    assert iou(label, whole) >= (0.4 if boxes is ink_boxes and alike else 0.9)


def test_boxes_along_a_curve_bend_with_it():
    label, faults = render_words([arc()], ['Elephant'], SHAPE, FONTS, [cells('Elephant', arc())])
    assert faults == [None]
    assert iou(label, render_label([arc()], ['Elephant'], SHAPE, FONTS)) >= 0.9


def test_letters_along_a_curve_keep_their_distances():
    """Of boxes for another font, with wide letters at the end, each letter stays in its own."""
    strip = render_strip('HHHH', FONTS, 128)
    quads = strip.character_quads()
    width = strip.mask.shape[1]
    quads[..., 0] = width * (quads[..., 0] / width) ** 2
    ribbon = Ribbon.from_polygon(arc())
    boxes = ribbon.map(quads, strip.mask.shape)
    label, _ = render_words([arc()], ['HHHH'], SHAPE, FONTS, [boxes])
    flat = ribbon.rectify(label, 100)
    gaps = flat[40:60].max(0) > 127
    borders = quads[1:, 0, 0] / width * flat.shape[1]
    for border in borders.astype(int):
        assert not gaps[max(border - 2, 0) : border + 3].all()
    starts = np.flatnonzero(np.diff(gaps.astype(int)) == 1)
    assert len(starts) == 4
    for start, border in zip(starts[1:], borders, strict=True):
        assert 0 <= start - border < 40


@pytest.mark.parametrize('polygon', [LEVEL, arc()], ids=['straight', 'curve'])
def test_every_glyph_stays_in_its_box(polygon):
    """Also where the boxes are those of a typeface with equally wide letters."""
    text = 'Willi'
    strip = render_strip(text, load_fonts('DejaVuSansMono.ttf'), 128)
    quads = map_points(strip.character_quads(), polygon, strip.mask.shape)
    for i in range(len(text)):
        box = np.zeros(SHAPE, np.uint8)
        cv2.fillConvexPoly(box, quads[i].round().astype(np.int32), 1)
        alone, _ = render_words([polygon], [text[i]], SHAPE, FONTS, [quads[i : i + 1]])
        assert alone[box > 0].sum(dtype=float) >= 0.93 * alone.sum(dtype=float) > 0


def test_narrow_letters_do_not_become_beams():
    """An i in the box of a typewriter is drawn wider than in print, but not twice as wide."""
    quads = cells('mmmm', LEVEL)
    label, _ = render_words([LEVEL], ['miii'], SHAPE, FONTS, [quads])
    columns = label[120:150].max(0) > 127
    letter = np.flatnonzero(columns[int(quads[2, 0, 0]) : int(quads[2, 1, 0])])
    plain = render_label([LEVEL], ['miii'], SHAPE, FONTS)[120:150].max(0) > 127
    runs = np.diff(np.flatnonzero(np.diff(plain.astype(int)) != 0))
    assert 0 < np.ptp(letter) + 1 <= 2.2 * runs[-1]


def test_boxes_of_blanks_may_be_missing():
    text = 'Two words'
    quads = cells(text, LEVEL)
    inked = [c != ' ' for c in text]
    both = [render_label([LEVEL], [text], SHAPE, FONTS, [q]) for q in (quads, quads[inked])]
    np.testing.assert_array_equal(*both)
    assert iou(both[0], render_label([LEVEL], [text], SHAPE, FONTS)) > 0.9


def test_words_without_boxes_are_drawn_along_their_polygons():
    polygons, texts = [LEVEL, LEVEL + (0, 100)], ['Boxes', 'None']
    label = render_label(polygons, texts, SHAPE, FONTS, [cells('Boxes', LEVEL), None])
    alone = render_label(polygons[1:], texts[1:], SHAPE, FONTS)
    np.testing.assert_array_equal(label[190:], alone[190:])


def test_characters_half_outside_the_image():
    quads = cells('Outside', LEVEL)
    whole = render_label([LEVEL], ['Outside'], SHAPE, FONTS, [quads])
    for shift in ((-200, 0), (250, 0), (0, -120), (9000, 0)):
        label = render_label([LEVEL + shift], ['Outside'], SHAPE, FONTS, [quads + shift])
        moved = cv2.warpAffine(whole, np.float32([[1, 0, shift[0]], [0, 1, shift[1]]]), SHAPE[::-1])
        assert np.abs(label.astype(int) - moved).max() <= 2


def test_fitting_boxes_stand_in_for_an_unusable_polygon():
    label, faults = render_words([LEVEL[:3]], ['Word'], SHAPE, FONTS, [cells('Word', LEVEL)])
    assert faults == [None]
    assert label.any()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda quads: quads[:-1], '3 character boxes for the 4'),
        (lambda quads: quads.ravel()[:-3], 'of 29 numbers'),
        (lambda quads: quads[:, ::-1], 'not convex or not clockwise'),
        (lambda quads: quads * np.nan, 'not finite'),
        (lambda quads: quads * 1e9, 'not finite or too far'),
        (lambda quads: quads * 1e-3, 'boxes of'),
        (lambda quads: quads * [[[1e-4]], [[1]], [[1]], [[1]]], 'at least'),
    ],
)
def test_boxes_that_do_not_fit_are_told(change, message):
    """And the word is drawn along its polygon."""
    quads = change(cells('Word', LEVEL))
    label, (fault,) = render_words([LEVEL], ['Word'], SHAPE, FONTS, [quads])
    assert isinstance(fault, UnusableCharacters)
    assert message in str(fault)
    np.testing.assert_array_equal(label, render_label([LEVEL], ['Word'], SHAPE, FONTS))


def test_checked_boxes_do_not_share_memory_with_the_annotation():
    quads = cells('Word', LEVEL).astype(np.float64)
    checked = check_quads(quads, 'Word')
    checked[:] = 0
    assert quads.any()


@pytest.mark.parametrize('side', [1e-3, 1e-2, 0.3])
@pytest.mark.parametrize('place', [0, 1e4, 9e5])
def test_tiny_boxes_are_survived(side, place):
    """One among others, in the image and far away."""
    quads = cells('Word', LEVEL).astype(np.float64)
    corner = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    quads[1] = place + 5 + side * corner
    label, (fault,) = render_words([LEVEL], ['Word'], SHAPE, FONTS, [quads])
    assert label.any()
    assert fault is None or 'at least' in str(fault)


def test_no_boxes_are_no_fault():
    label, faults = render_words([LEVEL], ['Word'], SHAPE, FONTS, [np.zeros((0, 4, 2))])
    assert faults == [None]
    assert label.any()


def test_unequal_numbers_are_an_error():
    with pytest.raises(ValueError, match='1 lists of character boxes but 2 texts'):
        render_words([LEVEL] * 2, ['a', 'b'], SHAPE, FONTS, [None])


def test_joining_scripts_are_drawn_whole():
    """Letters of Arabic join: their boxes do not count."""
    label, faults = render_words(
        [LEVEL], ['سلام'], SHAPE, FONTS, [np.repeat(LEVEL[None], 4, axis=0)]
    )
    assert faults == [None]
    np.testing.assert_array_equal(label, render_label([LEVEL], ['سلام'], SHAPE, FONTS))
