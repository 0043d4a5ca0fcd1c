import pytest

from odm_mmocr.visualization.plain_text import character_name, printable, shorten


@pytest.mark.parametrize(
    ('text', 'shown'),
    [
        ('a\nb\x1b', 'a\\nb\\x1b'),
        ('\udcff.jpg', '\\udcff.jpg'),
        ('\u202egnp', '\\u202egnp'),
        ('汉字 été سلام', '汉字 été سلام'),
        ('क\u200dष', 'क\u200dष'),
    ],
)
def test_what_cannot_be_seen_is_escaped_and_all_else_stays(text, shown):
    assert printable(text) == shown
    printable(text).encode('utf-8')


def test_long_texts_are_cut_to_their_length():
    assert shorten('abcd', 4) == 'abcd'
    assert shorten('abcde', 4) == 'abc…'


def test_characters_are_named_by_code():
    assert character_name('é') == 'U+00E9 LATIN SMALL LETTER E WITH ACUTE'
    assert character_name('\ud800') == 'U+D800 Cs'
