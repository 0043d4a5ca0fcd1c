import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from odm_mmocr.datasets.annotation_files import AnnotatedImage, AnnotatedWord, read_annotations
from odm_mmocr.evaluation.read_back import (
    IGNORED,
    MISREAD,
    NOT_COMPARABLE,
    READ,
    TOO_SMALL,
    UNDRAWABLE,
    check_labels,
    draw_alone,
    write_words,
)
from odm_mmocr.evaluation.reading import same_word
from odm_mmocr.rendering import UnusablePolygon, render_label

SHAPE = (300, 400)
QUAD = np.array([(40, 60), (200, 40), (206, 90), (46, 110)], np.float64)


def box(x, y, width, height):
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], float)


def arch(count=8, radius=120):
    angles = np.linspace(-2.4, -0.7, count)
    outer, inner = (
        np.stack((200 + r * np.cos(angles), 200 + r * np.sin(angles)), -1)
        for r in (radius, radius - 40)
    )
    return np.concatenate((outer, inner[::-1]))


def annotate(*words, path='image.png', shape=SHAPE):
    """Words are pairs of polygon and text."""
    words = [
        AnnotatedWord(np.asarray(polygon, float), text, text == '###', f'instance {i}')
        for i, (polygon, text) in enumerate(words)
    ]
    return AnnotatedImage('image.png', Path(path), shape, words)


class FixedReader:
    """Reads what it is told, in turn."""

    def __init__(self, *readings):
        self.readings = list(readings)

    def __call__(self, crops):
        return [self.readings.pop(0) for _ in crops]

    def knows(self, text):
        return True


@pytest.mark.parametrize(
    ('polygon', 'text'),
    [
        (QUAD, 'Station'),
        (arch(), 'Restaurant'),
        (box(50, 20, 40, 200), 'SHOPPING'),  # turned
        (box(10, 100, 380, 22), 'the quick brown fox jumps over the lazy dog'),
        (np.roll(box(50, 100, 160, 40), 4), 'UPSIDE'),  # upside down
    ],
    ids=['quad', 'curve', 'turned', 'long', 'upside down'],
)
def test_labels_are_read_back(reader, polygon, text):
    result = check_labels([annotate((polygon, text))], reader)
    assert result.counts == {READ: 1}, result.failures
    assert result.share == 1
    assert not result.failures


def test_stacked_characters_are_read_because_they_are_cut_apart(reader, japanese):
    drawn = draw_alone(box(50, 10, 40, 200), '大中小東京', SHAPE, japanese)
    assert drawn.strip.stacked
    assert same_word(reader([drawn.flat()])[0][0], '大中小東京')
    column = 255 - drawn.ribbon.rectify(drawn.label, 240)
    assert not same_word(reader([column])[0][0], '大中小東京')


def test_a_word_drawn_alone_is_what_the_label_of_the_image_holds():
    for polygon in (QUAD, arch(), QUAD - (60, 50), QUAD + (300, 230)):
        drawn = draw_alone(polygon, 'Word', SHAPE)
        whole = render_label([polygon], ['Word'], SHAPE)
        assert drawn.label.any()
        assert np.abs(drawn.cut(whole).astype(int) - drawn.label).max() <= 1
        drawn.cut(whole)[:] = 0
        assert not whole.any()


def test_outside_the_image_nothing_is_drawn():
    with pytest.raises(UnusablePolygon, match='outside the image of 400 x 300'):
        draw_alone(QUAD + 500, 'Word', SHAPE)


def test_every_word_gets_its_verdict():
    image = annotate(
        (QUAD, 'right'),
        (QUAD, 'wrong'),
        (QUAD, '\U0010ffff'),
        (QUAD[::-1], 'mirrored'),
        (QUAD / 8, 'small'),
        (QUAD, '...'),
        (QUAD, '###'),
    )
    result = check_labels([image], FixedReader(('Right!', 0.9), ('wrung', 0.8)))
    assert result.counts == {
        READ: 1,
        MISREAD: 1,
        UNDRAWABLE: 2,
        TOO_SMALL: 1,
        NOT_COMPARABLE: 1,
        IGNORED: 1,
    }
    assert result.judged == 4
    assert result.share == 0.25
    assert [check.verdict for check in result.failures] == [UNDRAWABLE, UNDRAWABLE, MISREAD]
    assert result.causes() == {
        'no font for the text': 1,
        'unusable polygon': 1,
        'reads as something else': 1,
    }
    misread = result.failures[-1]
    assert (misread.read, misread.score, misread.distance) == ('wrung', 0.8, 0.2)
    assert 'mirrored' in ' '.join(check.reason for check in result.failures)


def test_misread_words_come_worst_first_and_say_why():
    beyond = QUAD + (260, 0)
    image = annotate((QUAD, 'OIl'), (QUAD, 'abcd'), (beyond, 'abcd'), (QUAD, 'word'))
    readings = [('0l1', 0.9), ('abcx', 0.9), ('ab', 0.9), ('', 0.0)]
    result = check_labels([image], FixedReader(*readings))
    found = [(check.word.place, check.cause) for check in result.failures]
    assert found == [
        ('instance 0', 'letters that look alike'),
        ('instance 3', 'nothing is read'),
        ('instance 2', 'the polygon reaches beyond the image'),
        ('instance 1', 'reads as something else'),
    ]


