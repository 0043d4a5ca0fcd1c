"""The user's own images and annotations."""

import json

import pytest
from PIL import Image

pytest.importorskip('mmocr')

from odm_mmocr.datasets.preparers import PreparationError
from odm_mmocr.datasets.preparers.own_files import find_own_files, prepare_own_files

LINE = '1,2,9,2,9,7,1,7,a, b'
CURVE = '0,0,10,0,20,5,20,15,10,10,0,10,round'
WORD = dict(polygon=[1, 2, 9, 2, 9, 7, 1, 7], bbox=[1, 2, 9, 7], text='word', ignore=False)


def save_json(path, *instances, names=('1.png',)):
    data_list = [dict(img_path=name, instances=list(instances)) for name in names]
    path.write_text(json.dumps(dict(metainfo={}, data_list=data_list)))


@pytest.fixture
def texts(tmp_path, picture):
    """Ten images with text files beside them."""
    for i in range(10):
        picture(tmp_path / f'{i}.png')
        (tmp_path / f'gt_{i}.txt').write_text(f'{LINE}\n{CURVE}\n1,2,9,2,9,7,1,7,###\n')
    return tmp_path


def test_text_files_beside_the_images(texts, written):
    report = prepare_own_files(find_own_files(texts), texts)
    assert report.problems == []
    assert report.counts == {'train': {'images': 10, 'words': 30, 'readable': 20}}
    words = written(texts, 'textspotting_train')[0]['instances']
    assert [word['text'] for word in words] == ['a, b', 'round', '###']
    assert len(words[1]['polygon']) == 12
    assert [word['ignore'] for word in words] == [False, False, True]
    # What was written is no input of the next run.
    assert prepare_own_files(find_own_files(texts), texts).counts == report.counts


def test_a_fraction_is_drawn_by_the_seed(texts, written):
    def paths(**options):
        report = prepare_own_files(find_own_files(texts), texts, test_fraction=0.3, **options)
        assert report.problems == []
        return [
            {image['img_path'] for image in written(texts, f'textdet_{split}')}
            for split in ('train', 'test')
        ]

    train, test = paths()
    assert (len(train), len(test)) == (7, 3)
    assert not train & test
    assert paths() == [train, test]
    assert paths(seed=1) != [train, test]


def test_problems_are_told_once_with_file_and_line(texts):
    (texts / 'gt_3.txt').write_text(f'{LINE}\n1,2\n')
    (texts / 'gt_4.txt').unlink()
    report = prepare_own_files(find_own_files(texts), texts, test_fraction=0.5)
    assert len(report.problems) == 2
    assert any(problem.startswith(f'{texts / "gt_3.txt"}:2: ') for problem in report.problems)
    assert any(problem.startswith(f'{texts / "4.png"}: there is no') for problem in report.problems)


def test_folders_of_splits(tmp_path, picture):
    for split in ('train', 'test'):
        picture(tmp_path / split / 'images' / '1.png')
        (tmp_path / split / 'labels').mkdir()
        (tmp_path / split / 'labels' / '1.txt').write_text(LINE)
    picture(tmp_path / 'val' / '1.png')
    save_json(tmp_path / 'val' / 'annotations.json', WORD)
    report = prepare_own_files(find_own_files(tmp_path), tmp_path)
    assert {split: counts['words'] for split, counts in report.counts.items()} == dict(
        train=1, val=1, test=1
    )


def test_json_of_mmocr_passes_through(tmp_path, picture, written):
    picture(tmp_path / '1.png', size=(40, 30))
    characters = [[1, 2, 9, 2, 9, 7, 1, 7]] * 4
    box = dict(bbox=[1, 2, 9, 7], text='box', ignore=True)
    save_json(tmp_path / 'a.json', dict(WORD, char_polygons=characters, score=0.5), box)
    prepare_own_files(find_own_files(tmp_path), tmp_path)
    (image,) = written(tmp_path, 'textspotting_train')
    assert (image['height'], image['width']) == (30, 40)
    word, boxed = image['instances']
    assert (word['char_polygons'], word['score']) == (characters, 0.5)
    assert boxed['polygon'] == WORD['polygon']
    assert boxed['ignore']


def test_what_is_null_is_left_out(tmp_path, picture, written):
    picture(tmp_path / '1.png')
    save_json(tmp_path / 'a.json', dict(WORD, char_polygons=None, score=None))
    assert prepare_own_files(find_own_files(tmp_path), tmp_path).problems == []
    (word,) = written(tmp_path, 'textspotting_train')[0]['instances']
    assert {'char_polygons', 'score'}.isdisjoint(word)


