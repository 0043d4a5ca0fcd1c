import numpy as np
import pytest

from odm_mmocr.evaluation.shapes import as_points, polygon_shape

SQUARE = [0, 0, 10, 0, 10, 10, 0, 10]


@pytest.mark.parametrize('wrong', [SQUARE[:-1], [*SQUARE[:-1], np.nan], [np.inf, 1, 2, 3, 4, 5]])
def test_polygons_with_missing_coordinates_have_no_points(wrong):
    assert as_points(wrong).shape == (0, 2)


def test_flat_polygons_become_points():
    np.testing.assert_array_equal(as_points(SQUARE), np.reshape(SQUARE, (4, 2)))


@pytest.mark.parametrize(
    ('points', 'area'),
    [
        (np.reshape(SQUARE, (4, 2)), 100),
        (np.reshape(SQUARE, (4, 2))[::-1], 100),
        (np.reshape(SQUARE, (4, 2))[:2], 0),
        ([(0, 0), (10, 10), (20, 20)], 0),
        # It crosses itself at (5, 5): the larger part is taken.
        ([(0, 0), (10, 10), (10, 0), (0, 10), (-10, 5)], 75),
    ],
)
def test_any_polygon_has_an_area(points, area):
    shape = polygon_shape(np.asarray(points, float))
    assert shape.is_valid and shape.area == pytest.approx(area)
