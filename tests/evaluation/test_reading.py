import sys

import cv2
import numpy as np
import pytest

from odm_mmocr.evaluation.reading import WordReader, letters_and_digits, same_word
from odm_mmocr.rendering import load_fonts, render_strip


def picture(text: str, height: int = 40) -> np.ndarray:
    return 255 - render_strip(text, load_fonts(), height).mask


@pytest.mark.parametrize(
    ('text', 'rest'),
    [
        ('Hello, World! 42', 'helloworld42'),
        ('ＡＢＣ１２', 'abc12'),
        ('ﬁne', 'fine'),
        ('STRASSE', 'strasse'),
        ('Straße', 'strasse'),
        ('WE´RE', 'were'),
        ('Cafe\u0301', 'café'),
        ('हिंदी', 'हिंदी'),
        ('薄利·汽配', '薄利汽配'),
        ('②', '2'),
        ('!?€ -', ''),
        ('\u0301', ''),
    ],
)
def test_letters_and_digits_are_compared(text, rest):
    assert letters_and_digits(text) == rest


def test_same_word_tells_words_apart():
    assert same_word('don’t', "DON'T")
    assert not same_word('cafe', 'café')
    assert not same_word('ab', 'ba')


def test_words_are_read_whatever_their_size_and_colour(reader):
    words = {'Crossing': 16, 'EXIT': 48, 'Level 42': 200, 'OK': 30}
    grey = [picture(text, height) for text, height in words.items()]
    coloured = [cv2.cvtColor(p, cv2.COLOR_GRAY2BGR) // 2 + np.uint8((90, 20, 60)) for p in grey]
    for crops in (grey, coloured, [255 - p for p in grey]):
        readings = reader(crops)
        assert all(same_word(read, text) for (read, _), text in zip(readings, words))
        assert all(0.5 < score <= 1 for _, score in readings)


def test_a_word_reads_alike_in_any_company(reader):
    words = ['a', 'street', 'Extraordinary', 'of', 'a sentence that is longer than the others']
    crops = [picture(word) for word in words]
    together = reader(crops)
    assert reader(crops[::-1])[::-1] == together
    for crop, (text, score) in zip(crops, together):
        ((alone, alone_score),) = reader([crop])
        assert (alone, alone_score) == (text, pytest.approx(score, abs=1e-4))


def test_long_lines_are_not_squeezed(reader):
    text = ' '.join(['the quick brown fox jumps over the lazy dog'] * 2)
    ((read, _),) = reader([picture(text)])
    assert same_word(read, text)


def test_nothing_in_nothing_out(reader):
    assert reader([]) == []
    assert reader([np.full((40, 90), 255, np.uint8)]) == [('', 0.0)]


def test_it_knows_its_alphabet(reader):
    assert reader.knows('Abc 012, 汽配!')
    assert not reader.knows('Abc 한국')


@pytest.mark.parametrize(
    'wrong',
    [
        np.zeros((0, 9), np.uint8),
        np.zeros((9, 9), np.float32),
        np.zeros((9, 9, 4), np.uint8),
        np.zeros(9, np.uint8),
    ],
)
def test_a_wrong_picture_is_named(reader, wrong):
    with pytest.raises(ValueError, match='picture 1 to read .* expected uint8'):
        reader([np.zeros((9, 9), np.uint8), wrong])


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'rapidocr_onnxruntime', None)
    with pytest.raises(ImportError, match=r'rapidocr_onnxruntime.*odm_mmocr\[ppocr\]'):
        WordReader()
