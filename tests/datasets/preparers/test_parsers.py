"""Lines and files of ICDAR annotations."""

import pytest

pytest.importorskip('mmocr')

from odm_mmocr.datasets.preparers import ICDARTxtTextSpottingParser, parse_icdar_line


@pytest.mark.parametrize(
    ('line', 'text', 'ignore'),
    [
        ('1,2,3,4,5,6,7,8,EXIT', 'EXIT', False),
        ('1,2,3,4,5,6,7,8,a, b,,c', 'a, b,,c', False),
        ('1,2,3,4,5,6,7,8,###', '###', True),
        ('1,2,3,4,5,6,7,8,', '', True),
        ('1, 2,3.0,4,5,6,7,8, Ünïcode "quoted" \r', 'Ünïcode "quoted"', False),
        ('1,2,3,4,5,6,7,8,9', '9', False),
    ],
)
def test_lines(line, text, ignore):
    poly = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    assert parse_icdar_line(line) == {'poly': poly, 'text': text, 'ignore': ignore}


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('1,2,3,4,5', r'x1,y1,.*found 5 fields'),
        ('1,2,3,4,5,6,7,8', r'found 8 fields'),
        ('EXIT', r"found 1 field: 'EXIT'"),
        ('1,2,3,4,EXIT,6,7,8,text', r"field 5 is 'EXIT'"),
        ('1,2,3,4,5,6,7,nan,text', r"field 8 is 'nan'"),
        ('1 2 3 4 5 6 7 8 text', r'found 1 field'),
    ],
)
def test_malformed_lines_say_what_is_there(line, message):
    with pytest.raises(ValueError, match=message):
        parse_icdar_line(line)


@pytest.mark.parametrize('byte_order_mark', [b'', b'\xef\xbb\xbf'])
def test_a_file_yields_its_good_lines_and_names_the_bad_ones(tmp_path, byte_order_mark):
    path = tmp_path / 'gt_img_1.txt'
    lines = [b'1,2,3,4,5,6,7,8,first', b'', b'1,2,3', b'1,2,3,4,5,6,7,8,\xff', b'8,7,6,5,4,3,2,1,']
    path.write_bytes(byte_order_mark + b'\r\n'.join(lines))
    parser = ICDARTxtTextSpottingParser(split='train')
    _, instances = parser.parse_file('img_1.jpg', str(path))
    assert [instance['text'] for instance in instances] == ['first', '']
    assert instances[0]['poly'][0] == 1
    assert len(parser.problems) == 2
    assert parser.problems[0].startswith(f'{path}:3: expected')
    assert parser.problems[1].startswith(f'{path}:4: expected UTF-8')
