import numpy as np
import pytest

from odm_mmocr.visualization import attention_overlay, ink_overlay
from odm_mmocr.visualization.attention import INK

GREY = np.full((96, 160, 3), 100, np.uint8)


def heat(picture):
    """Where a picture of :data:`GREY` is coloured, as (rows, columns)."""
    return np.nonzero((picture != 100).any(-1))


def test_heat_stands_where_its_cell_is_in_the_padded_image():
    weights = np.zeros((4, 8))
    weights[1, 2] = 1
    # Cells of 32 pixels: 128x256 with an image of 96x160.
    picture = attention_overlay(GREY, weights, (128, 256))
    assert picture.shape == GREY.shape
    rows, columns = heat(picture)
    assert abs(rows.mean() - 47.5) < 1
    assert abs(columns.mean() - 79.5) < 1
    # Over all of the image, where that is taken for all there is, they stand elsewhere.
    _, columns = heat(attention_overlay(GREY, weights, (96, 160)))
    assert abs(columns.mean() - 49.5) < 1


def test_a_colour_is_the_same_weight_in_every_picture():
    low = attention_overlay(GREY, np.full((3, 5), 0.2), (96, 160))
    half = attention_overlay(GREY, np.array([[0.2, 1.0]]), (96, 160))
    assert (low == low[0, 0]).all()
    np.testing.assert_array_equal(half[:, 0], low[:, 0])
    reds = [attention_overlay(GREY, np.array([[w]]), (96, 160))[0, 0, 2] for w in (0.5, 1.0)]
    assert reds[1] > reds[0]


def test_without_attention_the_image_is_seen_in_grey():
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, :16] = (0, 0, 255)
    picture = attention_overlay(image, np.zeros((2, 2)), (32, 32))
    assert (picture == picture[..., :1]).all()
    assert picture[0, 0, 0] > picture[0, 20, 0]
    dark = attention_overlay(np.zeros_like(image), np.full((2, 2), 0.01), (32, 32))
    assert dark.any()  # weak attention shows


@pytest.mark.parametrize(
    ('weights', 'padded', 'message'),
    [
        (np.zeros((2, 3, 4)), (96, 160), r'shape \(2, 3, 4\)'),
        (np.zeros((0, 4)), (96, 160), r'shape \(0, 4\)'),
        (np.zeros((3, 4)), (96, 128), 'padded_shape is 96x128 and the image 96x160'),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights, padded, message):
    with pytest.raises(ValueError, match=message):
        attention_overlay(GREY, weights, padded)


def test_ink_covers_a_darkened_image():
    probability = np.zeros((96, 160))
    probability[:10] = 1
    probability[10:20] = 0.5
    picture = ink_overlay(GREY, probability)
    assert (picture[:10] == np.uint8(INK)).all()
    assert (picture[20:] == 50).all()
    assert abs(picture[15, 0].astype(int) - (np.array(INK) + 50) / 2).max() <= 1
    with pytest.raises(ValueError, match=r'\(10, 10\) and the image \(96, 160\)'):
        ink_overlay(GREY, np.zeros((10, 10)))
