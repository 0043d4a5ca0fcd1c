"""Polygon, start, reading direction and text are where they belong."""

import numpy as np
import pytest

from odm_mmocr.visualization import draw_annotations
from odm_mmocr.visualization.annotations import ARROW, EXPECTED, POLYGON, START

IMAGE = np.full((100, 200, 3), 128, np.uint8)
QUAD = np.array([(50, 40), (150, 40), (150, 60), (50, 60)], np.float32)


def at(picture, colour) -> np.ndarray:
    """Points (n, 2) of a colour."""
    return np.argwhere((picture == colour).all(-1))[:, ::-1]


def test_marks_stand_where_the_polygon_is():
    picture = draw_annotations(IMAGE, [QUAD.ravel()], ['word'], size=(400, 200))
    assert picture.shape == (200, 400, 3)
    outline = at(picture, POLYGON)
    assert np.abs(outline.min(0) - (100, 80)).max() <= 2
    assert np.abs(outline.max(0) - (300, 120)).max() <= 2
    np.testing.assert_allclose(at(picture, START).mean(0), (100, 80), atol=1)
    arrow = at(picture, ARROW)
    assert abs(arrow[:, 1].mean() - 100) < 2
    # The tip is the thick end.
    assert (arrow[:, 0] > 280).sum() > (arrow[:, 0] < 120).sum()
    assert (picture[:78] == 255).any()


def test_the_arrow_follows_the_order_of_the_vertices():
    turned = draw_annotations(IMAGE, [np.roll(QUAD, 2, axis=0)], ['word'], size=(400, 200))
    np.testing.assert_allclose(at(turned, START).mean(0), (300, 120), atol=1)
    arrow = at(turned, ARROW)
    assert (arrow[:, 0] < 120).sum() > (arrow[:, 0] > 280).sum()
    odd = draw_annotations(IMAGE, [QUAD[:3]], ['word'])
    assert not len(at(odd, ARROW)) and len(at(odd, START))


def test_a_region_is_shown_in_full_and_outside_the_image_it_is_black():
    picture = draw_annotations(
        IMAGE, [QUAD], ['word'], region=(-50, 30, 50, 70), size=(200, 200), expected=[QUAD - 40]
    )
    assert not picture[:, :95].any()
    assert (picture[100, 105] != 0).all()
    assert len(at(picture, EXPECTED)) or (picture[..., 0] > 200).any()


def test_captions_are_below_and_broken_into_lines():
    plain = draw_annotations(IMAGE, [], [], size=(200, 100))
    short = draw_annotations(IMAGE, [], [], size=(200, 100), caption='one line')
    long = draw_annotations(IMAGE, [], [], size=(200, 100), caption='several words ' * 8)
    assert plain.shape == (100, 200, 3)
    assert 100 < len(short) < len(long)
    np.testing.assert_array_equal(long[:100], plain)
    assert (short[100:] < 100).any()


@pytest.mark.parametrize(
    'polygon', [np.zeros(0), np.zeros(4), np.full(8, 1e9), np.array([1.0, 2, 3])]
)
def test_unusable_polygons_do_not_stop_the_drawing(polygon):
    picture = draw_annotations(IMAGE[..., 0], [polygon, QUAD], ['字\u0000x', 'word', 'more'])
    assert len(at(picture, POLYGON))