def test_min_height_is_that_of_the_shorter_side():
    image = annotate((box(10, 10, 100, 20), 'low'), (box(10, 10, 20, 100), 'l'))
    assert check_labels([image], FixedReader(), min_height=20.1).counts == {TOO_SMALL: 2}
    both = FixedReader(('low', 1.0), ('l', 1.0))
    assert check_labels([image], both, min_height=19.9).counts == {READ: 2}


def test_many_words_go_through_in_parts():
    images = [annotate(*[(QUAD, 'word')] * 100) for _ in range(6)]
    reader = FixedReader(*[('word', 1.0)] * 600)
    assert check_labels(images, reader).counts == {READ: 600}


@pytest.fixture
def scene(tmp_path):
    """Writes an image that shows words as they should have been annotated."""

    def write(*words):
        label = render_label([p for p, _ in words], [t for _, t in words], SHAPE)
        path = tmp_path / 'image.png'
        cv2.imwrite(str(path), cv2.cvtColor(255 - label, cv2.COLOR_GRAY2BGR))
        return path

    return write


def test_images_that_read_otherwise_are_doubtful(reader, scene):
    right, wrong, turned = box(20, 20, 160, 40), box(200, 20, 160, 40), box(20, 120, 160, 40)
    path = scene((right, 'Station'), (wrong, 'Market'), (turned, 'Garden'))
    words = ((right, 'Station'), (wrong, 'Church'), (np.roll(turned, 4), 'Garden'))
    result = check_labels([annotate(*words, path=path)], reader, read_scenes=True)
    assert result.counts == {READ: 3}
    found = [(c.word.text, c.scene_read, c.doubt) for c in result.doubtful]
    assert found == [
        ('Garden', 'Garden', 'the image shows it turned by 180°'),
        ('Church', 'Market', 'the image reads as something else'),
    ]
    assert not result.problems


def test_a_start_at_another_corner_is_found(reader, scene):
    polygon = box(20, 20, 60, 50)
    path = scene((polygon, '74'))
    for corners in (1, 2, 3):
        image = annotate((np.roll(polygon, -2 * corners), '74'), path=path)
        (doubt,) = check_labels([image], reader, read_scenes=True).doubtful
        assert doubt.doubt == f'the image shows it turned by {360 - 90 * corners}°'


def test_images_that_do_not_fit_are_told(scene):
    images = [
        annotate((QUAD, 'word'), path=scene((QUAD, 'word')), shape=(300, 401)),
        annotate((QUAD, 'word'), path='absent.png'),
    ]
    reader = FixedReader(('word', 1.0), ('word', 1.0))
    result = check_labels(images, reader, read_scenes=True)
    assert result.counts == {READ: 2}
    assert '400 x 300 pixels, but 401 x 300 in the annotation' in result.problems[0]
    assert 'absent.png: there is no such image' in result.problems[1]
    assert not result.doubtful


@pytest.mark.parametrize('orientation', [3, 6])
def test_turned_images_are_read_as_they_are_stored(scene, tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(scene((QUAD, 'word'))) as stored:
        stored.save(tmp_path / 'turned.png', exif=exif)
    shown = []

    def read(crops):
        shown.extend(crops)
        return [('word', 1.0)] * len(crops)

    read.knows = lambda text: True
    image = annotate((QUAD, 'word'), path=tmp_path / 'turned.png')
    assert not check_labels([image], read, read_scenes=True).problems
    label, photograph = shown
    assert np.abs(label.astype(int) - photograph[..., 0]).mean() < 5


def test_the_table_keeps_every_text(tmp_path):
    text = 'a, "b"\n汽配'
    image = annotate((QUAD, text))
    result = check_labels([image], FixedReader(('x', 0.5)), read_scenes=False)
    write_words(result.failures, tmp_path / 'words.csv')
    assert [path.name for path in tmp_path.iterdir()] == ['words.csv']
    with (tmp_path / 'words.csv').open(encoding='utf-8', newline='') as file:
        (row,) = csv.DictReader(file)
    assert row['text'] == text
    assert (row['file'], row['place'], row['verdict']) == ('image.png', 'instance 0', UNDRAWABLE)


@pytest.mark.slow
def test_icdar2015_is_read_back(reader, shared_data):
    folder = shared_data / 'icdar2015'
    images, problems = read_annotations(folder / 'train_gt', folder / 'train_images')
    assert not problems
    result = check_labels(images, reader)
    assert result.judged > 3600
    assert result.counts[UNDRAWABLE] == 0
    assert result.share >= 0.99


@pytest.mark.slow
def test_mtwi_is_read_back(reader, shared_data, cjk_font):
    images, problems = read_annotations(shared_data / 'mtwi')
    assert not problems
    result = check_labels(images, reader, cjk_font)
    assert result.judged > 80
    assert result.share >= 0.9
