import numpy as np
import pytest

from odm_mmocr.visualization.detections import COLOURS, detection_sheet, draw_detections


def box(x, y, width=30, height=12):
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], float)


IMAGE = np.zeros((60, 160, 3), np.uint8)
WORDS = [box(5, 5), box(60, 5), box(110, 5)]
IGNORED = [False, False, True]


def count(picture, role):
    return int((picture == np.array(COLOURS[role], np.uint8)).all(-1).sum())


def drawn(detections, **settings):
    picture = draw_detections(IMAGE, WORDS, IGNORED, detections, **settings)
    return {role for role in COLOURS if count(picture[-60:], role) > 10}


@pytest.mark.parametrize(
    ('detections', 'roles'),
    [
        ([], {'missed'}),
        ([(box(5, 5), 0.9), (box(61, 5), 0.9)], {'found'}),
        ([(box(5, 5), 0.9)], {'found', 'missed'}),
        ([(box(5, 40), 0.9)], {'false', 'missed'}),
        ([(box(5, 5), 0.9), (box(60, 5), 0.9), (box(111, 5), 0.9)], {'found', 'ignored'}),
        ([(box(5, 5), 0.4)], {'missed'}),
    ],
)
def test_roles_have_their_colours(detections, roles):
    assert drawn(detections) == roles


def test_threshold():
    assert drawn([(box(5, 40), 0.4)], threshold=0.3) == {'false', 'missed'}


def test_image_is_scaled_with_its_polygons_and_left_alone():
    before = IMAGE.copy()
    picture = draw_detections(IMAGE, WORDS, IGNORED, [(box(60, 5), 1.0)], size=(320, 120))
    assert picture.shape[1:] == (320, 3)
    found = (picture[-120:] == np.array(COLOURS['found'], np.uint8)).all(-1)
    rows, columns = np.nonzero(found)
    assert abs(columns.min() - 120) <= 2
    assert abs(columns.max() - 180) <= 2
    assert abs(rows.min() - 10) <= 2
    assert (before == IMAGE).all()


def test_sheet_has_a_row_for_each_image_and_a_column_for_each_detector():
    truth = (WORDS, IGNORED)
    found = {'a': [[], []], 'b': [[(box(5, 5), 1.0)], []]}
    sheet = detection_sheet([IMAGE, IMAGE], [truth, truth], found, width=200)
    assert sheet.shape[1] > 400
    left, right = sheet[:, :208], sheet[:, 208:]
    above = (sheet.shape[0] - 22) // 2
    assert count(left, 'found') < 200  # the legend's
    assert count(right[:above], 'found') > 20
    with pytest.raises(ValueError, match='zip'):
        detection_sheet([IMAGE], [truth, truth], found)
