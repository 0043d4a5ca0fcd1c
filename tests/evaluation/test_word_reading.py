"""Words are cut out level and in reading direction, from polygons of any kind."""

import cv2
import numpy as np
import pytest

from odm_mmocr.evaluation.word_reading import PPOCRReader, cut_word, find_sides, read_words
from odm_mmocr.pseudo_label.engines import from_upper_left
from odm_mmocr.rendering import fill_polygons, render_label

SHAPE = (520, 1250)


def arc(center: tuple, start: float, end: float, inner: float, outer: float) -> np.ndarray:
    """Outline of a part of a ring, from its outer side on, clockwise for growing angles."""
    angle = np.deg2rad(np.linspace(start, end, 9))
    circle = np.stack((np.cos(angle), np.sin(angle)), -1)
    return np.concatenate((outer * circle, inner * circle[::-1])) + center


def wave() -> np.ndarray:
    x = np.linspace(60, 560, 12)
    y = 420 + 30 * np.sin((x - 60) / 80)
    return np.concatenate((np.stack((x, y - 22), -1), np.stack((x, y + 22), -1)[::-1]))


CURVED = {
    'Crossing': arc((200, 220), 200, 340, 120, 165),
    # Held from below: its top is the inner side.
    'Harbour': np.roll(arc((650, 60), 30, 150, 150, 195), 9, axis=0),
    'Wave line': wave(),
    'Vertical': arc((1000, 250), -60, 60, 120, 160),
}
LEVEL = np.array([(40, 40), (300, 40), (300, 90), (40, 90)], float)


@pytest.fixture(scope='module')
def picture() -> np.ndarray:
    label = render_label(list(CURVED.values()), list(CURVED), SHAPE)
    return cv2.cvtColor(255 - label, cv2.COLOR_GRAY2BGR)


def outline(polygon: np.ndarray) -> np.ndarray:
    """What a segmenting detector makes of a word: a contour from anywhere."""
    mask = fill_polygons([polygon], SHAPE).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return max(contours, key=len)[:, 0].astype(float)


@pytest.mark.parametrize('text', CURVED)
@pytest.mark.parametrize('clockwise', [False, True])
def test_sides_of_curved_outlines(text, clockwise):
    polygon = CURVED[text]
    contour = np.roll(outline(polygon), 37, axis=0)[:: 1 if clockwise else -1]
    top, bottom = find_sides(contour)
    half = len(polygon) // 2
    height = np.linalg.norm(polygon[0] - polygon[-1])
    for found, side in ((top, polygon[:half]), (bottom, polygon[half:][::-1])):
        # The ends of contours are not that sharp; between them the sides must be met.
        assert np.abs(found[[0, -1]] - side[[0, -1]]).max() < 0.6 * height
        path = side.reshape(-1, 1, 2).astype(np.float32)
        for point in found[1:-1]:
            distance = cv2.pointPolygonTest(polygon.astype(np.float32), tuple(point), True)
            assert abs(distance) < 0.1 * height
            assert np.linalg.norm(path[:, 0] - point, axis=1).min() < 1.2 * height


def test_curved_words_are_read(picture):
    pytest.importorskip('rapidocr', reason='the extra "pseudo" is not installed')
    reader = PPOCRReader(threads=1)
    outlines = [outline(polygon) for polygon in CURVED.values()]
    for polygons, ordered in ((list(CURVED.values()), True), (outlines, False)):
        readings = read_words(picture, polygons, reader, ordered)
        assert [text for text, _ in readings] == list(CURVED)
        assert all(0.5 < score <= 1 for _, score in readings)


@pytest.mark.parametrize('start', range(4))
@pytest.mark.parametrize('step', [1, -1])
def test_quadrilaterals_are_cut_out_level_whatever_their_first_corner(start, step):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (160, 400, 3), np.uint8)
    crop = cut_word(image, np.roll(LEVEL, start, axis=0)[::step])
    np.testing.assert_array_equal(crop, image[40:90, 40:300])


