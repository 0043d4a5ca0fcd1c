import numpy as np
import pytest

from odm_mmocr.evaluation.text_heights import extents, height_class, text_height
from odm_mmocr.rendering import split_polygon


@pytest.mark.parametrize('turn', [0, 30, 90, 200])
def test_height_does_not_depend_on_direction(turn):
    angle = np.deg2rad(turn)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    box = np.array([[0, 0], [50, 0], [50, 12], [0, 12]]) @ rotation.T
    assert text_height(box) == pytest.approx(12)


def test_height_of_a_column_is_its_width():
    assert text_height([0, 0, 10, 0, 10, 80, 0, 80]) == pytest.approx(10)


def test_height_of_curved_text_is_the_width_of_its_band():
    angle = np.linspace(np.pi, 2 * np.pi, 8)
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    assert text_height(np.concatenate([100 * circle, 80 * circle[::-1]])) == pytest.approx(20)


def test_polygons_without_two_sides_have_a_height_too():
    assert text_height([0, 0, 30, 0, 30, 10, 15, 10, 0, 10]) == pytest.approx(10)
    assert text_height([0, 0, np.nan, 0, 5, 5]) == 0


def test_a_height_at_a_bound_belongs_above():
    assert [height_class(h, (16, 32)) for h in (15.9, 16, 31.9, 32)] == [0, 1, 1, 2]


def test_length_and_height_of_turned_and_curved_words():
    upright = [30, 10, 30, 110, 10, 110, 10, 10]  # read downwards
    assert extents(*split_polygon(upright)) == pytest.approx((100, 20))
    bent = [0, 0, 30, 0, 60, 40, 44, 52, 20, 20, 0, 20]
    top, bottom = 30 + 50, 40 + 20
    length, height = extents(*split_polygon(bent))
    assert length == pytest.approx((top + bottom) / 2)
    assert height == pytest.approx((20 + 500**0.5 + 20) / 3)
