"""Total-Text from its text and MATLAB files."""

import numpy as np
import pytest

pytest.importorskip('mmocr')

from mmocr.datasets import OCRDataset
from mmocr.datasets.preparers.parsers import TotaltextTextDetAnnParser

from odm_mmocr.datasets.preparers import (
    find_totaltext,
    parse_totaltext_file,
    parse_totaltext_record,
    prepare_totaltext,
)

PAUL = (
    "x: [[259 313 389 427 354 302]], y: [[54 46 41 45 50 58]], ornt: [u'c'], "
    "transcriptions: [u'PAUL']"
)
NOBODY = "x: [[40 47 49 43]], y: [[ 39  38 44 46]], ornt: [u'#'], transcriptions: [u'#']"
POLYGON = [259, 54, 313, 46, 389, 41, 427, 45, 354, 50, 302, 58]


def save_mat(path, name, rows):
    scipy_io = pytest.importorskip('scipy.io')
    cells = np.empty((len(rows), 6), object)
    for i, row in enumerate(rows):
        cells[i] = row
    scipy_io.savemat(path, {name: cells}, do_compression=True)


@pytest.mark.parametrize(
    ('record', 'text', 'ignore'),
    [
        (PAUL, 'PAUL', False),
        (PAUL.replace("u'PAUL'", "u'#'"), '#', True),
        (PAUL.replace("u'PAUL'", "u''"), '', True),
        (PAUL.replace("u'c'", "u'#'"), 'PAUL', True),
        (PAUL.replace("u'PAUL'", '''u"IT'S, [x]"'''), "IT'S, [x]", False),
        (PAUL.replace("u'PAUL'", r"u'CAF\xc9 \u2019'"), 'CAFÉ ’', False),
        (PAUL.replace('313 389', '313\n  389'), 'PAUL', False),
    ],
)
def test_records(record, text, ignore):
    parsed = parse_totaltext_record(record)
    assert parsed == {'poly': POLYGON, 'text': text, 'ignore': ignore}


@pytest.mark.parametrize(
    ('record', 'message'),
    [
        (PAUL.replace('x: [[259 ', 'x: [['), 'found 5 and 6'),
        (PAUL.replace('259', 'abc'), 'expected numbers'),
        (PAUL.replace('259', 'nan'), 'finite'),
        ('x: [[1 2]], y: [[1 2]], ornt: [], transcriptions: []', 'three points'),
        (PAUL.replace("u'PAUL'", "u'PAUL"), 'list of strings'),
        (PAUL.replace("[u'PAUL']", "[__import__('os').getcwd()]"), 'list of strings'),
        (PAUL.replace("u'PAUL'", r"u'\ud800'"), 'Unicode'),
        (PAUL.replace('ornt', 'orient'), 'expected x: '),
    ],
)
def test_malformed_records_say_what_is_there(record, message):
    with pytest.raises(ValueError, match=message):
        parse_totaltext_record(record)


def test_records_over_lines_agree_with_mmocr_and_bad_ones_are_named(tmp_path):
    path = tmp_path / 'poly_gt_img1.txt'
    broken = PAUL.replace('389 427', '389\n 427')
    path.write_text(f'{broken}\n{NOBODY}\n{PAUL}\n')
    instances, problems = parse_totaltext_file(path)
    assert problems == []
    parser = TotaltextTextDetAnnParser(split='train', nproc=1)
    assert instances == parser.parse_file('img1.jpg', path)[1]

    path.write_text(f'{PAUL}\nx: [[1\n 2]]\n{NOBODY}\n')
    instances, problems = parse_totaltext_file(path)
    assert [word['text'] for word in instances] == ['PAUL', '#']
    assert len(problems) == 1
    assert problems[0].startswith(f'{path}:2: expected x: ')


@pytest.mark.parametrize(('name', 'shape'), [('polygt', (1, 6)), ('gt', (6, 1))])
def test_matlab_files_hold_the_same(tmp_path, name, shape):
    xs, ys = (np.array(POLYGON[i::2], np.int16).reshape(shape) for i in (0, 1))
    rows = [
        ['x:', xs, 'y:', ys, 'PAUL', 'c'],
        ['x:', xs, 'y:', ys, '#', '#'],
        ['x:', xs, 'y:', ys, np.empty((0, 0)), '#'],
    ]
    save_mat(tmp_path / 'a.mat', name, rows)
    instances, problems = parse_totaltext_file(tmp_path / 'a.mat')
    assert problems == []
    assert instances[0] == parse_totaltext_record(PAUL)
    assert [word['ignore'] for word in instances] == [False, True, True]
    assert instances[2]['text'] == ''


def test_malformed_matlab_files_are_named(tmp_path):
    path = tmp_path / 'a.mat'
    xs = np.arange(6)
    save_mat(path, 'polygt', [['x:', xs, 'y:', xs, 'a', 'c'], ['x:', 'b', 'y:', xs, 'a', 'c']])
    instances, problems = parse_totaltext_file(path)
    assert len(instances) == 1
    assert problems[0].startswith(f'{path}: row 2 of polygt: expected numbers as x')
    save_mat(path, 'other', [['x:', xs, 'y:', xs, 'a', 'c']])
    assert 'no polygt' in parse_totaltext_file(path)[1][0]
    path.write_bytes(b'x')
    assert str(path) in parse_totaltext_file(path)[1][0]


def test_both_splits_are_found_and_loaded(tmp_path, picture, load_pipeline):
    for split in ('Train', 'Test'):
        picture(tmp_path / 'Images' / split / 'img1.JPG')
        truth = tmp_path / 'txt_format' / split
        truth.mkdir(parents=True)
        (truth / 'poly_gt_img1.txt').write_text(f'{PAUL}\n{NOBODY}\n')
        (truth / '._poly_gt_img1.txt').write_bytes(b'\x00\x05')  # as packed on a Mac
    report = prepare_totaltext(find_totaltext(tmp_path), tmp_path)
    assert report.problems == []
    assert report.counts['test'] == {'images': 1, 'words': 2, 'readable': 1}
    assert len(report.written) == 4
    dataset = OCRDataset(
        ann_file='textspotting_test.json', data_root=str(tmp_path), pipeline=load_pipeline
    )
    sample = dataset[0]
    assert sample['gt_texts'] == ['PAUL', '#']
    assert sample['gt_polygons'][0].tolist() == POLYGON
    assert sample['gt_ignored'].tolist() == [False, True]
    assert report.compare({'train': {'images': 1255}}) == ['train: 1 images, published are 1,255']
