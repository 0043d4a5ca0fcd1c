import cv2
import numpy as np
import pytest
from fontTools.ttLib import TTFont

from odm_mmocr.rendering.faults import (
    TooSmall,
    UncoveredText,
    Undrawable,
    UnusablePolygon,
    UnusableText,
)
from odm_mmocr.rendering.fonts import load_fonts
from odm_mmocr.rendering.labels import fill_polygons, fit_text, render_label, render_words

SIZE = 400
SHAPE = (SIZE, SIZE)
QUAD = np.array([[80, 160], [320, 170], [318, 220], [82, 214]], np.float64)


def arc(points: int = 8, start: float = 200, end: float = 340) -> np.ndarray:
    angle = np.deg2rad(np.linspace(start, end, points))
    circle = np.stack((np.cos(angle), np.sin(angle)), -1)
    return np.concatenate((150 * circle, 100 * circle[::-1])) + (200, 240)


def s_curve(points: int = 12) -> np.ndarray:
    x = np.linspace(40, 360, points)
    y = 200 + 50 * np.sin(x / 50)
    normal = np.stack((-np.cos(x / 50), np.ones_like(x)), -1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    line = np.stack((x, y), -1)
    return np.concatenate((line - 20 * normal, (line + 20 * normal)[::-1]))


SHAPES = {
    'quad': QUAD,
    'steep': np.array([[100, 300], [260, 60], [300, 90], [140, 330]], np.float64),
    'arc': arc(),
    'smile': arc(9, 160, 20) * (1, -1) + (0, 440),
    'S-curve': s_curve(),
    'near circle': arc(24, -85, 255),
}


def iou(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first > 127, second > 127
    return (first & second).sum() / max((first | second).sum(), 1)


def apply(transform: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    return cv2.perspectiveTransform(polygon.reshape(1, -1, 2), transform)[0]


def rotation(angle: float, scale: float = 1) -> np.ndarray:
    return np.vstack((cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), angle, scale), (0, 0, 1)))


def perspective(seed: int, strength: float) -> np.ndarray:
    corners = np.float32([[0, 0], [SIZE, 0], [SIZE, SIZE], [0, SIZE]])
    moved = corners + np.random.default_rng(seed).uniform(-strength, strength, (4, 2))
    return cv2.getPerspectiveTransform(corners, moved.astype(np.float32))


@pytest.mark.parametrize('name', SHAPES)
@pytest.mark.parametrize('text', ['Entrance', 'jogging', 'W', '24.12.', 'Ärger'])
def test_ink_stays_in_its_polygon(name, text):
    label = render_label([SHAPES[name]], [text], SHAPE)
    inside = fill_polygons([SHAPES[name]], SHAPE)
    assert label.any()
    assert label[inside].sum(dtype=float) >= 0.99 * label.sum(dtype=float)


@pytest.mark.parametrize('height', [8, 12, 20, 60])
def test_ink_fills_its_polygon(height):
    """Along at least 90 % of the length and nearly all of the height, small words as well."""
    width = 4 * height
    box = np.array([20, 30, 20 + width, 30, 20 + width, 30 + height, 20, 30 + height], float)
    ink = render_label([box], ['Entrance'], SHAPE) > 64
    columns, rows = np.flatnonzero(ink.any(0)), np.flatnonzero(ink.any(1))
    assert np.ptp(columns) + 1 >= 0.9 * width - 1
    assert np.ptp(rows) + 1 >= 0.85 * height - 1


def test_label_spans_black_to_white():
    label = render_label([QUAD], ['Word'], SHAPE)
    assert label.dtype == np.uint8
    assert label.shape == SHAPE
    assert label.max() == 255
    assert (label == 0).mean() > 0.9


@pytest.mark.parametrize('angle', [0.5, 30, 90, 180, 250])
@pytest.mark.parametrize('polygon', [QUAD, arc()], ids=['quad', 'arc'])
def test_rotation_commutes(polygon, angle):
    transform = rotation(angle)
    moved = cv2.warpPerspective(render_label([polygon], ['Rotation'], SHAPE), transform, SHAPE)
    assert iou(render_label([apply(transform, polygon)], ['Rotation'], SHAPE), moved) >= 0.9


@pytest.mark.parametrize('scale', [0.7, 1.2])
@pytest.mark.parametrize('polygon', [QUAD, arc()], ids=['quad', 'arc'])
def test_scaling_commutes(polygon, scale):
    transform = rotation(0, scale)
    moved = cv2.warpPerspective(render_label([polygon], ['Scaling'], SHAPE), transform, SHAPE)
    assert iou(render_label([apply(transform, polygon)], ['Scaling'], SHAPE), moved) >= 0.9


@pytest.mark.parametrize('seed', range(6))
def test_perspective_commutes(seed):
    transform = perspective(seed, 60)
    moved = cv2.warpPerspective(render_label([QUAD], ['Perspective'], SHAPE), transform, SHAPE)
    assert iou(render_label([apply(transform, QUAD)], ['Perspective'], SHAPE), moved) >= 0.9


def test_reading_direction_follows_the_vertices():
    """Started two corners later, the word stands on its head."""
    label = render_label([QUAD], ['LLLL'], SHAPE)
    turned = render_label([QUAD[[2, 3, 0, 1]]], ['LLLL'], SHAPE)
    transform = cv2.getPerspectiveTransform(
        QUAD.astype(np.float32), QUAD[[2, 3, 0, 1]].astype(np.float32)
    )
    assert iou(label, turned) < 0.5
    assert iou(cv2.warpPerspective(label, transform, SHAPE), turned) >= 0.9


def test_order_of_words_does_not_matter():
    polygons = [QUAD, arc(), s_curve(), QUAD + 20]
    texts = ['One', 'Two', 'Three', 'Four']
    label = render_label(polygons, texts, SHAPE)
    np.testing.assert_array_equal(label, render_label(polygons[::-1], texts[::-1], SHAPE))
    words = [render_label([p], [t], SHAPE) for p, t in zip(polygons, texts)]
    np.testing.assert_array_equal(label, np.max(words, axis=0))


def test_flat_lists_and_arrays_are_the_same():
    label = render_label([QUAD], ['Same'], SHAPE)
    for polygon in (QUAD.ravel(), QUAD.ravel().tolist(), QUAD.tolist()):
        np.testing.assert_array_equal(label, render_label([polygon], ['Same'], SHAPE))


@pytest.mark.parametrize('polygon', [QUAD, arc()], ids=['quad', 'arc'])
@pytest.mark.parametrize('shift', [(-200, 0), (0, -190), (190, 200)])
def test_a_word_half_outside_is_drawn_half(polygon, shift):
    around = render_label([polygon + shift + (SIZE, SIZE)], ['Half'], (3 * SIZE, 3 * SIZE))
    label, faults = render_words([polygon + shift], ['Half'], SHAPE)
    np.testing.assert_array_equal(label, around[SIZE : 2 * SIZE, SIZE : 2 * SIZE])
    assert 0 < label.sum(dtype=float) < around.sum(dtype=float)
    assert faults == [None]


def tall(width: float, height: float, x: float = 50, y: float = 30) -> np.ndarray:
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])


