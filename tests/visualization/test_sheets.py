import numpy as np
import torch
from mmengine.structures import InstanceData, LabelData, PixelData

from odm_mmocr.structures import ODMDataSample
from odm_mmocr.visualization import draw_sheet, prediction_sheet
from odm_mmocr.visualization.sheets import COLOURS


def sample(texts, shown, instances, prompted):
    result = ODMDataSample()
    result.prompt = LabelData(texts=texts, shown=torch.tensor(shown))
    result.gt_instances = InstanceData(
        texts=instances,
        ignored=torch.tensor([False] * len(instances)),
        prompted=torch.tensor(prompted),
    )
    result.gt_destylized = PixelData(label=torch.full((1, 64, 96), 200, dtype=torch.uint8))
    return result


def has_colour(picture, name):
    return (picture == np.array(COLOURS[name][::-1], np.uint8)).all(-1).any()


def test_sheet_holds_every_picture_unchanged():
    grey, colour = np.full((20, 30), 7, np.uint8), np.full((20, 40, 3), 9, np.uint8)
    sheet = draw_sheet(['one', 'two'], [[grey, colour], [colour, grey]])
    below_titles = sheet[-2 * (20 + 8) :]
    assert (below_titles == 7).all(-1).sum() == 2 * 20 * 30
    assert (below_titles == 9).all(-1).sum() == 2 * 20 * 40


def test_pictures_of_a_row_get_one_height():
    sheet = draw_sheet(
        ['one', 'two'], [[np.zeros((20, 20), np.uint8), np.zeros((40, 40), np.uint8)]]
    )
    assert (sheet == 0).all(-1).sum() >= 2 * 20 * 20


def test_words_are_coloured_by_their_role():
    image = np.zeros((64, 96, 3), np.uint8)
    drawn = {'after': [np.full((64, 96), 0.5)]}
    everything = sample(['stop', 'noise'], [True, False], ['stop', 'exit'], [True, False])
    sheet = prediction_sheet([image], [everything], drawn)
    assert all(has_colour(sheet, name) for name in COLOURS)
    right_half = sheet[-72:, 200:]
    assert (right_half == 200).all(-1).sum() == 64 * 96  # the target
    assert (right_half == 128).all(-1).sum() == 64 * 96  # the prediction

    only_prompted = sample(['stop'], [True], ['stop'], [True])
    sheet = prediction_sheet([image], [only_prompted], drawn)
    assert not has_colour(sheet, 'dropped')
    assert not has_colour(sheet, 'noise')


def test_what_no_font_can_draw_is_no_error():
    strange = sample(['\U0010ffff'], [True], ['\U0010ffff'], [True])
    prediction_sheet([np.zeros((64, 96, 3), np.uint8)], [strange], {})
