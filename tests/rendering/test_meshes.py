import math

import cv2
import numpy as np
import pytest

from odm_mmocr.rendering.fonts import load_fonts
from odm_mmocr.rendering.meshes import (
    Ribbon,
    map_points,
    rectify,
    reduce,
    split_polygon,
    warp_strip,
)
from odm_mmocr.rendering.strips import render_strip

SHAPE = (240, 320)
QUAD = np.array([[40, 60], [260, 40], [280, 120], [50, 110]], np.float64)


def arc(points: int, start: float = 200, end: float = 340, outer=130, inner=80) -> np.ndarray:
    """Polygon of 2 * points along a circle, read clockwise; degrees."""
    angle = np.deg2rad(np.linspace(start, end, points))
    circle = np.stack((np.cos(angle), np.sin(angle)), -1)
    return np.concatenate((outer * circle, inner * circle[::-1])) + (160, 160)


def place(mask, polygon, shape=SHAPE) -> np.ndarray:
    image = np.zeros(shape, np.uint8)
    patch, (x, y) = warp_strip(mask, polygon, shape)
    image[y : y + patch.shape[0], x : x + patch.shape[1]] = patch
    return image


def dots(centres, size=(60, 240), radius=3) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    for x, y in centres:
        cv2.circle(mask, (int(x), int(y)), radius, 255, -1, cv2.LINE_AA)
    return mask


