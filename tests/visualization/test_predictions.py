import numpy as np
import pytest

from odm_mmocr.visualization import (
    attention_sheet,
    difference_map,
    prediction_row,
    validation_sheet,
)
from odm_mmocr.visualization.predictions import DIFFERENCES
from odm_mmocr.visualization.sheets import COLOURS, MARGIN

TITLES = ['image', 'prompt', 'target', 'prediction', 'difference', 'ignore map']


def all_of(part, name):
    return (part == np.uint8(DIFFERENCES[name])).all()


def test_every_pixel_has_the_colour_of_its_fault():
    row = np.arange(8)
    drawn, wanted, unwanted = (row & 1) > 0, (row & 2) > 0, (row & 4) > 0
    maps = [np.where(on, 200, 0).astype(np.uint8)[None] for on in (wanted, unwanted)]
    probability, ignore = np.where(drawn, 0.6, 0.4)[None], np.zeros((1, 8), bool)
    names = [None, 'false', 'missed', 'hit', None, 'leak', 'missed', 'hit']

    def colours(*arguments):
        return difference_map(*arguments)[0].tolist()

    expected = [list(DIFFERENCES.get(name, (0, 0, 0))) for name in names]
    assert colours(probability, maps[0], ignore, maps[1]) == expected
    expected[5] = list(DIFFERENCES['false'])  # without that map nobody knows
    assert colours(probability, maps[0], ignore) == expected
    assert not difference_map(probability, maps[0], ~ignore, maps[1]).any()
    nothing = difference_map(probability, maps[0], ignore, None, 0.7)[0]
    assert {tuple(c) for c in nothing.tolist()} == {(0, 0, 0), DIFFERENCES['missed']}


def test_maps_lie_on_the_image_without_the_padding(predicted):
    row = prediction_row(*predicted)
    assert list(row) == TITLES
    assert {picture.shape for picture in row.values()} == {(40, 60, 3)}
    assert (row['target'][:, :20] == 255).all() and not row['target'][:, 20:].any()
    assert (row['prediction'][:20] == 191).all() and not row['prediction'][20:].any()
    difference = row['difference']
    assert all_of(difference[:20, :20], 'hit')
    assert all_of(difference[20:35, :20], 'missed')
    assert all_of(difference[:20, 20:40], 'leak')
    assert all_of(difference[:20, 40:], 'false')
    assert not difference[35:].any()
    assert (row['ignore map'][35:] == 255).all() and not row['ignore map'][:35].any()


def test_only_what_is_asked_for_and_there_is_shown(predicted):
    image, sample = predicted
    assert list(prediction_row(image, sample, draw_pred=False)) == [
        'image', 'prompt', 'target', 'ignore map',
    ]  # fmt: skip
    assert list(prediction_row(image, sample, draw_gt=False)) == TITLES[:2] + ['prediction']
    del sample.gt_destylized, sample.gt_instances
    assert list(prediction_row(image, sample)) == TITLES[:2] + ['prediction']


@pytest.mark.parametrize(
    ('shape', 'tile'), [((80, 120), (20, 30)), ((20, 400), (2, 40)), ((8, 12), (16, 24))]
)
def test_tiles_of_any_size_are_brought_to_their_height(predicted, shape, tile):
    _, sample = predicted
    del sample.gt_destylized, sample.pred_destylized
    row = prediction_row(np.zeros((*shape, 3), np.uint8), sample, tile_height=20)
    assert {picture.shape[:2] for picture in row.values()} == {tile}


def test_a_legend_stands_below_differences_alone(predicted):
    image, sample = predicted
    sheet = validation_sheet([image, image], [sample, sample], tile_height=40)
    assert sheet.shape[1] == 6 * (60 + MARGIN) + MARGIN
    without = validation_sheet([image, image], [sample, sample], 40, draw_pred=False)
    assert sheet.shape[0] > without.shape[0]
    assert (sheet[-15:] == np.uint8(DIFFERENCES['leak'])).all(-1).any()


def has(part, colour):
    return (part == np.array(colour[::-1], np.uint8)).all(-1).any()


def test_words_of_the_image_come_first_and_have_their_heat(predicted):
    image, sample = predicted
    sheet = attention_sheet([image], [sample], 2, 40)
    columns = [sheet[:-30, MARGIN + i * 68 :][:, :60] for i in range(6)]
    assert sheet.shape[1] == 6 * 68 + MARGIN
    assert all(has(column, COLOURS['prompted']) for column in columns[2:4])
    assert all(has(column, COLOURS['noise']) for column in columns[4:])
    # Attention of the word in the upper left cell; none elsewhere, and located nowhere.
    coloured = [(column[20:] != column[20:, :, :1]).any() for column in columns]
    assert coloured == [False, True, True, False, False, False]
    rows, cells = np.nonzero((columns[2][20:60] != 90).any(-1))
    assert max(rows) < 30 and max(cells) < 30
    assert attention_sheet([image], [sample], 1, 40).shape[1] == 4 * 68 + MARGIN


def test_samples_may_have_any_number_of_words_and_no_located(predicted):
    image, sample = predicted
    silent = sample.clone()
    silent.prompt = sample.prompt.clone()
    silent.prompt.texts = []
    del sample.pred_attention.located
    sheet = attention_sheet([image, image], [silent, sample], 3, 40)
    assert sheet.shape[1] == 4 * 68 + MARGIN
