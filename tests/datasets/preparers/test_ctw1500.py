"""CTW1500 from its XML and text files."""

import numpy as np
import pytest

pytest.importorskip('mmocr')

from odm_mmocr.datasets.preparers import (
    find_ctw1500,
    parse_ctw1500_file,
    parse_ctw1500_line,
    prepare_ctw1500,
)
from odm_mmocr.rendering import render_label

# The first half of the points as the official files have them, along the bottom of the text.
BOTTOM = [(10 + 15 * i, 60) for i in range(7)]
TOP = [(100 - 15 * i, 30) for i in range(7)]
OFFICIAL = ','.join(f'{x},{y}' for x, y in BOTTOM + TOP)
POLYGON = np.array(TOP[::-1] + BOTTOM[::-1]).ravel().tolist()
XML = """<Annotations>
    <image file="0001.jpg">
        <box height="30" left="10" top="30" width="90">
            <label>{}</label>
            <segs>{}</segs>
            <pts>10,60,100,30</pts>
        </box>
    </image>
</Annotations>
"""


@pytest.mark.parametrize(
    ('text', 'expected', 'ignore'),
    [
        ('ATOI', 'ATOI', False),
        ('New York, New York', 'New York, New York', False),
        ('###', '###', True),
        ('', '', True),
        ('#1', '#1', False),
    ],
)
def test_lines_of_the_test_set(text, expected, ignore):
    parsed = parse_ctw1500_line(f'{OFFICIAL},####{text}')
    assert parsed == {'poly': POLYGON, 'text': expected, 'ignore': ignore}


def test_text_is_upright():
    poly = parse_ctw1500_line(f'{OFFICIAL},####L')['poly']
    label = render_label([np.array(poly, float)], ['L'], (100, 120)) > 128
    rows, columns = np.nonzero(label)
    # The foot of an L is below and to the right.
    lower = rows > (rows.min() + rows.max()) / 2
    assert np.ptp(columns[lower]) > 2 * np.ptp(columns[~lower])


def test_clockwise_polygons_stay():
    numbers = ','.join(map(str, POLYGON))
    assert parse_ctw1500_line(f'{numbers},####a')['poly'] == POLYGON


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        (OFFICIAL, '28 numbers and ####text'),
        (f'{OFFICIAL},text', '28 numbers and ####text'),
        (f'{OFFICIAL[3:]},####text', '28 numbers'),
        (f'a{OFFICIAL},####text', 'could not convert'),
        (f'nan{OFFICIAL[2:]},####text', 'finite'),
        (','.join('1' * 32), 'of 2017'),
    ],
)
def test_malformed_lines_say_what_is_there(line, message):
    with pytest.raises(ValueError, match=message):
        parse_ctw1500_line(line)


def test_xml_of_the_training_set(tmp_path):
    path = tmp_path / '0001.xml'
    path.write_text(XML.format('R&amp;B, é', OFFICIAL), encoding='utf-8')
    instances, problems = parse_ctw1500_file(path)
    assert problems == []
    assert instances == [{'poly': POLYGON, 'text': 'R&B, é', 'ignore': False}]
    path.write_text(XML.format('###', OFFICIAL))
    assert parse_ctw1500_file(path)[0][0]['ignore']


@pytest.mark.parametrize(
    ('content', 'line', 'message'),
    [
        (XML.format('a', OFFICIAL[3:]), 3, '28 numbers, found 27'),
        (XML.format('a', OFFICIAL).replace('segs', 'polygon'), 3, '<label> and <segs>'),
        (XML.format('a', OFFICIAL).replace('</label>', ''), 7, 'XML'),
        ('', 1, 'XML'),
        (XML.format('a & b', OFFICIAL), 4, 'XML'),
    ],
)
def test_malformed_xml_is_named_with_its_line(tmp_path, content, line, message):
    path = tmp_path / '0001.xml'
    path.write_text(content)
    instances, problems = parse_ctw1500_file(path)
    assert instances == []
    assert problems[0].startswith(f'{path}:{line}: ')
    assert message in problems[0]


def test_entities_are_refused(tmp_path):
    secret = tmp_path / 'secret'
    secret.write_text('secret')
    path = tmp_path / '0001.xml'
    for declaration in (f'<!ENTITY e SYSTEM "{secret}">', '<!ENTITY e "aaaa">'):
        path.write_text(f'<!DOCTYPE x [{declaration}]>\n' + XML.format('&e;', OFFICIAL))
        instances, problems = parse_ctw1500_file(path)
        assert instances == []
        assert 'document type' in problems[0]


def test_both_splits_are_found(tmp_path, picture, written):
    picture(tmp_path / 'train_images' / '0001.jpg')
    picture(tmp_path / 'test_images' / '1001.jpg')
    (tmp_path / 'ctw1500_train_labels').mkdir()
    (tmp_path / 'gt_ctw1500').mkdir()
    (tmp_path / 'ctw1500_train_labels' / '0001.xml').write_text(XML.format('a', OFFICIAL))
    (tmp_path / 'gt_ctw1500' / '0001001.txt').write_text(f'{OFFICIAL},####b\n')
    report = prepare_ctw1500(find_ctw1500(tmp_path), tmp_path)
    assert report.problems == []
    texts = [written(tmp_path, f'textspotting_{s}')[0]['instances'] for s in ('train', 'test')]
    assert [words[0]['text'] for words in texts] == ['a', 'b']
    assert 'text' not in written(tmp_path, 'textdet_train')[0]['instances'][0]
