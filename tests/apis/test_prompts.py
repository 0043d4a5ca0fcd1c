"""Words for images in every form that a user may choose."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('mmocr')

from odm_mmocr.apis.inputs import InputImage
from odm_mmocr.apis.prompts import (
    assign_words,
    check_words,
    choose_read_words,
    read_words,
    unknown_characters,
)
from odm_mmocr.datasets.vocabulary import Vocabulary
from odm_mmocr.pseudo_label import ReadWord

IMAGES = [InputImage(Path(f'photos/{name}.jpg'), name, name) for name in 'ab']
VOCABULARY = Vocabulary(max_characters=6)


@pytest.mark.parametrize(
    ('words', 'assigned'),
    [
        (None, [None, None]),
        ([], [[], []]),
        (['x', 'y'], [['x', 'y'], ['x', 'y']]),
        (('x',), [['x'], ['x']]),
        ([['x'], []], [['x'], []]),
        ([['x'], None], [['x'], None]),
        ({'a.jpg': ['x'], Path('photos/b.jpg'): []}, [['x'], []]),
        ({'a': ['x'], 'b': None, 'c': ['z']}, [['x'], None]),
    ],
)
def test_words_go_to_their_images(words, assigned):
    assert assign_words(words, IMAGES) == assigned


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ('open', "words='open' is a str"),
        ([['x'], 'y'], r"words\[1\]='y' stands beside lists"),
        ([['x']], '1 lists of words for 2 images'),
        ({'a.jpg': ['x']}, 'no entry photos/b.jpg'),
        ({'a.jpg': ['x'], 'b.jpg': 'y'}, r"words of b\.jpg are 'y'"),
        ({'a': ['x'], 'b': ['y'], 1: ['z']}, 'has the key 1, a int; expected the path'),
    ],
)
def test_words_without_an_image_are_refused(words, message):
    with pytest.raises(ValueError, match=message):
        assign_words(words, IMAGES)


def test_entries_without_an_image_are_named(monkeypatch):
    told = []
    monkeypatch.setattr(
        'odm_mmocr.apis.prompts.print_log', lambda message, **options: told.append(message)
    )
    fitting = {'a.jpg': ['x'], 'b': None}
    assign_words(fitting, IMAGES)
    assert told == []
    assign_words({'c.jpg': [], **fitting, Path('photos/d.jpg'): []}, IMAGES)
    assign_words({**fitting, **{name: [] for name in 'cdefg'}}, IMAGES)
    assert 'no image uses 2 of 4 entries' in told[0] and told[0].endswith(': c.jpg, photos/d.jpg')
    assert 'no image uses 5 of 7 entries' in told[1] and told[1].endswith(': c, d, e, …')


def test_arrays_have_no_name_to_look_up():
    with pytest.raises(ValueError, match='array_0 has no file name'):
        assign_words({'a': []}, [InputImage(np.zeros((9, 9), np.uint8), 'array_0', 'array_0')])


def test_a_prompt_holds_each_word_once():
    assert check_words([' open ', 'exit', 'open'], VOCABULARY, 'a') == ['open', 'exit']
    assert check_words(['ope\u0301n', 'op\u00e9n'], VOCABULARY, 'a') == ['op\u00e9n']
    assert check_words([], VOCABULARY, 'a') == []
    assert check_words(['the key'], Vocabulary('thek y'), 'a') == ['the key']


@pytest.mark.parametrize(
    ('word', 'message'),
    [
        (3, r'a: the word 3 is a int'),
        (None, 'is a NoneType'),
        ('', "the word '' is blank"),
        (' \t', 'is blank'),
        ('\u200b', 'is blank'),
        ('new york', "holds a blank.*2 words: 'new', 'york'"),
        ('汉字', "knows no character of the word '汉字'"),
    ],
)
def test_words_that_cannot_be_prompted_are_named(word, message):
    with pytest.raises(ValueError, match=message):
        check_words(['open', word], VOCABULARY, 'a')


def test_unknown_characters_are_listed():
    assert unknown_characters(['café', 'naïve', 'é'], VOCABULARY) == ['é', 'ï']


def test_of_what_is_read_the_surest_words_are_prompted():
    place = np.zeros((4, 2), np.float32)
    read = [('one', 0.7), ('longer', 0.99), ('two', 0.9), ('字', 0.9), ('one', 0.95), ('no', 0.6)]
    words, left_out = choose_read_words(
        [ReadWord(text, place, score) for text, score in read], VOCABULARY, 2
    )
    assert words == ['one', 'two']
    assert set(left_out) == {'longer', '字', 'no'}
    assert 'more than 5 characters' in left_out['longer']


def test_words_are_read_from_json(tmp_path):
    path = tmp_path / 'words.json'
    path.write_text(json.dumps({'a.jpg': ['é']}), encoding='utf-8-sig')
    assert read_words(path) == {'a.jpg': ['é']}
    for content, message in (('open', 'is no JSON file'), ('"open"', 'holds a str')):
        path.write_text(content)
        with pytest.raises(ValueError, match=message):
            read_words(path)
    with pytest.raises(FileNotFoundError, match='no file of words'):
        read_words(tmp_path / 'absent.json')


def test_nested_words_are_an_error_like_any_other(tmp_path):
    path = tmp_path / 'words.json'
    path.write_text('[' * 100_000)
    with pytest.raises(ValueError, match=r'words\.json is no JSON file'):
        read_words(path)
