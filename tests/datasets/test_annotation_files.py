import json

import numpy as np
import pytest
from PIL import Image

from odm_mmocr.datasets.annotation_files import (
    parse_polygon_line,
    read_annotations,
    read_dataset,
)

POINTS = [1, 2, 9, 2, 9, 7, 1, 7]
LINE = ','.join(map(str, POINTS))
CURVE = [0, 0, 5, 1, 10, 0, 10, 4, 5, 5, 0, 4]


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    for name in ('img_1.jpg', 'img_2.PNG', 'img_10.jpg'):
        Image.new('RGB', (40, 30)).save(folder / name)
    return folder


@pytest.fixture
def write(tmp_path):
    def write(data_list, **metainfo):
        path = tmp_path / 'annotation.json'
        path.write_text(json.dumps(dict(metainfo=metainfo, data_list=data_list)), encoding='utf-8')
        return path

    return write


def sample(*instances, **others):
    return dict(img_path='images/img_1.jpg', height=30, width=40, instances=instances) | others


def test_mmocr_polygons_boxes_and_flags(write, images):
    path = write(
        [
            sample(
                dict(polygon=CURVE, bbox=[0, 0, 10, 5], text='curve', ignore=False),
                dict(bbox=[1, 2, 9, 7], text='box'),
                dict(polygon=POINTS, text='###', ignore=True),
                dict(polygon=POINTS, text='hidden', ignore=True),
                dict(polygon=POINTS),
            )
        ]
    )
    (image,), problems = read_annotations(path)
    assert not problems
    assert (image.source, image.shape) == ('images/img_1.jpg', (30, 40))
    assert image.path == images / 'img_1.jpg'
    assert [word.text for word in image.words] == ['curve', 'box', '###', 'hidden', '']
    assert [word.ignored for word in image.words] == [False, False, True, True, True]
    assert [word.place for word in image.words] == [f'instance {i}' for i in range(5)]
    np.testing.assert_array_equal(image.words[0].polygon, np.reshape(CURVE, (-1, 2)))
    np.testing.assert_array_equal(image.words[1].polygon, np.reshape(POINTS, (-1, 2)))


def test_sizes_come_from_images_where_the_annotation_has_none(write, images):
    word = dict(polygon=POINTS, text='a')
    path = write([sample(word, img_path='img_1.jpg', height=None), sample(word, img_path='no.jpg')])
    found, problems = read_annotations(path, images)
    assert [image.shape for image in found] == [(30, 40), (30, 40)]
    assert not problems
    unknown = sample(word, img_path='no.jpg', width=None)
    found, problems = read_annotations(write([sample(word), unknown]))
    assert len(found) == 1
    assert 'no.jpg: neither "height" and "width" nor an image' in problems[0]


@pytest.mark.parametrize('size', [dict(height=10**6, width=10**6), dict(height=0), dict(width=-5)])
def test_sizes_that_no_image_has_are_left_out_and_named(write, size):
    """Tools draw labels of the annotated size."""
    word = dict(polygon=POINTS, text='a')
    (image,), problems = read_annotations(write([sample(word), {**sample(word), **size}]))
    assert image.shape == (30, 40)
    (problem,) = problems
    assert 'expected a "height" and "width" of 1 to 100,000,000 pixels' in problem


def test_wrong_instances_are_left_out_and_named(write):
    path = write(
        [
            sample(
                dict(text='nowhere'),
                dict(bbox=[1, 2, 3], text='a'),
                dict(polygon=[1, 2, 'x', 3], text='a'),
                dict(polygon=[1, 2, 3], text='a'),
                dict(polygon=POINTS, text=['a']),
                dict(polygon=POINTS, text='good'),
                ['no', 'object'],
                dict(bbox=7, text='a'),
            ),
            dict(img_path='a.jpg'),
            sample() | dict(instances=None),
            sample() | dict(height=float('inf'), img_path='no.jpg'),
        ]
    )
    (image,), problems = read_annotations(path)
    assert [(word.text, word.place) for word in image.words] == [('good', 'instance 5')]
    assert len(problems) == 10
    assert 'instance 0: expected "polygon" or "bbox", found neither' in problems[0]
    assert 'instance 4: expected a string as "text"' in problems[4]
    assert 'instance 6: expected an object, found list' in problems[5]
    assert 'image 1 lacks' in problems[7]
    assert 'expected a list as "instances", found NoneType' in problems[8]
    assert 'no.jpg: neither "height"' in problems[9]


