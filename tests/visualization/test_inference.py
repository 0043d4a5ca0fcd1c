"""What the picture of a prediction shows, and where."""

import numpy as np
import pytest

pytest.importorskip('mmocr')

from odm_mmocr.visualization.attention import INK, attention_overlay
from odm_mmocr.visualization.inference import COLUMNS, MAX_WORDS, draw_prediction
from odm_mmocr.visualization.sheets import MARGIN

GREY = 100
OVERLAY, MAP, FIRST_WORD = 1, 2, 3


def panel(picture, index, height, width):
    """One picture of the sheet, which has a title above each."""
    line, column = divmod(index, COLUMNS)
    title = 2 * max(11, width // 12)
    top = line * (title + height + MARGIN) + title
    left = MARGIN + column * (width + MARGIN)
    found = picture[top : top + height, left : left + width]
    assert found.shape[:2] == (height, width)
    return found


def grey(*shape):
    return np.full((*shape, 3), GREY, np.uint8)


@pytest.mark.parametrize(('threshold', 'shown'), [(0.5, False), (0.3, True)])
def test_ink_above_the_threshold_is_magenta(threshold, shown):
    probability = np.zeros((200, 256), np.float32)
    probability[20:60, 30:90] = 1
    probability[100:150, 150:250] = 0.4
    picture = draw_prediction(
        grey(200, 256), probability, [], np.zeros((0, 5, 5)), (224, 256), threshold
    )
    assert (panel(picture, 0, 200, 256) == GREY).all()
    overlay = panel(picture, OVERLAY, 200, 256).astype(int)
    assert (overlay[20:60, 30:90] == INK).all()
    weak = 0.4 * np.array(INK) + 0.6 * GREY / 2 if shown else GREY / 2
    assert np.abs(overlay[100:150, 150:250] - weak).max() <= 1
    assert (overlay[probability == 0] == GREY // 2).all()
    drawn = panel(picture, MAP, 200, 256)
    np.testing.assert_array_equal(drawn[..., 0], np.rint(255 * probability))


@pytest.mark.parametrize('factor', [1, 4])
def test_the_panel_of_a_word_is_hot_where_its_attention_is(factor):
    """Eight words need a second line. The lowest row of cells is padding."""
    cell = 64 // factor
    attention = np.zeros((8, 5, 4), np.float32)
    places = [(i // 2, 2 * (i % 2) + i // 2 % 2) for i in range(8)]
    for index, place in enumerate(places):
        attention[index][place] = 1
    picture = draw_prediction(
        grey(4 * cell, 4 * cell),
        np.zeros((4 * cell, 4 * cell), np.float32),
        [(f'w{i}', 0.9 - 0.1 * i) for i in (3, 1, 4, 0, 5, 2, 7, 6)],
        attention,
        (5 * cell, 4 * cell),
    )
    centres = 64 * np.arange(4) + 32
    for index, place in enumerate(places):
        shown = panel(picture, FIRST_WORD + index, 256, 256)
        blue, _, red = (shown[..., i].astype(int) for i in range(3))
        heat = np.ptp(shown[np.ix_(centres, centres)], axis=2) > 60
        assert [tuple(at) for at in np.argwhere(heat)] == [place]
        row, column = centres[list(place)]
        assert red[row, column] - blue[row, column] > 60
        cold = np.abs(np.arange(256) - row) > 64
        assert (shown[cold] == GREY).all()


def test_of_many_words_the_surest_are_shown_in_their_order():
    count = MAX_WORDS + 4
    scores = np.random.default_rng(0).permutation(count) / count
    attention = np.random.default_rng(1).random((count, 4, 4), np.float32)
    picture = draw_prediction(
        grey(256, 256),
        np.zeros((256, 256), np.float32),
        [(f'w{i}', score) for i, score in enumerate(scores)],
        attention,
        (256, 256),
    )
    shown = np.flatnonzero(scores >= 4 / count)
    assert len(shown) == MAX_WORDS
    for place, index in enumerate(shown, FIRST_WORD):
        wanted = attention_overlay(grey(256, 256), attention[index], (256, 256))
        np.testing.assert_array_equal(panel(picture, place, 256, 256), wanted)
