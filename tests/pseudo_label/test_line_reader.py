"""PP-OCR's recogniser reads what others have cut out."""

import cv2
import numpy as np
import pytest

from odm_mmocr.pseudo_label.line_reader import LineReader, _batches, load_rapidocr
from odm_mmocr.rendering import load_fonts, render_strip


def test_batches_hold_similar_widths_and_every_picture_once():
    widths = [900, 50, 2000, 60, 4000, 55, 70]
    batches = _batches(widths)
    assert sorted(i for batch in batches for i in batch) == list(range(len(widths)))
    assert batches[0][:4] == [1, 5, 3, 6]
    assert [4] in batches


@pytest.fixture(scope='module')
def reader():
    pytest.importorskip('rapidocr', reason='the extra "pseudo" is not installed')
    return LineReader(load_rapidocr(threads=1))


def picture(text: str) -> np.ndarray:
    strip = render_strip(text, load_fonts(), 40).mask
    return cv2.cvtColor(255 - cv2.copyMakeBorder(strip, 6, 6, 12, 12, 0), cv2.COLOR_GRAY2BGR)


def test_lines_keep_their_order_and_are_turned_upright(reader):
    texts = ['Crossing', 'the quick brown fox jumps over', 'Exit']
    crops = [picture(text) for text in texts]
    crops[0] = cv2.rotate(crops[0], cv2.ROTATE_180)
    given = [crop.copy() for crop in crops]
    lines = reader(crops)
    assert [line.text for line in lines] == texts
    assert [line.turned for line in lines] == [True, False, False]
    for line, crop, before in zip(lines, crops, given, strict=True):
        assert 0.5 < line.score <= 1 and len(line.centers) == len(line.certainties)
        assert (np.diff(line.centers) > 0).all()
        np.testing.assert_array_equal(crop, before)


def test_where_nothing_is_read_the_score_is_0(reader):
    (line,) = reader([np.full((40, 90, 3), 255, np.uint8)])
    assert (line.text, line.score) == ('', 0.0)
    assert reader([]) == []