def test_pseudo_labels_have_scores_and_rejected_words(write):
    path = write(
        [
            sample(
                dict(polygon=POINTS, text='sure', score=0.9),
                dict(polygon=POINTS, text='no', ignore=True, score=0, rejected='score'),
                dict(polygon=POINTS, text='mine'),
                dict(polygon=POINTS, text='odd', score=97.0),
                dict(polygon=POINTS, text='odder', score=float('nan')),
            )
        ],
        pseudo_label=dict(min_score=0.5),
    )
    dataset = read_dataset(path)
    (image,) = dataset.images
    assert [word.score for word in image.words] == [0.9, 0, None, None, None]
    assert [word.rejected for word in image.words] == ['', 'score', '', '', '']
    assert len(dataset.problems) == 2
    assert 'instance 3: expected a "score" from 0 to 1, found 97.0' in dataset.problems[0]
    assert dataset.metainfo == dict(pseudo_label=dict(min_score=0.5))


def test_annotations_without_texts_can_be_read(write):
    images, problems, _ = read_dataset(write([sample(dict(polygon=POINTS)), sample()]))
    assert [[word.ignored for word in image.words] for image in images] == [[True], []]
    assert not problems


def test_text_files_find_their_images(tmp_path, images):
    truth = tmp_path / 'truth'
    truth.mkdir()
    bom = '\ufeff'
    (truth / 'gt_img_1.txt').write_text(f'{bom}{LINE},one, two\n\n{LINE},###\n', encoding='utf-8')
    (truth / 'img_2.txt').write_text(f'{LINE},zwei\n', encoding='utf-8')
    (truth / 'GT_IMG_10.txt').write_bytes(f'{LINE},a\n1,2\n{LINE},'.encode() + b'\xff\n')
    (truth / 'readme.txt').write_text('about these files')
    found, problems = read_annotations(truth, images)
    words = {image.path.name: [word[1:4] for word in image.words] for image in found}
    assert words == {
        'img_1.jpg': [('one, two', False, 'line 1'), ('###', True, 'line 3')],
        'img_2.PNG': [('zwei', False, 'line 1')],
        'img_10.jpg': [('a', False, 'line 1')],
    }
    assert all(image.shape == (30, 40) for image in found)
    assert len(problems) == 3
    for part in ('GT_IMG_10.txt:2: expected x1,y1', 'GT_IMG_10.txt:3: expected UTF-8', 'readme'):
        assert any(part in problem for problem in problems), part

    (image,), problems = read_annotations(truth / 'img_2.txt', images)
    assert (image.source, problems) == ('img_2.txt', [])


def test_images_may_lie_beside_the_text_files(images):
    (images / 'img_1.txt').write_text(f'{LINE},a\n')
    (image,), _ = read_annotations(images)
    assert image.path.name == 'img_1.jpg'


@pytest.mark.parametrize(
    ('line', 'points', 'text'),
    [
        (f'{LINE},1990', 4, '1990'),
        (f'{LINE},12,500', 4, '12,500'),
        (','.join(map(str, CURVE)) + ',a, b', 6, 'a, b'),
        (','.join(map(str, CURVE)) + ',1990', 6, '1990'),
        (','.join(['3'] * 28) + ',####word', 14, 'word'),
        (','.join(['3'] * 28) + ',###', 14, '###'),
    ],
)
def test_lines_of_four_and_of_more_points(line, points, text):
    polygon, found, ignored = parse_polygon_line(line)
    assert polygon.shape == (points, 2)
    assert found == text
    assert ignored == (text == '###')


def test_lines_of_something_else_are_refused():
    for line in ('1,2,3', 'a,b,c,d,e,f,g,h,word', f'{LINE},nan,1,1,1,1,1'.replace('9', 'inf')):
        with pytest.raises(ValueError, match='expected'):
            parse_polygon_line(line)


def test_what_is_no_annotation_is_named(tmp_path, images, write):
    with pytest.raises(FileNotFoundError, match='there is no annotation'):
        read_annotations(tmp_path / 'absent')
    with pytest.raises(FileNotFoundError, match='there is no folder of images'):
        read_annotations(images, tmp_path / 'absent')
    with pytest.raises(ValueError, match='holds no .txt files'):
        read_annotations(images)
    with pytest.raises(ValueError, match='is no JSON file'):
        read_annotations(images / 'img_1.jpg')
    (tmp_path / 'list.json').write_text('[1, 2]')
    with pytest.raises(ValueError, match='no "data_list"'):
        read_annotations(tmp_path / 'list.json')
    with pytest.raises(ValueError, match='holds no texts'):
        read_annotations(write([sample(dict(polygon=POINTS))]))
    for data_list, found in (([], 'an empty list'), (3, 'int')):
        with pytest.raises(ValueError, match=f'no image in "data_list".*found {found}'):
            read_dataset(write(data_list))
    (tmp_path / 'gt_img_1.txt').write_text(f'{LINE},a\n')
    with pytest.raises(ValueError, match='no annotated image .*there is no image for it'):
        read_annotations(tmp_path / 'gt_img_1.txt')
