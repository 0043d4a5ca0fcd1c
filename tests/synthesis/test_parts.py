import pytest

from odm_mmocr.synthesis.common_words import COMMON_WORDS
from odm_mmocr.synthesis.parts import (
    TEST_SHARE,
    background_part,
    check_part,
    font_part,
    keep_part,
    part_of,
    word_part,
)


def test_parts_do_not_change_with_the_version():
    """Weights and benchmarks of other days depend on it."""
    assert [font_part(f) for f in ('Liberation Sans', 'STIXGeneral', 'DejaVu Sans', 'cmr10')] == [
        'test',
        'test',
        'train',
        'train',
    ]
    photos = [n for n in ('brick.png', 'coffee.png', 'chelsea.png') if background_part(n) == 'test']
    assert photos == ['brick.png', 'coffee.png']
    assert [w for w in ('open', 'taxi', 'jackpot', 'plum') if word_part(w) == 'test'] == [
        'taxi',
        'jackpot',
        'plum',
    ]


def test_about_a_quarter_is_test():
    share = sum(word_part(word) == 'test' for word in COMMON_WORDS) / len(COMMON_WORDS)
    assert share == pytest.approx(TEST_SHARE, abs=0.03)


def test_kinds_are_independent():
    names = [f'name{i}' for i in range(200)]
    parts = [[part_of(kind, name) for name in names] for kind in ('font', 'word')]
    assert parts[0] != parts[1]


def test_a_word_keeps_its_part_in_any_dress():
    for word in COMMON_WORDS[:200]:
        dressed = (word.upper(), word.title(), f'{word}!', f'www.{word}.com', f'{word}.net')
        assert {word_part(text) for text in dressed} == {word_part(word)}


def test_words_without_letters_have_parts_of_their_own():
    assert len({word_part(text) for text in '!?.:;-&+#@*/()"'}) == 2


def test_styles_and_widths_of_a_family_stay_together():
    for family in ('Alpha', 'Beta', 'Gamma', 'Delta', 'Epsilon', 'Zeta'):
        siblings = (family, family.upper(), f'{family} Sans', f'{family} Serif Condensed')
        assert len({font_part(name) for name in siblings}) == 1
    assert font_part('cmr10') == font_part('cmr12')
    assert font_part('10') in ('train', 'test')


def test_keeping_a_part():
    words = list(COMMON_WORDS[:100])
    train, test = (keep_part(words, part, word_part) for part in ('train', 'test'))
    assert sorted(train + test) == sorted(words)
    assert keep_part(words, None, word_part) == words


def test_an_unknown_part_is_refused():
    assert check_part(None) is None
    with pytest.raises(ValueError, match=r"part is 'val', expected 'train', 'test'"):
        check_part('val')
