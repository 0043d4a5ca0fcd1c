"""Words of a language are more plausible than other letters."""

import random
from math import log2

import pytest

from odm_mmocr.pseudo_label.plausibility import LetterPairs
from odm_mmocr.synthesis.common_words import COMMON_WORDS


@pytest.fixture(scope='module')
def pairs():
    return LetterPairs(COMMON_WORDS)


def test_words_of_the_list_and_numbers_are_as_plausible_as_can_be(pairs):
    word = COMMON_WORDS[10]
    for text in (word, word.upper(), f'"{word}!', '1234', '+-', ''):
        assert pairs(text) == 0


def test_words_that_are_not_in_the_list_come_before_letters_in_any_order(pairs):
    words = ['grandmotherly', 'restarting', 'unfolded', 'blandest', 'sharpener']
    assert not {*words} & pairs.words
    rng = random.Random(0)
    for word in words:
        mixed = ''.join(rng.sample(word, len(word)))
        assert pairs('xqzjvk') < pairs(mixed) < pairs(word) < 0


def test_a_direct_computation():
    """'ab' after the words 'ab' and 'aab': pairs ^a 2, aa 1, ab 2, b$ 2 of 2 ^, 3 a, 2 b."""
    pairs = LetterPairs(['ab', 'aab'])
    # 'ba': ^b, ba, a$ were never seen; 3 firsts, and one more for all that is not known.
    wanted = sum(log2(0.1 / (count + 0.1 * 4)) for count in (2, 2, 3)) / 3
    assert pairs('ba') == pytest.approx(wanted)


def test_letters_that_the_list_lacks_are_no_errors(pairs):
    assert pairs('汉字') < -5 and pairs('ﬁnd') == pairs('find')


@pytest.mark.parametrize('words', [[], ['123', '--']])
def test_lists_without_letters_are_refused(words):
    with pytest.raises(ValueError, match='without letters'):
        LetterPairs(words)