def test_annotations_tell_the_reading_direction():
    image = np.random.default_rng(0).integers(0, 256, (160, 400, 3), np.uint8)
    upside_down = cut_word(image, np.roll(LEVEL, 2, axis=0), ordered=True)
    expected = cv2.rotate(image[40:90, 40:300], cv2.ROTATE_180)
    # Corners are those of the polygon, not of pixels: it is shifted by one.
    assert np.abs(upside_down[1:, 1:].astype(int) - expected[:-1, :-1]).max() <= 1


@pytest.mark.parametrize('ordered', [False, True])
def test_high_words_are_read_in_the_surest_direction(ordered):
    image = np.zeros((400, 160, 3), np.uint8)
    image[:100] = 255  # its upper end is bright
    given = []

    def reader(crops):
        """Sure where the bright end is at the left."""
        given.extend(crops)
        return [
            (f'{crop.shape[1]} wide', 0.9 if crop[:, :50].min() == 255 else 0.2) for crop in crops
        ]

    high = from_upper_left(LEVEL[::-1, ::-1])
    (reading, other) = read_words(image, [high, high * (1, 0.2)], reader, ordered)
    assert reading == ('260 wide', 0.9)  # downwards
    assert [crop.shape[:2] for crop in given[:3]] == [(260, 50), (50, 260), (50, 260)]
    np.testing.assert_array_equal(given[2], cv2.rotate(given[1], cv2.ROTATE_180))
    # The other one is not high.
    assert len(given) == 4 and other[0] == '50 wide'


def test_straight_words_of_many_points_are_rectangles():
    top = np.stack((np.linspace(40, 300, 9), np.full(9, 40.0)), -1)
    many = np.concatenate((top, top[::-1] + (0, 50)))
    crop = cut_word(np.zeros((160, 400, 3), np.uint8), np.roll(many, 5, axis=0))
    assert crop.shape[:2] == pytest.approx((50, 260), abs=1)


def test_a_margin_is_cut_out_on_all_sides():
    image = np.zeros((160, 400, 3), np.uint8)
    image[30:100, 30:310] = 255  # 10 pixels, a fifth of the height, around the word
    crop = cut_word(image, LEVEL, margin=0.2)
    assert crop.shape == (70, 280, 3) and crop.min() == 255
    assert cut_word(image, LEVEL, margin=0.5)[0].max() == 0
    curved = cut_word(image, wave() * 0.3, margin=0.2)
    assert curved.shape[0] == 48
    with pytest.raises(ValueError, match='margin=2: .* from 0 to 0.5'):
        cut_word(image, LEVEL, margin=2)


@pytest.mark.parametrize(
    'polygon',
    [
        np.zeros((0, 2)),
        LEVEL[:2],
        LEVEL * (1, 0.001),
        LEVEL + 1000,  # outside the image
        np.full((4, 2), np.nan),
    ],
)
def test_what_is_too_small_is_not_read(polygon):
    image = np.zeros((160, 400, 3), np.uint8)
    assert cut_word(image, polygon) is None
    given = []

    def reader(crops):
        given.extend(crops)
        return [('word', 0.9)] * len(crops)

    assert read_words(image, [polygon, LEVEL], reader) == [('', 0.0), ('word', 0.9)]
    assert len(given) == 1


def test_any_polygon_is_cut_out_or_left_out(fuzz):
    rng = np.random.default_rng(0)
    image = np.zeros((300, 400, 3), np.uint8)
    cut = 0
    for index in range(100):
        polygon, _, _ = fuzz(rng)
        crop = cut_word(image, polygon, ordered=index % 2 == 0, margin=0.1)
        if crop is not None:
            cut += 1
            assert crop.dtype == np.uint8 and crop.ndim == 3 and min(crop.shape) >= 1
    assert cut > 15
