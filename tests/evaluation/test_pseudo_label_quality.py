"""Precision and recall of words, by cases worked out by hand."""

import math

import numpy as np
import pytest

from odm_mmocr.datasets.annotation_files import AnnotatedWord
from odm_mmocr.evaluation.pseudo_label_quality import FoundWord, ImageMatch, WordQuality


def box(x, width=100, y=0, height=20):
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], float)


def truth(text, polygon, ignored=False):
    return AnnotatedWord(polygon, text, ignored, 'line 1')


def judge(found, annotated, chosen=None):
    match = ImageMatch(found, annotated)
    return match.judge(np.ones(len(found), bool) if chosen is None else chosen)


def test_words_count_by_place_and_text():
    found = [
        FoundWord('open', box(0)),  # case aside
        FoundWord('daily', box(200)),  # another text
        FoundWord('shop', box(400, y=100)),  # nothing is there
    ]
    annotated = [truth('OPEN!', box(0)), truth('dairy', box(205)), truth('shop', box(700))]
    quality = judge(found, annotated)
    assert quality == WordQuality(found=3, right=1, located=2, annotated=3)
    assert quality.precision == quality.recall == pytest.approx(1 / 3)
    assert quality.location_precision == pytest.approx(2 / 3)


@pytest.mark.parametrize(('shift', 'right'), [(0, 1), (33, 1), (34, 0), (100, 0)])
def test_half_of_the_union_must_be_common(shift, right):
    """Shifted by a third the overlap is 2/3 of each, and 1/2 of both."""
    assert judge([FoundWord('word', box(shift))], [truth('word', box(0))]).right == right


def test_a_word_is_found_once():
    found = [FoundWord('word', box(0)), FoundWord('word', box(2)), FoundWord('word', box(4))]
    assert judge(found, [truth('word', box(0))]) == WordQuality(3, 1, 1, 1)
    one = [FoundWord('word', box(0))]
    assert judge(one, [truth('word', box(0)), truth('word', box(2))]) == WordQuality(1, 1, 1, 2)


def test_of_two_words_at_one_place_the_right_one_is_matched():
    found = [FoundWord('ward', box(0)), FoundWord('word', box(10))]
    annotated = [truth('word', box(0))]
    assert judge(found, annotated) == WordQuality(2, 1, 1, 1)
    assert judge(found, annotated, [True, False]) == WordQuality(1, 0, 1, 1)
    assert judge(found, annotated, [False, True]) == WordQuality(1, 1, 1, 1)
    assert judge(found, annotated, [False, False]) == WordQuality(0, 0, 0, 1)


def test_nobody_knows_about_words_on_unreadable_text():
    annotated = [truth('###', box(0), True), truth('word', box(200))]
    on_it = FoundWord('some', box(40))  # 60 of 100
    beside = FoundWord('some', box(60))  # 40 of 100
    assert judge([on_it], annotated) == WordQuality(0, 0, 0, 1)
    assert judge([beside], annotated) == WordQuality(1, 0, 0, 1)
    # A line over a readable and an unreadable word is about the readable one.
    long = [truth('###', box(0, 60), True), truth('word', box(0, 110))]
    assert judge([FoundWord('word', box(0))], long) == WordQuality(1, 1, 1, 1)


def test_a_second_word_on_a_readable_one_is_wrong_beside_unreadable_text_too():
    annotated = [truth('###', box(0), True), truth('word', box(0))]
    found = [FoundWord('word', box(0)), FoundWord('word', box(0))]
    assert judge(found, annotated) == WordQuality(2, 1, 1, 1)


def test_without_words_there_are_no_shares():
    empty = judge([], [])
    assert empty == WordQuality()
    shares = (empty.precision, empty.recall, empty.f_score, empty.location_precision)
    assert all(map(math.isnan, shares))
    assert judge([FoundWord('word', box(0))], []).precision == 0
    assert judge([], [truth('word', box(0))]).recall == 0


@pytest.mark.parametrize(
    'polygon',
    [
        np.zeros((4, 2)),
        np.array([(0, 0), (100, 0), (0, 0), (100, 0)], float),
        np.full((4, 2), 1e6),
    ],
)
def test_polygons_without_area_match_nothing(polygon):
    annotated = [truth('word', box(0)), truth('###', box(0), True)]
    assert judge([FoundWord('word', polygon)], annotated) == WordQuality(1, 0, 0, 1)
    assert judge([FoundWord('word', box(0))], [truth('word', polygon)]) == WordQuality(1, 0, 0, 1)


def test_polygons_that_cross_themselves_are_no_errors():
    crossed = box(0)[[0, 1, 3, 2]]
    assert judge([FoundWord('word', crossed)], [truth('word', box(0))]).annotated == 1
    wound = np.concatenate((box(0), box(0)))
    judge([FoundWord('word', wound)], [truth('word', crossed)])


def test_images_add_up():
    images = [
        judge([FoundWord('one', box(0))], [truth('one', box(0))]),
        judge([FoundWord('two', box(0)), FoundWord('six', box(200))], [truth('two', box(0))]),
        judge([], [truth('ten', box(0))]),
    ]
    assert sum(images, WordQuality()) == WordQuality(3, 2, 2, 3)


def test_the_f_score_is_the_harmonic_mean():
    quality = WordQuality(found=10, right=6, located=8, annotated=20)
    precision, recall = 0.6, 0.3
    assert quality.f_score == pytest.approx(2 * precision * recall / (precision + recall))
    assert WordQuality(5, 0, 0, 5).f_score == 0


def test_texts_without_letters_are_compared_whole():
    assert judge([FoundWord('%', box(0))], [truth('&', box(0))]).right == 0
    assert judge([FoundWord('&', box(0))], [truth('&', box(0))]).right == 1
