import random
import string
import time

import pytest

from odm_mmocr.evaluation.end_to_end_lexicon import Lexicon, LexiconFiles

WORDS = ['Open', 'exit', 'house', 'mouse', '']


@pytest.mark.parametrize(
    ('read', 'max_distance', 'word'),
    [
        ('oPen', 0, 'OPEN'),
        ('opxen', 1, 'OPEN'),  # inserted
        ('xit', 1, 'EXIT'),  # left out
        ('0pen', 1, 'OPEN'),  # replaced
        ('0p3n', 1, None),
        ('0p3n', 2, 'OPEN'),
        ('rouse', 1, 'HOUSE'),  # as far from MOUSE: the first in the list
        ('open!', 1, 'OPEN'),
        ('0pen', 0, None),
        ('0pen', 0.25, 'OPEN'),  # 1 of 4
        ('0pen', 0.24, None),
        ('m0us', 0.4, 'MOUSE'),  # 2 of 5
        ('zzzzzz', None, 'OPEN'),  # none is nearer
        ('zzzzzz', 1, None),
    ],
)
def test_the_nearest_word(read, max_distance, word):
    assert Lexicon(WORDS, max_distance).correct(read) == word


def test_many_words_are_searched_quickly():
    rng = random.Random(0)
    words = [
        ''.join(rng.choices(string.ascii_lowercase, k=rng.randint(3, 12))) for _ in range(90000)
    ]
    lexicon = Lexicon(words)
    start = time.perf_counter()
    for word in words[:20]:
        lexicon.correct(word + '!')
        assert lexicon.correct(word) == word.upper()
    assert time.perf_counter() - start < 2


def test_files_of_words(tmp_path):
    (tmp_path / 'words.txt').write_bytes('\ufeffOpen\r\n\r\n exit \r\nOPEN\r\n'.encode())
    lexicon = LexiconFiles(tmp_path / 'words.txt').for_image('any.jpg')
    assert len(lexicon) == 2
    assert lexicon.correct('Exit') == 'EXIT' and lexicon.correct('open') == 'OPEN'
    for name in ('voc_img_7.txt', 'new_voc_img_8.txt', 'img_9.txt'):
        (tmp_path / name).write_text(f'{name[-5:-4]}{name[-5:-4]}\n')
    files = LexiconFiles(tmp_path)
    for number in '789':
        assert files.for_image(f'some/img_{number}.png').correct(number) == 2 * number


def test_wrong_files(tmp_path):
    (tmp_path / 'empty.txt').write_text('\n \n')
    (tmp_path / 'latin.txt').write_bytes('café'.encode('latin-1'))
    with pytest.raises(ValueError, match=r'empty\.txt: a lexicon without words'):
        LexiconFiles(tmp_path / 'empty.txt')
    with pytest.raises(ValueError, match=r'latin\.txt: .*utf-8'):
        LexiconFiles(tmp_path / 'latin.txt')
    with pytest.raises(FileNotFoundError, match='there is no lexicon'):
        LexiconFiles(tmp_path / 'none.txt')
    with pytest.raises(ValueError, match='max_distance=-1'):
        LexiconFiles(tmp_path, -1)
