"""LSVT from its one file of labels."""

import json

import pytest

pytest.importorskip('mmocr')

from odm_mmocr.datasets.preparers import (
    PreparationError,
    find_lsvt,
    parse_lsvt_instance,
    prepare_lsvt,
)

POINTS = [[10, 20], [110, 20], [110, 50], [10, 50]]


def line(text='店面', illegibility=False, points=POINTS):
    return dict(transcription=text, points=points, illegibility=illegibility)


@pytest.fixture
def root(tmp_path, picture):
    labels = {}
    for i in range(12):
        picture(tmp_path / f'train_full_images_{i % 2}' / f'gt_{i}.jpg')
        labels[f'gt_{i}'] = [line(str(i)), line('###', True)]
    (tmp_path / 'train_full_labels.json').write_text(json.dumps(labels))
    return tmp_path


@pytest.mark.parametrize(
    ('instance', 'ignore'),
    [(line(), False), (line('###'), True), (line(''), True), (line('a', True), True)],
)
def test_instances(instance, ignore):
    parsed = parse_lsvt_instance(instance)
    assert parsed['poly'] == [10, 20, 110, 20, 110, 50, 10, 50]
    assert parsed['ignore'] == ignore


@pytest.mark.parametrize(
    'instance',
    [
        None,
        [],
        {},
        line(text=5),
        line(text='\ud800'),
        line(points=POINTS[:2]),
        line(points=[1, 2, 3]),
        line(points=[[1, 2], [3, 'x'], [5, 6]]),
        line(points=[[1, 2], [3, 10**400], [5, 6]]),
        line(points=[[1, 2], [3, float('nan')], [5, 6]]),
    ],
)
def test_malformed_instances_say_what_is_there(instance):
    with pytest.raises(ValueError, match='expected'):
        parse_lsvt_instance(instance)


def test_images_of_both_archives_in_natural_order(root, written):
    report = prepare_lsvt(*find_lsvt(root), root)
    assert report.problems == []
    assert report.counts['train'] == {'images': 12, 'words': 24, 'readable': 12}
    texts = [image['instances'][0]['text'] for image in written(root, 'textspotting_train')]
    assert texts == [str(i) for i in range(12)]
    assert not list(root.glob('*val*'))


def test_a_part_for_validation_is_drawn_by_the_seed(root, written):
    def paths(seed):
        prepare_lsvt(*find_lsvt(root), root, val_fraction=0.25, seed=seed)
        return [
            {image['img_path'] for image in written(root, f'textdet_{split}')}
            for split in ('train', 'val')
        ]

    train, val = paths(0)
    assert (len(train), len(val)) == (9, 3)
    assert not train & val
    assert paths(0) == [train, val]
    assert paths(1) != [train, val]


def test_malformed_labels_and_absent_images_are_named(root):
    labels = root / 'train_full_labels.json'
    content = json.loads(labels.read_text())
    content['gt_3'][1] = 'nothing'
    content['gt_4'] = 'nothing'
    content['../../outside'] = [line()]
    labels.write_text(json.dumps(content))
    (root / 'train_full_images_0' / 'gt_6.jpg').write_bytes(b'no image')
    report = prepare_lsvt(*find_lsvt(root), root)
    assert report.written == []
    assert [problem.split(': expected')[0] for problem in report.problems] == [
        f'{labels}: gt_3: instance 1',
        f'{labels}: gt_4',
        f'{root / "train_full_images_0" / "gt_6.jpg"}',
        f'{labels}: ../../outside: there is no image of this name',
    ]
    report = prepare_lsvt(*find_lsvt(root), root, skip_malformed=True)
    assert report.counts['train']['images'] == 11


@pytest.mark.parametrize('content', ['', '[1', '[]', '{}', '3', '[' * 100000])
def test_other_files_are_named(root, content):
    (root / 'train_full_labels.json').write_text(content)
    with pytest.raises(PreparationError, match=r'train_full_labels\.json is no'):
        prepare_lsvt(*find_lsvt(root), root)


def test_what_is_absent_is_named(tmp_path):
    with pytest.raises(PreparationError, match='no folder'):
        find_lsvt(tmp_path / 'absent')
    with pytest.raises(PreparationError, match='train_full_labels'):
        find_lsvt(tmp_path)
    (tmp_path / 'train_full_labels.json').write_text('{}')
    with pytest.raises(PreparationError, match='train_full_images_0'):
        find_lsvt(tmp_path)


@pytest.mark.parametrize('content', ['[' * 100_000, '{"data_list": ' + '9' * 5000 + '}'])
def test_json_that_python_refuses_is_an_error_like_any_other(tmp_path, content):
    path = tmp_path / 'labels.json'
    path.write_text(content)
    with pytest.raises(PreparationError, match=r'labels\.json is no JSON file'):
        prepare_lsvt(path, [tmp_path], tmp_path)
