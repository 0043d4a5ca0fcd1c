"""Filters judged against a ground truth."""

import json
from pathlib import Path

import numpy as np
import pytest

from odm_mmocr.datasets.annotation_files import AnnotatedImage, AnnotatedWord
from odm_mmocr.evaluation.filter_sweep import FilterSweep, format_table
from odm_mmocr.pseudo_label import FilterSettings


def box(x):
    return [x, 0, x + 40, 0, x + 40, 20, x, 20]


def truth(name, words):
    words = [
        AnnotatedWord(np.reshape(box(x), (-1, 2)), text, text == '###', '') for x, text in words
    ]
    return AnnotatedImage('', Path(f'truth/{name}'), (100, 400), words)


@pytest.fixture
def readings(tmp_path):
    """Of two images: two words right, one misread, one out of the blue, one on unreadable text."""

    def word(x, text, score):
        return dict(text=text, polygon=box(x), score=score)

    records = [
        dict(words=[word(0, 'open', 0.99), word(100, 'exlt', 0.7), word(200, 'leaf', 0.4)]),
        dict(words=[word(0, 'BANK', 0.95), word(100, 'smudge', 0.5)]),
        dict(error='gone'),
    ]
    path = tmp_path / 'r.jsonl'
    with open(path, 'w') as file:
        for index, record in enumerate(records):
            record |= dict(index=index, img_path=f'a/{index}.jpg', height=100, width=400)
            file.write(json.dumps(record) + '\n')
    return path


TRUTH = [
    truth('0.jpg', [(0, 'open'), (100, 'exit')]),
    truth('1.jpg', [(0, 'bank'), (100, '###'), (300, 'missed')]),
    truth('2.jpg', [(0, 'error')]),
    truth('other.jpg', [(0, 'word')]),
]


def test_words_are_counted_as_by_hand(readings):
    sweep = FilterSweep([readings], TRUTH)
    assert sweep.images == 2
    rows = {(row.group, row.setting): row.quality for row in sweep.rows(FilterSettings())}
    everything = rows['none', 'no filter']
    assert (everything.found, everything.right, everything.annotated) == (4, 2, 4)
    assert everything.location_precision == pytest.approx(3 / 4)
    chosen = rows['chosen', 'the chosen filters']
    assert (chosen.found, chosen.right) == (2, 2)
    assert chosen.precision == 1 and chosen.recall == 0.5
    assert chosen.f_score == pytest.approx(2 / 3)
    assert rows['around', 'min_score 0.7'].found == 3
    assert rows['around', 'min_score off'] == everything
    assert ('alone', 'read_back') not in rows


def test_table_has_a_line_for_each_row(readings):
    rows = list(FilterSweep([readings], TRUTH).rows(FilterSettings()))
    lines = format_table(rows).splitlines()
    assert len(lines) == len(rows) + 2
    assert '| without filters | no filter | 4 | 0.500 | 0.500 | 0.500 | 0.750 |' in lines
    assert len({line.count('|') for line in lines}) == 1


def test_read_back_is_tried_where_it_is_known(readings, tmp_path):
    lines = [json.loads(line) for line in readings.read_text().splitlines()]
    for record in lines:
        for word in record.get('words', ()):
            word['read_back'] = 'exit' if word['text'] == 'exlt' else word['text']
    path = tmp_path / 'read_back.jsonl'
    path.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    rows = {r.setting: r.quality for r in FilterSweep([path], TRUTH).rows(FilterSettings())}
    assert rows['read_back'].right == 2


def test_wrong_input(readings):
    with pytest.raises(ValueError, match='no image in common'):
        FilterSweep([readings], TRUTH[3:])
    with pytest.raises(ValueError, match='two images of the ground truth are called'):
        FilterSweep([readings], [TRUTH[0], truth('0.jpg', [])])