def test_turned_where_the_proportions_say_so():
    """As the spine of a book: from top to bottom, its letters' feet to the left."""
    for text in ('Entrance', 'HOUSE', 'OFF'):
        strip, ribbon = fit_text(text, tall(40, 200), load_fonts())
        assert not strip.stacked
    np.testing.assert_array_equal(ribbon.top, tall(40, 200)[1:3])


def test_wrong_start_vertex_of_a_level_word_is_mended():
    """MTWI starts some boxes at their lower left; the word still reads from left to right."""
    level = np.array([[50, 170], [350, 170], [350, 230], [50, 230]], float)
    for angle in (-80, -20, 0, 5, 45, 50):
        polygon = apply(rotation(angle), level)
        expected = render_label([polygon], ['Direction'], SHAPE)
        for start in (1, 3):
            label = render_label([np.roll(polygon, start, axis=0)], ['Direction'], SHAPE)
            assert iou(label, expected) > 0.95


@pytest.mark.parametrize('start', [0, 2])
def test_turned_text_reads_from_top_to_bottom(start):
    polygon = np.roll(tall(40, 200), start, axis=0)
    _, ribbon = fit_text('Entrance', polygon, load_fonts())
    np.testing.assert_array_equal(ribbon.top[1] - ribbon.top[0], (0, 200))


