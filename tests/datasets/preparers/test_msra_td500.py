"""MSRA-TD500's turned boxes."""

import math

import cv2
import numpy as np
import pytest

pytest.importorskip('mmocr')

from odm_mmocr.datasets.preparers import (
    find_msra_td500,
    parse_msra_td500_line,
    prepare_msra_td500,
)


def test_a_box_that_is_not_turned():
    parsed = parse_msra_td500_line('0 0 10 20 100 30 0.0')
    assert parsed == {'poly': [10, 20, 110, 20, 110, 50, 10, 50], 'text': '', 'ignore': False}


def test_turning_is_clockwise_as_in_opencv():
    parsed = parse_msra_td500_line('3 1 10 20 100 30 0.4')
    assert parsed['ignore']
    corners = np.array(parsed['poly']).reshape(4, 2)
    expected = cv2.boxPoints(((60, 35), (100, 30), math.degrees(0.4)))
    distances = np.linalg.norm(corners[:, None] - expected, axis=-1)
    assert distances.min(axis=1).max() < 0.02
    top_left, top_right, _, bottom_left = corners
    assert top_right[1] > top_left[1]  # sinks to the right
    assert np.linalg.norm(top_right - top_left) == pytest.approx(100, abs=0.02)
    assert np.linalg.norm(bottom_left - top_left) == pytest.approx(30, abs=0.02)


@pytest.mark.parametrize(
    'line',
    ['0 0 10 20 100 30', '0 2 1 1 5 5 0', '0 0 1 1 0 5 0', '0 0 1 1 5 5 nan', 'a 0 1 1 5 5 0'],
)
def test_malformed_lines_say_what_is_there(line):
    with pytest.raises(ValueError, match='expected'):
        parse_msra_td500_line(line)


def test_there_is_an_annotation_for_detection_alone(tmp_path, picture, written):
    for split in ('train', 'test'):
        picture(tmp_path / 'MSRA-TD500' / split / 'IMG_1.JPG')
        (tmp_path / 'MSRA-TD500' / split / 'IMG_1.gt').write_text('0 0 10 20 100 30 0\r\n1 2\r\n')
    splits = find_msra_td500(tmp_path)
    report = prepare_msra_td500(splits, tmp_path)
    assert report.written == []
    assert report.problems[0].startswith(f'{splits["train"][1].absolute() / "IMG_1.gt"}:2: ')
    report = prepare_msra_td500(splits, tmp_path, skip_malformed=True)
    assert [path.name for path in report.written] == ['textdet_train.json', 'textdet_test.json']
    (image,) = written(tmp_path, 'textdet_test')
    assert image['instances'][0]['bbox'] == [10, 20, 110, 50]
