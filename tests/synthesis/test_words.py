import numpy as np
import pytest

from odm_mmocr.synthesis.common_words import COMMON_WORDS
from odm_mmocr.synthesis.parts import word_part
from odm_mmocr.synthesis.words import WordSource, load_words


def draw(source: WordSource, count: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [source(rng) for _ in range(count)]


def test_built_in_words_are_many_and_plain():
    assert len(set(COMMON_WORDS)) == len(COMMON_WORDS) > 1000
    assert all(word.isascii() and word.isalpha() and word.islower() for word in COMMON_WORDS)


def test_built_in_source_varies_casing_and_adds_random_strings():
    words = draw(WordSource(), 1000)
    assert sum(word.isupper() for word in words) > 200
    assert sum(word.istitle() for word in words) > 100
    assert sum(word.isalpha() and word.islower() for word in words) > 50
    assert 100 < sum(any(c.isdigit() for c in word) for word in words) < 300
    assert all(word and word.isascii() and ' ' not in word for word in words)


def test_a_given_vocabulary_is_used_as_written():
    vocabulary = ['Open', 'SALE', 'münchen', 'no entry']
    assert set(draw(WordSource(vocabulary), 200)) == set(vocabulary)


def test_additions_cover_all_that_is_drawn():
    source = WordSource(['straße', 'open'], random_share=0.5, vary_case=True)
    known = set(''.join(source.words)).union(source.additions())
    assert set(''.join(draw(source, 2000))) <= known


def test_words_beyond_a_length_are_left_out():
    source = WordSource(['a', 'bb', 'ccc'])
    source.keep_up_to(2)
    assert set(draw(source, 100)) == {'a', 'bb'}
    with pytest.raises(ValueError, match="too long, even 'a'"):
        source.keep_up_to(0)


def test_a_file_is_read_with_mark_blank_lines_and_line_ends_of_any_system(tmp_path):
    path = tmp_path / 'words.txt'
    path.write_bytes('\ufeffopen\r\n\r\n  sale \nzürich'.encode())
    assert load_words(path) == ['open', 'sale', 'zürich']


@pytest.mark.parametrize(
    ('content', 'message'), [(b'\n \n', 'is empty'), (b'\xff\xfe\x00o', 'not UTF-8')]
)
def test_a_bad_file_is_named(tmp_path, content, message):
    path = tmp_path / 'words.txt'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        load_words(path)
    assert 'words.txt' in str(error.value)


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r'nowhere/words\.txt'):
        WordSource('nowhere/words.txt')


@pytest.mark.parametrize('words', [[], ['a', ' '], ['a', 3], ['x' * 101]])
def test_bad_lists_are_refused(words):
    with pytest.raises(ValueError, match='word'):
        WordSource(words)


def test_a_share_out_of_range_is_refused():
    with pytest.raises(ValueError, match='random_words is 2'):
        WordSource(random_share=2)


@pytest.mark.parametrize('part', ['train', 'test'])
def test_all_that_is_drawn_for_a_part_belongs_to_it(part):
    source = WordSource(part=part, random_share=0.5)
    texts = draw(source, 600)
    assert {word_part(text) for text in texts} == {part}
    assert sum(any(c.isdigit() for c in text) for text in texts) > 100
    assert any(text.endswith('.com') for text in texts)


def test_the_parts_make_up_the_vocabulary():
    parts = [set(WordSource(part=part).words) for part in ('train', 'test')]
    assert parts[0] | parts[1] == set(COMMON_WORDS)
    assert not parts[0] & parts[1]
    given = ['open', 'plum']
    assert WordSource(given, part='train').words == ['open']
    assert WordSource(given, part='test').words == ['plum']


def test_a_part_without_words_is_refused():
    with pytest.raises(ValueError, match=r"none of the 1 words belongs to the part 'test'"):
        WordSource(['open'], part='test')