def test_wide_characters_are_stacked_only_downwards(font_folder, tmp_path):
    """With letters that are passed off as fullwidth ones, which are set like ideographs."""
    text = 'ＡＢＣＤ'
    with TTFont(font_folder / 'DejaVuSansMono.ttf') as font:
        font['cmap'].tables = [table for table in font['cmap'].tables if table.isUnicode()]
        for table in font['cmap'].tables:
            table.cmap = {ord(c): chr(ord(c) - 0xFEE0) for c in text}
        font.save(tmp_path / 'wide.ttf')
    fonts = load_fonts(tmp_path / 'wide.ttf')
    strip, _ = fit_text(text, tall(40, 120), fonts)
    assert strip.stacked
    strip, ribbon = fit_text(text, np.roll(tall(120, 40), 1, axis=0), fonts)
    assert not strip.stacked
    np.testing.assert_array_equal(ribbon.top[1] - ribbon.top[0], (120, 0))


@pytest.mark.parametrize('text', ['I', 'll', 'Hi', 'OFF'])
def test_short_words_in_narrow_boxes_stay_upright(text):
    strip, ribbon = fit_text(text, tall(40, 64), load_fonts())
    assert not strip.stacked
    np.testing.assert_array_equal(ribbon.top, tall(40, 64)[:2])


def test_undrawable_words_are_told_and_harm_no_other():
    polygons = [QUAD, arc(), QUAD, np.full(8, np.nan), [], QUAD * 1e9, QUAD[[0, 2, 1, 3]], QUAD]
    texts = ['Good', '汉字', '', 'nan', 'empty', 'huge', 'bow tie', 'a\x00b']
    label, faults = render_words(polygons, texts, SHAPE)
    expected = [UncoveredText, UnusableText] + [UnusablePolygon] * 4 + [UncoveredText]
    assert [type(fault) for fault in faults] == [type(None), *expected]
    np.testing.assert_array_equal(label, render_label([QUAD], ['Good'], SHAPE))


def test_word_outside_the_image_counts_as_drawn():
    label, faults = render_words([QUAD + 5000], ['Far'], SHAPE)
    assert faults == [None]
    assert not label.any()


def test_no_words():
    label, faults = render_words([], [], (7, 9))
    assert label.shape == (7, 9)
    assert not label.any()
    assert faults == []


def test_unequal_numbers_are_an_error():
    with pytest.raises(ValueError, match='2 polygons but 1 texts'):
        render_label([QUAD, QUAD], ['one'], SHAPE)


def test_fallback_font_draws_what_the_first_lacks(letters_only, digits_only):
    fonts = [letters_only, digits_only]
    _, faults = render_words([QUAD] * 3, ['ab12', '12', 'a-1'], SHAPE, fonts)
    assert faults[:2] == [None, None]
    assert "'-'" in str(faults[2])


def test_filled_polygons_may_overlap_and_leave_the_image():
    filled = fill_polygons(
        [QUAD, QUAD, QUAD + (0, 10), arc() + (300, 0), QUAD * 1e9, [1, 2]], SHAPE
    )
    assert filled.dtype == bool
    assert filled[190, 200]
    assert filled[222, 200]
    assert not filled[100, 100]


def test_filled_polygon_covers_what_it_touches():
    filled = fill_polygons([[10.4, 10.4, 12.6, 10.4, 12.6, 11.6, 10.4, 11.6]], (20, 20))
    assert filled[10:13, 10:14].all()
    assert filled.sum() <= 20


@pytest.mark.parametrize(
    'points',
    [
        [10, 10, 40, 10, 40, 30, 10, np.nan],
        [10, 10, 40, 30],
        [10, 10, 40, 10, 40, 30, 7],
        [10, 10, np.inf, 5, 40, 30],
    ],
)
def test_what_is_known_of_a_broken_polygon_is_filled(points):
    filled = fill_polygons([points], (40, 60))
    assert filled[20:30, 26:39].any()
    assert not filled[:, 42:].any()


def test_far_points_keep_the_slope_of_their_sides():
    filled = fill_polygons([[0, 0, 100_000, 50_000, 0, 50_000]], (640, 640))
    assert filled.mean() == pytest.approx(0.75, abs=0.01)