@pytest.mark.parametrize('count', [4, 6, 14, 20])
def test_split_keeps_the_reading_direction(count):
    polygon = arc(count // 2)
    top, bottom = split_polygon(polygon.astype(np.float32).ravel())
    np.testing.assert_allclose(top, polygon[: count // 2], rtol=1e-6)
    np.testing.assert_allclose(bottom, polygon[count // 2 :][::-1], rtol=1e-6)


@pytest.mark.parametrize('polygon', [QUAD, arc(4), arc(9), arc(40)], ids=['quad', '8', '18', '80'])
def test_drawing_and_mapping_agree(polygon):
    """A dot of the strip lands where its centre is mapped to."""
    for centre in ((25.5, 15.5), (120.5, 45.5), (215.5, 20.5)):
        drawn = place(dots([centre]), polygon).astype(float)
        ys, xs = np.mgrid[: SHAPE[0], : SHAPE[1]]
        seen = (drawn * xs).sum() / drawn.sum(), (drawn * ys).sum() / drawn.sum()
        expected = map_points(np.array(centre), polygon, (60, 240))
        np.testing.assert_allclose(seen, expected, atol=0.2)


@pytest.mark.parametrize('polygon', [QUAD, arc(7)], ids=['quad', 'arc'])
def test_corners_map_to_corners(polygon):
    corners = np.array([(0, 0), (240, 0), (240, 60), (0, 60)])
    half = len(polygon) // 2
    expected = polygon[[0, half - 1, half, -1]]
    mapped = map_points(corners, polygon, (60, 240))
    assert mapped.dtype == np.float32
    np.testing.assert_allclose(mapped, expected, atol=1e-3)


def test_quads_are_perspective():
    """Straight lines of the strip stay straight, which no bilinear map gives."""
    xs = np.linspace(0, 240, 9)
    line = map_points(np.stack((xs, xs / 4), -1), QUAD, (60, 240)).astype(float)
    direction = line[-1] - line[0]
    offset = np.cross(line - line[0], direction / np.linalg.norm(direction))
    assert np.abs(offset).max() < 1e-3


def test_curves_follow_the_arc_length():
    """Unequally set points on a circle do not squeeze the letters between them."""
    angle = np.deg2rad([200, 205, 210, 290, 340])
    circle = np.stack((np.cos(angle), np.sin(angle)), -1)
    uneven = np.concatenate((130 * circle, 80 * circle[::-1])) + (160, 160)
    points = np.stack((np.linspace(20, 220, 6), np.full(6, 30)), -1)
    steps = np.linalg.norm(np.diff(map_points(points, uneven, (60, 240)), axis=0), axis=1)
    assert steps.max() < 1.3 * steps.min()


def test_quad_given_by_more_points_is_drawn_alike():
    mask = render_strip('Straight', load_fonts(), 64).mask
    quad = np.array([[20, 50], [300, 50], [300, 110], [20, 110]], np.float64)
    edge = np.linspace(0, 1, 5)[:, None]
    dense = np.concatenate(
        (quad[0] * (1 - edge) + quad[1] * edge, quad[2] * (1 - edge) + quad[3] * edge)
    )
    difference = np.abs(place(mask, quad).astype(int) - place(mask, dense))
    assert difference.max() <= 16


def test_no_seams_between_cells():
    image = place(np.full((60, 240), 255, np.uint8), arc(12))
    inner = cv2.erode((image > 0).astype(np.uint8), np.ones((5, 5))) > 0
    assert inner.sum() > 5000
    assert image[inner].min() == 255


@pytest.mark.parametrize('polygon', [QUAD, arc(9), 2 * arc(9)], ids=['quad', 'arc', 'large arc'])
def test_rectified_label_is_the_strip(polygon):
    mask = render_strip('Reading', load_fonts(), 128).mask
    flat = rectify(place(mask, polygon, (500, 600)), polygon, 48)
    assert flat.shape[0] == 48
    expected = cv2.resize(mask, flat.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(flat.astype(float) - expected).mean() < 8
    colours = rectify(np.dstack([place(mask, polygon)] * 3), polygon, 20)
    assert colours.shape[0] == 20
    assert colours.shape[2] == 3


def test_shrinking_does_not_alias():
    """Fine stripes become grey, whatever their phase."""
    stripes = np.zeros((400, 1600), np.uint8)
    stripes[:, ::2] = 255
    for polygon in (np.array([[20, 20], [220, 25], [219, 70], [21, 60]], float), arc(7)):
        image = place(stripes, polygon)
        inner = cv2.erode((image > 0).astype(np.uint8), np.ones((7, 7))) > 0
        assert image[inner].min() > 100
        assert image[inner].max() < 155


def test_edges_of_a_large_letter_are_crisp():
    """From ink to ground within two pixels."""
    strip = render_strip('H', load_fonts(), 512)
    polygon = np.array([[20, 20], [190, 20], [190, 220], [20, 220]], float)
    row = place(strip.mask, polygon)[60].astype(int)
    blurred = ((row > 12) & (row < 243)).sum()
    assert row.max() == 255
    assert blurred <= 4 * 2


def test_only_the_part_within_the_image_is_drawn():
    mask = render_strip('Outside', load_fonts(), 64).mask
    polygon = QUAD + (-150, 60)
    large = place(mask, polygon + (300, 300), (900, 900))[300:540, 300:620]
    np.testing.assert_array_equal(place(mask, polygon), large)
    assert large.any()
    patch, _ = warp_strip(mask, QUAD + (1000, 0), SHAPE)
    assert patch.size == 0


def test_points_askew_are_paired_by_arc_length():
    """Rungs that cross each other, but on sides that do not."""
    top = np.array([[0, 0], [10, 0], [20, 0], [200, 0]], float) + (50, 50)
    bottom = np.array([[0, 50], [180, 50], [190, 50], [200, 50]], float) + (50, 50)
    ribbon = Ribbon.from_polygon(np.concatenate((top, bottom[::-1])))
    np.testing.assert_allclose(ribbon.top[:, 0], ribbon.bottom[:, 0], atol=1e-6)


def bad_polygons() -> dict:
    quad = QUAD.copy()
    return {
        'none': [],
        'one point': [1, 2],
        'two points': [1, 2, 30, 40],
        'triangle': [1, 2, 30, 40, 5, 60],
        'five points': np.arange(10),
        'odd numbers': np.arange(9),
        'one spot': np.tile((50, 50), 4),
        'repeated point': quad[[0, 0, 2, 3]],
        'line': np.array([[0, 0], [50, 50], [100, 100], [25, 25]]),
        'bow tie': quad[[0, 2, 1, 3]],
        'mirrored': quad[::-1],
        'mirrored curve': arc(6)[::-1],
        'concave': np.array([[0, 0], [100, 0], [20, 20], [0, 100]]),
        'folded curve': arc(6)[[0, 4, 1, 3, 2, 5, 6, 10, 7, 9, 8, 11]],
        'opposed sides': np.array([[0, 0], [50, 0], [100, 0], [0, 50], [50, 50], [100, 50]]),
        'nan': np.where(quad == 60, np.nan, quad),
        'infinite': np.where(quad == 60, np.inf, quad),
        'huge': quad * 1e9,
        'tiny': quad / 1e4,
        'thin': np.array([[0, 0], [100, 0], [100, 0.3], [0, 0.3]]),
    }


@pytest.mark.parametrize('name', bad_polygons())
def test_bad_polygons_are_refused(name):
    with pytest.raises(ValueError, match='polygon'):
        warp_strip(np.full((60, 240), 255, np.uint8), bad_polygons()[name], SHAPE)


def test_repeated_points_of_a_curve_are_harmless():
    polygon = arc(6)
    doubled = polygon[[0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 11]]
    mask = render_strip('Double', load_fonts(), 64).mask
    np.testing.assert_allclose(place(mask, doubled), place(mask, polygon), atol=2)


def test_thousands_of_points_are_drawn_like_few():
    mask = render_strip('Many', load_fonts(), 64).mask
    many, few = place(mask, arc(5000)).astype(int), place(mask, arc(30)).astype(int)
    assert np.abs(many - few).mean() < 1


@pytest.mark.parametrize(('width', 'height'), [(64, 40), (127, 20), (64, 20), (42, 40), (127, 13)])
def test_reducing_keeps_full_ink_full(width, height):
    full = np.full((40, 127), 255, np.uint8)
    reduced, (reach_x, reach_y) = reduce(full, full.shape, width, height)
    assert reduced[:-1, :-1].min() == 255
    assert width <= reach_x <= max(2.4 * width, 127)
    assert height <= reach_y <= 40
    assert reduced.shape == (math.ceil(reach_y), math.ceil(reach_x))
