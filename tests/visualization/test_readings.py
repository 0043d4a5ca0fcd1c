from pathlib import Path

import cv2
import numpy as np
import pytest

from odm_mmocr.datasets.annotation_files import AnnotatedImage, AnnotatedWord
from odm_mmocr.evaluation.read_back import WordCheck
from odm_mmocr.visualization import READING_COLUMNS, reading_row
from odm_mmocr.visualization.annotations import POLYGON
from odm_mmocr.visualization.readings import GREEN, GROUND, RED, TILE

QUAD = np.array([(40, 60), (200, 40), (206, 90), (46, 110)], np.float64)


def check(path='absent.png', polygon=QUAD, text='word', shape=(150, 300), **others):
    image = AnnotatedImage('image.png', Path(path), shape, [])
    return WordCheck(image, AnnotatedWord(polygon, text, False, 'line 1'), **others)


def has(picture, colour):
    return (picture == np.array(colour, np.uint8)).all(-1).any()


def test_a_row_shows_image_label_and_both_laid_out(tmp_path):
    path = tmp_path / 'image.png'
    cv2.imwrite(str(path), np.full((150, 300, 3), (200, 90, 30), np.uint8))
    image, label, flat, text = row = reading_row(check(path, read='worn', distance=0.25))
    assert len(row) == len(READING_COLUMNS)
    assert all(picture.shape == (TILE[1], TILE[0], 3) for picture in row)
    assert has(image, (200, 90, 30)) and has(image, POLYGON)
    assert (label > 200).any() and not has(label, POLYGON)
    half = TILE[1] // 2
    assert has(flat[:half], (200, 90, 30)) and not has(flat[half:], (200, 90, 30))
    assert (flat[half:] < 50).any()
    assert has(text, RED[::-1]) and not has(text, GREEN[::-1])
    assert has(reading_row(check(path, read='word', distance=0.0))[3], GREEN[::-1])


def test_an_image_that_is_not_there_or_of_another_size_is_left_grey(tmp_path):
    path = tmp_path / 'image.png'
    cv2.imwrite(str(path), np.zeros((20, 20, 3), np.uint8))
    for missing in ('absent.png', path):
        assert has(reading_row(check(missing))[0], (GROUND,) * 3)


@pytest.mark.parametrize(
    ('polygon', 'text'),
    [
        (QUAD, '\U0010ffff'),
        (QUAD[::-1], 'mirrored'),
        (QUAD + 1000, 'outside'),
        (QUAD * np.nan, 'nowhere'),
        (QUAD[:1], 'point'),
        (QUAD, 'w' * 500),
        (QUAD[[0, 0, 0, 0]], 'no area'),
    ],
    ids=['glyph', 'mirrored', 'outside', 'nan', 'point', 'long', 'no area'],
)
def test_what_cannot_be_drawn_still_has_its_row(polygon, text):
    row = reading_row(check(polygon=polygon, text=text, cause='r ' * 500))
    assert all(picture.shape == (TILE[1], TILE[0], 3) for picture in row)
    assert has(row[3], (0, 0, 0))