def test_sides_that_cross_are_refused():
    """Also where every part of the polygon by itself has an area."""
    polygon = [58.9, 67.5, 126.8, 138.8, 95, 150.2, 78.4, 180.7, 54.9, 172.9, 119.1, 154.6]
    _, (fault,) = render_words([polygon], ['cross'], SHAPE)
    assert 'crosses itself' in str(fault)


def test_too_small_is_a_fault_of_its_own():
    _, (fault,) = render_words([QUAD * 0.001], ['small'], SHAPE)
    assert isinstance(fault, TooSmall)


@pytest.mark.parametrize('shape', [(1, 1), (1, 50), (50, 1), (0, 0)])
def test_tiny_images(shape):
    label, faults = render_words([QUAD, QUAD - 180], ['Tiny', 'Image'], shape)
    assert label.shape == shape
    assert faults == [None, None]


def test_very_wide_images():
    """OpenCV refuses to remap more than 32766 pixels a side, which is not to be a crash."""
    quad = np.array([[0, 0], [39_999, 0], [39_999, 9], [0, 9]], float)
    curve = np.insert(quad, (1, 3), [[20_000, 1], [20_000, 9]], axis=0)
    _, faults = render_words([quad, curve], ['panorama' * 20] * 2, (10, 40_000))
    assert faults[0] is None
    assert isinstance(faults[1], UnusablePolygon)


@pytest.fixture(scope='module')
def odd_fonts(letters_only, digits_only, collection, japanese) -> list:
    """Fonts that lack most characters, a face of a collection, one with Japanese, the default."""
    return [[letters_only], [digits_only, letters_only], [f'{collection}#1'], [japanese], None]


@pytest.mark.parametrize(
    'count', [300, pytest.param(10_000, marks=pytest.mark.slow)], ids=['some', 'many']
)
def test_fuzzed_annotations_never_crash(count, fuzz, odd_fonts):
    rng = np.random.default_rng(count)
    annotations = [fuzz(rng) for _ in range(count)]
    for start in range(0, count, 20):
        polygons, texts, boxes = zip(*annotations[start : start + 20])
        shape = [(90, 120), (1, 1), (400, 300)][start // 20 % 3]
        fonts = odd_fonts[start // 20 % len(odd_fonts)]
        label, faults = render_words(polygons, texts, shape, fonts, boxes)
        assert label.shape == shape
        assert all(fault is None or str(fault) for fault in faults)
        undrawn = [isinstance(fault, Undrawable) for fault in faults]
        for only, (polygon, text) in zip(undrawn, zip(polygons, texts)):
            if only:
                assert not render_label([polygon], [text], shape, fonts).any()
        fill_polygons(polygons, shape)


def test_icdar_words_are_drawn_within_their_quads(shared_data):
    """Real annotations, at the size of training: all are drawn, with their ink where it belongs."""
    words = inside = total = 0
    for path in sorted((shared_data / 'icdar2015' / 'train_gt').glob('*.txt'))[::40]:
        lines = [line.split(',', 8) for line in path.read_text('utf-8-sig').splitlines() if line]
        lines = [line for line in lines if line[8] != '###']
        polygons = [np.array(line[:8], np.float32) / 2 for line in lines]
        label, faults = render_words(polygons, [line[8] for line in lines], (360, 640))
        assert not any(faults)
        words += len(lines)
        inside += label[fill_polygons(polygons, label.shape)].sum(dtype=float)
        total += label.sum(dtype=float)
    assert words > 50
    assert inside >= 0.99 * total


def test_a_million_points_take_neither_time_nor_memory():
    points = np.random.default_rng(0).uniform(0, 100, 2 * 10**6)
    label, (fault,) = render_words([points], ['word'], (100, 100))
    assert not label.any() and 'crosses itself' in str(fault)
    filled = fill_polygons([points], (100, 100))
    assert filled[5:95, 5:95].all()


@pytest.mark.parametrize('text', ['x' * 10**6, 'a' + '\u0301\u0316' * 10**5], ids=['long', 'marks'])
def test_a_text_of_any_length_is_refused_at_once(text):
    """Bringing marks into order takes the square of their number."""
    _, (fault,) = render_words([[10, 10, 90, 10, 90, 40, 10, 40]], [text], (50, 100))
    assert 'at most 1000 can be drawn' in str(fault) and len(str(fault)) < 100
