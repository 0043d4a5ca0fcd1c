"""Words as character ids."""

import numpy as np
import pytest

pytest.importorskip('mmocr')

from odm_mmocr.datasets import Vocabulary, build_vocabulary


def test_default_ids_are_ascii_in_code_order():
    vocabulary = Vocabulary()
    assert vocabulary.num_ids == 96
    tokens, mask = vocabulary.encode(['!~', 'A'])
    assert tokens.shape == (32, 25)
    assert tokens.dtype == np.int64
    assert tokens[0, :4].tolist() == [1, 94, 95, 0]
    assert tokens[1, :3].tolist() == [ord('A') - 32, 95, 0]
    assert mask.tolist() == [True, True] + [False] * 30
    assert not tokens[2:].any()


def test_the_end_takes_the_last_slot_of_a_long_word():
    tokens, _ = Vocabulary(max_characters=5).encode(['abcdefgh', 'abcd', 'abc'], max_words=3)
    assert (tokens[:, :3] == tokens[2, :3]).all()
    assert tokens[0, 3:].tolist() == tokens[1, 3:].tolist() == [ord('d') - 32, 95]
    assert tokens[2, 3:].tolist() == [95, 0]


def test_unknown_characters_keep_their_slot():
    vocabulary = Vocabulary('ab')
    tokens, _ = vocabulary.encode(['aéb'], max_words=1)
    assert tokens[0, :4].tolist() == [1, 0, 2, vocabulary.end]
    assert vocabulary.known('aéb') == pytest.approx(2 / 3)
    assert vocabulary.known('') == 0


@pytest.mark.parametrize('text', ['cafe\u0301', ' café\n', 'ca\u00adfé'])
def test_what_is_drawn_alike_is_spelt_alike(text):
    vocabulary = Vocabulary('acfeé')
    tokens, _ = vocabulary.encode([text, 'café'], max_words=2)
    assert tokens[0].tolist() == tokens[1].tolist()
    assert vocabulary.known(text) == 1
    assert vocabulary.known('café ' * 5000) > 0.7  # too long to be drawn, but no error


def test_more_words_than_rows_is_an_error():
    with pytest.raises(ValueError, match=r'3 words.*max_words=2'):
        Vocabulary().encode(['a', 'b', 'c'], max_words=2)


@pytest.mark.parametrize('ending', ['\n', '\r\n'])
def test_a_file_has_one_character_a_line(tmp_path, ending):
    path = tmp_path / 'dictionary.txt'
    path.write_bytes(ending.join(['中', 'x', '.', '']).encode('utf-8-sig'))
    assert Vocabulary(path).characters == Vocabulary(str(path)).characters == '中x.'
    assert build_vocabulary({'characters': str(path), 'max_characters': 4}).max_characters == 4


def test_bad_characters_are_named(tmp_path):
    path = tmp_path / 'dictionary.txt'
    path.write_text('a\nbc\n')
    with pytest.raises(ValueError, match=r'dictionary\.txt:2.*bc'):
        Vocabulary(path)
    with pytest.raises(FileNotFoundError, match=r'missing\.txt'):
        Vocabulary('missing.txt')
    with pytest.raises(ValueError, match=r"twice.*'a'"):
        Vocabulary('aba')
    with pytest.raises(ValueError, match='no characters'):
        Vocabulary('')
    with pytest.raises(ValueError, match='max_characters'):
        Vocabulary(max_characters=1)


def test_a_file_of_all_characters_is_read_at_once(tmp_path):
    characters = [chr(code) for code in range(0x4E00, 0xD000)]
    path = tmp_path / 'all.txt'
    path.write_text('\n'.join(characters), encoding='utf-8')
    assert Vocabulary(path).num_ids == len(characters) + 2
    path.write_text('\n'.join(characters + ['一']), encoding='utf-8')
    with pytest.raises(ValueError, match='twice'):
        Vocabulary(path)
