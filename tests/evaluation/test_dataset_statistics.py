import json
import math
from pathlib import Path

import numpy as np
import pytest

from odm_mmocr.datasets.annotation_files import AnnotatedImage, AnnotatedWord, read_dataset
from odm_mmocr.datasets.vocabulary import Vocabulary
from odm_mmocr.evaluation.dataset_statistics import (
    count_edges,
    dataset_statistics,
    describe,
    doubled_words,
    word_shape,
)


def box(x, y, width, height):
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], float)


def word(text, polygon=None, ignored=False, **others):
    polygon = box(10, 10, 40, 20) if polygon is None else polygon
    return AnnotatedWord(polygon, text, ignored, 'instance 0', **others)


def image(*words, name='a.jpg'):
    return AnnotatedImage(name, Path(name), (100, 200), list(words))


def test_readable_ignored_and_rejected_words_are_counted_apart():
    s = dataset_statistics(
        [
            image(word('one'), word('###', ignored=True), word('', ignored=True)),
            image(word('lost', ignored=True), word('no', ignored=True, rejected='score')),
            image(),
        ]
    )
    assert (s.images, s.images_without_words, s.images_without_readable) == (3, 1, 2)
    assert (s.words, s.readable) == (5, 1)
    assert s.ignored == {'text is ###': 1, 'no text': 1, 'marked, though it has a text': 1}
    assert s.rejected == {'score': 1}
    assert (s.words_an_image.mean, s.words_an_image.median) == (pytest.approx(5 / 3), 2)
    assert s.readable_an_image.counts[:2] == (2, 1)
    assert s.ignored_heights.count == 4
    with pytest.raises(ValueError, match='no images to count'):
        dataset_statistics([])


def test_heights_fall_into_small_medium_and_large():
    heights = (15.9, 16, 31, 32, 400)
    s = dataset_statistics([image(*(word('a', box(0, 0, 500, h)) for h in heights))])
    assert s.height_classes == dict(small=1, medium=2, large=2)
    assert (s.heights.minimum, s.heights.maximum) == (15.9, 400)
    bound = s.heights.edges.index(16)
    assert sum(s.heights.counts[:bound]) == 1 and s.heights.counts[-1] == 1


@pytest.mark.parametrize('turn', [0, 30, 90, 150, -90, -45])
def test_shape_is_told_along_the_reading_direction(turn):
    angle = math.radians(turn)
    towards_right, down = np.array([
        [math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]
    ])  # fmt: skip
    polygon = box(0, 0, 60, 15) @ np.stack((towards_right, down))
    ratio, rotation = word_shape(polygon)
    assert ratio == pytest.approx(4)
    assert rotation == pytest.approx(turn)
    assert word_shape(box(0, 0, 15, 60))[0] == pytest.approx(1 / 4)


@pytest.mark.parametrize(
    'polygon',
    [
        [[0, 0], [5, 0], [5, 5]],
        [[1, 1]] * 4,
        [[0, np.nan], [9, 0], [9, 9], [0, 9]],
        np.zeros((0, 2)),
    ],
)
def test_polygons_that_tell_no_direction_are_counted(polygon):
    s = dataset_statistics([image(word('a'), word('b', np.asarray(polygon, float)))])
    assert s.undirected == 1
    assert s.ratios.count == s.rotations.count == 1
    json.dumps(s.summary(), allow_nan=False)


def test_words_outside_their_image_are_counted_and_not_extreme():
    far = word('far', box(1e5, 0, 4e5, 3e5))
    partly = word('partly', box(-15, 10, 40, 20))
    s = dataset_statistics([image(word('in'), far, partly), image(word('x', far.polygon, True))])
    assert s.misplaced == 2
    assert [found.word.text for found in s.extremes['highest']] == ['in', 'partly']


def test_characters_and_words_are_counted_against_the_vocabulary():
    words = [word('aab'), word('aab '), word('é€'), word('zz', ignored=True), word('abababab')]
    s = dataset_statistics([image(*words)], Vocabulary('abz', max_characters=6))
    assert s.characters == dict(a=8, b=6) | {'é': 1, '€': 1}
    assert s.unknown_characters == {'é': 1, '€': 1}
    assert (s.words_with_unknown, s.cut_words, s.longest_known) == (1, 1, 5)
    assert s.texts.most_common(1) == [('aab', 2)] and len(s.texts) == 3
    assert s.lengths.maximum == 8


def test_scores_of_accepted_and_rejected_words_are_apart():
    words = [
        word('a', score=0.9),
        word('b'),
        word('c', score=1.0),
        word('d', ignored=True, rejected='score', score=0.2),
    ]
    s = dataset_statistics([image(*words)])
    assert (s.scores.count, s.scores.minimum, s.scores.counts[-1]) == (2, 0.9, 1)
    assert (s.rejected_scores.count, s.rejected_scores.mean) == (1, 0.2)
    assert [found.value for found in s.extremes['least sure']] == [0.9, 1.0]
    unscored = dataset_statistics([image(word('b'))])
    assert unscored.scores is None and 'least sure' not in unscored.extremes


def test_only_the_same_text_at_the_same_place_is_doubled():
    words = [
        word('A', box(0, 0, 40, 20)),
        word('A', box(4, 0, 40, 20)),
        word('A', box(40, 0, 40, 20)),
        word('B', box(0, 0, 40, 20)),
        word('A', box(0, 0, 40, 20), ignored=True),
        word('dot', np.zeros((4, 2))),
        word('dot', np.zeros((4, 2))),
        word('odd', np.full((4, 2), np.nan)),
        word('odd', np.full((4, 2), np.nan)),
    ]
    assert [id(found) for found in doubled_words(words)] == [id(words[1]), id(words[6])]
    found = dataset_statistics([image(*words), image(words[0])]).doubled
    assert [(one.source, two.text) for one, two in found] == [('a.jpg', 'A'), ('a.jpg', 'dot')]


def test_bins_count_every_finite_value_once():
    values = [-5, 0, 1, 1.5, 2, 99, np.nan, np.inf]
    told = describe(values, (0, 1, 2, 3))
    assert told.counts == (2, 2, 2) and told.count == 6
    assert describe([np.nan], (0, 1)) is None


@pytest.mark.parametrize(
    ('counts', 'edges'),
    [([0, 2], (0, 1, 2, 3)), ([0] * 199 + [500], (0, 1)), ([], (0, 1)), ([59], range(0, 61, 2))],
)
def test_bins_of_counts_are_few_and_begin_at_whole_numbers(counts, edges):
    assert count_edges(counts) == tuple(edges)


def test_all_of_icdar2015_is_counted(shared_data):
    folder = shared_data / 'icdar2015'
    images, _, _ = read_dataset(folder / 'train_gt', folder / 'train_images')
    s = dataset_statistics(images)
    assert (s.images, s.words, s.readable) == (1000, 11886, 4468)
    assert s.misplaced == s.undirected == 0
    json.dumps(s.summary(), allow_nan=False)
