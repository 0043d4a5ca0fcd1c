"""What an OCR engine has read, as words with polygons in reading order."""

import sys

import cv2
import numpy as np
import pytest

from odm_mmocr.pseudo_label import RapidOCREngine, split_line
from odm_mmocr.pseudo_label.engines import order_by_reading
from odm_mmocr.rendering import render_label


def test_a_line_is_cut_at_its_blanks():
    line = np.array([(0, 0), (100, 20), (100, 40), (0, 20)], np.float32)
    words = split_line(' ab  cdefgh ', line, 0.9)
    assert [word.text for word in words] == ['ab', 'cdefgh']
    np.testing.assert_allclose(words[0].polygon, [(0, 0), (20, 4), (20, 24), (0, 20)])
    np.testing.assert_allclose(words[1].polygon, [(40, 8), (100, 20), (100, 40), (40, 28)])
    assert words[0].polygon.dtype == np.float32 and words[1].score == 0.9
    assert split_line('  ', line, 0.9) == []


def test_high_boxes_are_read_downwards():
    box = np.array([(0, 0), (10, 0), (10, 40), (0, 40)], np.float32)
    np.testing.assert_array_equal(order_by_reading(box)[0], (10, 0))
    level = box * (8, 1)
    np.testing.assert_array_equal(order_by_reading(level), level)


@pytest.fixture(scope='module')
def engine():
    pytest.importorskip('rapidocr_onnxruntime')
    return RapidOCREngine(threads=1)


SHAPE = (160, 480)
BOXES = {
    'Garden': np.array([(20, 40), (210, 40), (210, 100), (20, 100)], np.float32),
    'Museum': np.array([(260, 50), (450, 50), (450, 110), (260, 110)], np.float32),
}


@pytest.mark.parametrize('turns', [0, 1, 2, 3])
def test_polygons_start_where_one_begins_to_read(engine, turns):
    label = render_label(list(BOXES.values()), list(BOXES), SHAPE)
    image = cv2.cvtColor(np.rot90(255 - label, -turns).copy(), cv2.COLOR_GRAY2BGR)
    read = {word.text: word for word in engine(image)}
    assert set(read) == set(BOXES)
    for text, word in read.items():
        points = BOXES[text]
        for turn in range(turns):  # clockwise, as the image
            height = SHAPE[turn % 2]
            points = np.stack((height - points[:, 1], points[:, 0]), 1)
        assert np.abs(word.polygon - points).max() < 25
        assert 0.5 <= word.score <= 1


def test_an_image_without_text_has_no_words(engine):
    assert engine(np.full((64, 64, 3), 200, np.uint8)) == []


@pytest.mark.parametrize('upright', [False, pytest.param(True, marks=pytest.mark.slow)])
def test_thin_images_are_read(engine, upright):
    """RapidOCR itself cannot resize this one."""
    box = np.array([(100, 4), (144, 4), (144, 17), (100, 17)], np.float32)
    image = 255 - render_label([box], ['Garden'], (20, 2400))
    if upright:
        image = np.rot90(image, -1)
        box = np.stack((20 - box[:, 1], box[:, 0]), 1)
    (word,) = engine(cv2.cvtColor(image.copy(), cv2.COLOR_GRAY2BGR))
    assert word.text == 'Garden'
    assert np.abs(word.polygon - box).max() < 8
    assert (word.polygon >= 0).all() and (word.polygon <= image.shape[::-1]).all()


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'rapidocr_onnxruntime', None)
    with pytest.raises(ImportError, match=r'rapidocr_onnxruntime; .*odm_mmocr\[ppocr\]'):
        RapidOCREngine()