@pytest.mark.parametrize('orientation', [3, 6])
def test_turned_images_keep_their_own_pixels_and_are_named(tmp_path, picture, written, orientation):
    """A photograph that was annotated as it is shown has its words elsewhere in training."""
    picture(tmp_path / '1.png')
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new('RGB', (40, 30)).save(tmp_path / '2.jpg', exif=exif)
    save_json(tmp_path / 'a.json', WORD, names=('1.png', '2.jpg'))
    report = prepare_own_files(find_own_files(tmp_path), tmp_path)
    assert (report.problems, report.turned) == ([], [str(tmp_path / '2.jpg')])
    _, turned = written(tmp_path, 'textspotting_train')
    assert (turned['height'], turned['width']) == (30, 40)
    assert turned['instances'][0]['polygon'] == WORD['polygon']


def test_json_without_texts_is_for_detection_alone(tmp_path, picture, written):
    picture(tmp_path / '1.png')
    bare = {key: value for key, value in WORD.items() if key != 'text'}
    save_json(tmp_path / 'a.json', bare, dict(bare, ignore=True))
    report = prepare_own_files(find_own_files(tmp_path), tmp_path)
    assert [path.name for path in report.written] == ['textdet_train.json']
    (image,) = written(tmp_path, 'textdet_train')
    assert [word['ignore'] for word in image['instances']] == [False, True]


@pytest.mark.parametrize(
    'instance',
    [
        None,
        {},
        dict(WORD, polygon=[1, 2, 3]),
        dict(WORD, polygon='abc'),
        dict(WORD, polygon=[1, 2, 3, 4, 5, None]),
        dict(WORD, polygon=None, bbox=[1, 2]),
        dict(WORD, text=5),
        dict(WORD, text='\ud800'),
        dict(WORD, score=float('nan')),
        dict(WORD, score='sure'),
        dict(WORD, char_polygons=5),
        dict(WORD, char_polygons=[[1, 2, 9, 2, 9, 7]]),
        dict(WORD, char_polygons=[[1, 2, 9, 2, 9, 7, 1, float('inf')]]),
    ],
)
def test_malformed_instances_are_named(tmp_path, picture, instance):
    picture(tmp_path / '1.png')
    save_json(tmp_path / 'a.json', WORD, instance)
    report = prepare_own_files(find_own_files(tmp_path), tmp_path)
    place = f'{tmp_path / "a.json"}: image 0 (1.png): instance 1: expected'
    assert [problem[: len(place)] for problem in report.problems] == [place]


def test_names_lead_nowhere_else(tmp_path, picture):
    secret = picture(tmp_path / 'secret.png')
    picture(tmp_path / 'own' / '1.png')
    names = ('../secret.png', str(secret), '1.png')
    save_json(tmp_path / 'own' / 'a.json', WORD, names=names)
    splits = find_own_files(tmp_path / 'own')
    report = prepare_own_files(splits, tmp_path / 'own', skip_malformed=True)
    assert report.counts['train']['images'] == 1
    assert len(report.problems) == 2
    assert 'image 0' in report.problems[0]


@pytest.mark.parametrize('content', ['', '3', '[]', '{"data_list": []}', '[' * 100000])
def test_other_json_is_named(tmp_path, picture, content):
    picture(tmp_path / '1.png')
    (tmp_path / 'a.json').write_text(content)
    with pytest.raises(PreparationError, match=r'a\.json is no'):
        prepare_own_files(find_own_files(tmp_path), tmp_path)


def test_malformed_images_are_named(tmp_path, picture):
    picture(tmp_path / '1.png')
    content = dict(data_list=[5, {}, dict(img_path=3, instances=[]), dict(img_path='2.png')])
    (tmp_path / 'a.json').write_text(json.dumps(content))
    report = prepare_own_files(find_own_files(tmp_path), tmp_path)
    assert len(report.problems) == 4
    assert 'image 3: expected "img_path"' in report.problems[3]


def test_what_is_absent_is_named(tmp_path, picture):
    with pytest.raises(PreparationError, match='no folder'):
        find_own_files(tmp_path / 'absent')
    with pytest.raises(PreparationError, match='no images'):
        find_own_files(tmp_path)
    picture(tmp_path / 'images' / '1.png')
    with pytest.raises(PreparationError, match=r'neither \.json nor \.txt'):
        find_own_files(tmp_path)
    for name in 'ab':
        save_json(tmp_path / f'{name}.json', WORD)
    with pytest.raises(PreparationError, match=r'found 2 \.json'):
        find_own_files(tmp_path)


@pytest.mark.parametrize('content', ['[' * 100_000, '{"data_list": ' + '9' * 5000 + '}'])
def test_json_that_python_refuses_is_an_error_like_any_other(tmp_path, content):
    path = tmp_path / 'labels.json'
    path.write_text(content)
    with pytest.raises(PreparationError, match=r'labels\.json is no JSON file'):
        prepare_own_files({'train': (tmp_path, path)}, tmp_path)
