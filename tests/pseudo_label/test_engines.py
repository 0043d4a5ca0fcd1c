"""What an OCR engine has read, as lines with polygons in reading order."""

import sys

import cv2
import numpy as np
import pytest

from odm_mmocr.pseudo_label import RapidOCREngine, split_line
from odm_mmocr.pseudo_label.engines import _narrow, enclosing_rectangle, order_by_reading
from odm_mmocr.rendering import render_label


def test_high_boxes_are_read_downwards():
    box = np.array([(0, 0), (10, 0), (10, 40), (0, 40)], np.float32)
    np.testing.assert_array_equal(order_by_reading(box)[0], (10, 0))
    level = box * (8, 1)
    np.testing.assert_array_equal(order_by_reading(level), level)


def test_margins_are_taken_off_boxes_and_places():
    box = np.array([(0, 0), (100, 0), (100, 20), (0, 20)], np.float32)
    narrowed, centers = _narrow(box, np.array([0.05, 0.5, 0.95, 0.0]), 0.25, 0.1)
    np.testing.assert_allclose(narrowed, [(5, 2), (95, 2), (95, 18), (5, 18)])
    np.testing.assert_allclose(centers, [0, 0.5, 1, 0], atol=1e-9)
    turned = box[:, ::-1][[1, 2, 3, 0]]  # the same along y
    assert _narrow(turned, None, 0.25, 0.1)[1] is None
    # Of a narrow letter most of the length stays.
    letter, _ = _narrow(box * (0.05, 1), None, 0.4, 0.0)
    assert np.ptp(letter[:, 0]) == pytest.approx(3)


@pytest.mark.parametrize('degrees', range(-40, 41, 10))
def test_rectangles_start_at_the_upper_left(degrees):
    angle = np.deg2rad(degrees)
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    box = np.array([(0, 0), (90, 0), (90, 20), (0, 20)]) @ turn + 100
    curved = np.concatenate((box[:1], box[:2].mean(0, keepdims=True), box[1:]))
    for start in range(4):
        found = enclosing_rectangle(np.float32(np.roll(curved, start, axis=0)))
        np.testing.assert_allclose(found, box, atol=0.01)


@pytest.fixture(scope='module')
def engine():
    pytest.importorskip('rapidocr', reason='the extra "pseudo" is not installed')
    return RapidOCREngine(threads=1)


SHAPE = (160, 480)
BOXES = {
    'Garden': np.array([(20, 40), (210, 40), (210, 100), (20, 100)], np.float32),
    'Market': np.array([(260, 50), (450, 50), (450, 110), (260, 110)], np.float32),
}


@pytest.mark.parametrize('turns', [0, 1, 2, 3])
def test_polygons_start_where_one_begins_to_read(engine, turns):
    label = render_label(list(BOXES.values()), list(BOXES), SHAPE)
    image = cv2.cvtColor(np.rot90(255 - label, -turns).copy(), cv2.COLOR_GRAY2BGR)
    read = {word.text: word for line in engine(image) for word in split_line(line)}
    assert set(read) == set(BOXES)
    for text, word in read.items():
        points = BOXES[text]
        for turn in range(turns):  # clockwise, as the image
            height = SHAPE[turn % 2]
            points = np.stack((height - points[:, 1], points[:, 0]), 1)
        assert np.abs(word.polygon - points).max() < 25
        assert 0.5 <= word.score <= 1 and 0.5 <= word.detection <= 1


def test_a_line_is_cut_where_its_words_are(engine):
    """Letters of other widths: equal shares would cut far from the gap."""
    boxes = [
        np.array([(20, 50), (320, 50), (320, 100), (20, 100)], np.float32),
        np.array([(334, 50), (410, 50), (410, 100), (334, 100)], np.float32),
    ]
    label = render_label(boxes, ['MAMMOTH', 'felt'], SHAPE)
    lines = engine(cv2.cvtColor(255 - label, cv2.COLOR_GRAY2BGR))
    assert [line.text for line in lines] == ['MAMMOTH felt']
    assert len(lines[0].centers) == len(lines[0].certainties) == len(lines[0].text)
    first, *_, last = split_line(lines[0])
    assert abs(first.polygon[1, 0] - 320) < 15 and abs(last.polygon[0, 0] - 334) < 15
    assert last.detection == first.detection == lines[0].detection


def test_what_cannot_be_read_is_told_where_it_is_asked_for():
    pytest.importorskip('rapidocr', reason='the extra "pseudo" is not installed')
    everything = RapidOCREngine(threads=1, min_score=0.0)
    picture = np.full((160, 320, 3), 255, np.uint8)
    for x in range(40, 200, 12):  # strokes that are no letters
        cv2.line(picture, (x, 60 + x % 7), (x + 5, 95), (0, 0, 0), 3)
    found = everything(picture)
    assert all(0 <= line.score <= 1 for line in found)
    sure = {line.polygon.tobytes() for line in RapidOCREngine(threads=1, min_score=0.99)(picture)}
    assert len(sure) < len(found)


def test_an_image_without_text_has_no_words(engine):
    assert engine(np.full((64, 64, 3), 200, np.uint8)) == []


@pytest.mark.parametrize('upright', [False, True])
def test_thin_images_are_read(engine, upright):
    """RapidOCR itself cannot resize this one."""
    box = np.array([(100, 4), (144, 4), (144, 17), (100, 17)], np.float32)
    image = 255 - render_label([box], ['Garden'], (20, 1900))
    if upright:
        image = np.rot90(image, -1)
        box = np.stack((20 - box[:, 1], box[:, 0]), 1)
    (word,) = engine(cv2.cvtColor(image.copy(), cv2.COLOR_GRAY2BGR))
    assert word.text == 'Garden'
    assert np.abs(word.polygon - box).max() < 8
    assert (word.polygon >= 0).all() and (word.polygon <= image.shape[::-1]).all()


def test_large_images_are_shrunk_for_the_detector_only(engine):
    boxes = {text: box * 6 for text, box in BOXES.items()}
    label = render_label(list(boxes.values()), list(boxes), (960, 2880))
    read = {line.text: line for line in engine(cv2.cvtColor(255 - label, cv2.COLOR_GRAY2BGR))}
    assert set(' '.join(read).split()) == set(BOXES)
    points = np.concatenate([line.polygon for line in read.values()])
    wanted = np.concatenate(list(boxes.values()))
    assert np.abs(points.max(0) - wanted.max(0)).max() < 100
    assert np.abs(points.min(0) - wanted.min(0)).max() < 100


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(shorter_side=3000), 'at most longer_side'),
        (dict(margins=(0.5, 0.1)), 'two shares from 0 to 0.4'),
        (dict(device='tpu'), "'cpu' or 'cuda'"),
    ],
)
def test_settings_out_of_range(settings, message):
    pytest.importorskip('rapidocr', reason='the extra "pseudo" is not installed')
    with pytest.raises(ValueError, match=message):
        RapidOCREngine(**settings)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'rapidocr', None)
    with pytest.raises(ImportError, match=r'rapidocr; .*odm_mmocr\[pseudo\]'):
        RapidOCREngine()
