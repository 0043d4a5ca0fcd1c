"""Every filter rejects what it should, at its bound, and nothing when it is off."""

import itertools

import pytest

from odm_mmocr.pseudo_label import FilterSettings, WordFilter

SHAPE = (200, 400)
OFF = dict(
    min_score=None,
    min_detection_score=None,
    min_height=None,
    min_letter_aspect=None,
    max_letter_aspect=None,
    min_known=None,
    max_coverage=None,
    min_letters=None,
)


def box(width, height):
    return [10.0, 20.0, 10.0 + width, 20.0, 10.0 + width, 20.0 + height, 10.0, 20.0 + height]


def word(text='word', width=80, height=20, score=0.95, **more):
    return dict(text=text, polygon=box(width, height), score=score, **more)


def only(**settings):
    return WordFilter(FilterSettings(**{**OFF, **settings}))


def test_a_good_word_passes():
    assert WordFilter(FilterSettings())(word(detection_score=0.9), SHAPE) is None
    assert only()(word(), SHAPE) is None


BOUNDS = [
    # name, settings, what just passes, what just fails
    ('text', dict(min_letters=3), word('a-b.c'), word('ab--')),
    ('score', dict(min_score=0.8), word(score=0.8), word(score=0.7999)),
    (
        'detection_score',
        dict(min_detection_score=0.6),
        word(detection_score=0.6),
        word(detection_score=0.5999),
    ),
    ('height', dict(min_height=12), word(height=12), word(height=11.9)),
    ('aspect', dict(min_letter_aspect=0.5), word(width=40), word(width=39)),
    ('aspect', dict(max_letter_aspect=1.5), word(width=120), word(width=121)),
    ('vocabulary', dict(min_known=0.75), word('caf€'), word('ca€€')),
    ('coverage', dict(max_coverage=0.25), word(width=200, height=100), word(width=201, height=100)),
    ('read_back', dict(read_back=True), word(read_back='WORD.'), word(read_back='ward')),
    (
        'plausibility',
        dict(min_plausibility=-5.0),
        word('sharpener'),
        word('xqzjvk'),
    ),
]


@pytest.mark.parametrize(('name', 'settings', 'good', 'bad'), BOUNDS)
def test_each_at_its_bound(name, settings, good, bad):
    judge = only(**settings)
    assert judge(good, SHAPE) is None
    assert judge(bad, SHAPE) == name
    assert only()({**bad, 'read_back': 'other'}, SHAPE) is None  # switched off


def test_the_first_of_the_names_is_told():
    """A word mended of one fault after the other is rejected by all filters in their order."""
    judge = WordFilter(
        FilterSettings(
            min_detection_score=0.5, read_back=True, min_plausibility=-5.0, max_coverage=0.1
        )
    )
    bad = dict(text='€', polygon=box(2, 2), score=0.1, detection_score=0.1, read_back='x')
    mends = [
        dict(text='xqzj€'),
        dict(score=1.0),
        dict(detection_score=1.0),
        dict(polygon=box(200, 9)),
        dict(polygon=box(400, 100)),
        dict(text='xqzjv'),
        dict(polygon=box(80, 20)),
        dict(read_back='XQZJV'),
        dict(text='sharpen', read_back='sharpen'),
    ]
    reasons = [judge(bad, SHAPE)]
    for mend in mends:
        bad.update(mend)
        reasons.append(judge(bad, SHAPE))
    assert reasons == [*WordFilter.names, None]


def test_words_without_a_detection_score_pass():
    assert only(min_detection_score=0.9)(word(), SHAPE) is None
    assert only(min_detection_score=0.9)(word(detection_score=None), SHAPE) is None


def test_words_without_a_text_never_pass():
    assert only()(word(''), SHAPE) == 'text'


def test_words_whose_label_nobody_can_read_pass():
    assert only(read_back=True)(word(read_back=None), SHAPE) is None
    assert only(read_back=True)(word(read_back=''), SHAPE) == 'read_back'


def test_readings_without_read_back_are_named():
    with pytest.raises(ValueError, match='--read-back'):
        only(read_back=True)(word(), SHAPE)


def test_the_blanks_of_a_kept_line_are_no_unknown_characters():
    assert only(min_known=1.0)(word('OPEN ALL DAY', width=240), SHAPE) is None
    assert only(min_known=1.0)(word('OPEN € DAY', width=240), SHAPE) == 'vocabulary'


def test_the_vocabulary_is_a_setting(tmp_path):
    letters = tmp_path / 'letters.txt'
    letters.write_text('\n'.join('wordäß'), encoding='utf-8')
    assert only(min_known=1.0, vocabulary=str(letters))(word('wörd'), SHAPE) == 'vocabulary'
    assert only(min_known=1.0, vocabulary=str(letters))(word('wärd'), SHAPE) is None
    with pytest.raises(FileNotFoundError, match='nothing.txt'):
        only(vocabulary=str(tmp_path / 'nothing.txt'))


def test_words_of_another_language(tmp_path):
    words = tmp_path / 'words.txt'
    words.write_text('xqzjvk\n', encoding='utf-8')
    assert only(min_plausibility=-1.0, words=str(words))(word('xqzjvk'), SHAPE) is None
    assert only(min_plausibility=-1.0, words=str(words))(word('sharpener'), SHAPE) == 'plausibility'
    with pytest.raises(FileNotFoundError, match='nothing.txt'):
        only(min_plausibility=-1.0, words=str(tmp_path / 'nothing.txt'))


def test_flat_polygons_are_rejected_without_an_error():
    flat = word(height=0)
    assert only(max_letter_aspect=5.0)(flat, SHAPE) == 'aspect'
    assert only(min_height=1)(flat, SHAPE) == 'height'


RANGES = {
    'min_score': (-0.01, 1.01),
    'min_detection_score': (-0.01, 1.01),
    'min_known': (-0.01, 1.01),
    'max_coverage': (-0.01, 1.01),
    'min_height': (-1,),
    'min_letter_aspect': (-1,),
    'max_letter_aspect': (-1,),
    'min_letters': (-1,),
    'min_plausibility': (0.1,),
    'max_duplicate_distance': (-1, 17),
}


@pytest.mark.parametrize(
    ('name', 'value'),
    itertools.chain.from_iterable(
        [(name, value) for value in (*values, float('nan'))] for name, values in RANGES.items()
    ),
)
def test_settings_out_of_range(name, value):
    with pytest.raises(ValueError, match=f'{name} is .*expected'):
        FilterSettings(**{name: value})
