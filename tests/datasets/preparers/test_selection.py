"""Parts drawn by a seed."""

import pytest

from odm_mmocr.datasets.preparers.selection import draw


def test_a_fraction_by_a_seed():
    drawn = draw(100, 0.3, seed=1)
    assert drawn == sorted(set(drawn)) == draw(100, 0.3, seed=1)
    assert len(drawn) == 30
    assert drawn != draw(100, 0.3, seed=2)
    assert draw(5, 0, seed=0) == []
    assert draw(5, 1, seed=0) == [0, 1, 2, 3, 4]


def test_neither_part_is_empty():
    assert len(draw(3, 0.01, seed=0)) == 1
    assert len(draw(3, 0.99, seed=0)) == 2


@pytest.mark.parametrize('fraction', [-0.1, 1.1, float('nan')])
def test_other_numbers_are_refused(fraction):
    with pytest.raises(ValueError, match='from 0 to 1'):
        draw(5, fraction, seed=0)


def test_one_image_cannot_be_divided():
    with pytest.raises(ValueError, match='two parts of 1 image'):
        draw(1, 0.5, seed=0)
