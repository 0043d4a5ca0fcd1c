"""The label that training would draw is read, whatever the word."""

import numpy as np
import pytest

from odm_mmocr.evaluation.reading import same_word
from odm_mmocr.pseudo_label import ReadWord

SHAPE = (120, 400)
WIDE = np.array([(20, 30), (260, 30), (260, 80), (20, 80)], np.float32)


@pytest.fixture(scope='module')
def label_reader():
    pytest.importorskip('rapidocr_onnxruntime', reason='the extra "pseudo" is not installed')
    from odm_mmocr.pseudo_label.read_back import LabelReader

    return LabelReader()


def word(text, polygon=WIDE):
    return ReadWord(text, polygon, 1.0)


def test_words_that_fit_read_as_themselves(label_reader):
    texts = ['Garden', 'MUSEUM', '1984']
    for text, read in zip(texts, label_reader([word(text) for text in texts], SHAPE), strict=True):
        assert same_word(read, text)


def test_each_word_keeps_its_place_among_those_that_cannot_be_read(label_reader):
    crossed = WIDE[[0, 1, 3, 2]]
    words = [
        word('\u0e01\u0e02'),  # letters that the reader does not know
        word('Garden'),
        word('Garden', crossed),  # no place to draw into
        word('Garden', WIDE + 1000),
        word('Museum'),
        word(''),
    ]
    unknown, garden, none, outside, museum, blank = label_reader(words, SHAPE)
    assert unknown is None and none == outside == blank == ''
    assert same_word(garden, 'Garden') and same_word(museum, 'Museum')


def test_a_line_squeezed_into_a_narrow_polygon_reads_otherwise(label_reader):
    narrow = np.array([(20, 30), (50, 30), (50, 80), (20, 80)], np.float32)
    (read,) = label_reader([word('Incomprehensibilities', narrow)], SHAPE)
    assert not same_word(read, 'Incomprehensibilities')


def test_images_without_words(label_reader):
    assert label_reader([], SHAPE) == []
