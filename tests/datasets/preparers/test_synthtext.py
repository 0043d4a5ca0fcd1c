"""SynthText from gt.mat, as scipy writes it."""

import json

import numpy as np
import pytest

pytest.importorskip('mmocr')
scipy_io = pytest.importorskip('scipy.io')

from mmocr.datasets import OCRDataset  # noqa: E402

from odm_mmocr.datasets.preparers import (  # noqa: E402
    PreparationError,
    SynthTextReader,
    find_synthtext,
    prepare_synthtext,
    synthtext,
)
from odm_mmocr.rendering import render_words  # noqa: E402

TEXTS = ['Lines:\nI lost', 'Kevin']
WORDS = ['Lines:', 'I', 'lost', 'Kevin']


def boxes_of(words):
    """Boxes of words (2, 4, words) and of their characters (2, 4, characters)."""
    of_words, of_characters = [], []
    for row, word in enumerate(words):
        top, width = 5 + 20 * row, 8 * len(word)
        of_words.append([[10, 10 + width, 10 + width, 10], [top, top, top + 12, top + 12]])
        for i in range(len(word)):
            left = 10 + 8 * i
            of_characters.append([[left, left + 8, left + 8, left], [top, top, top + 12, top + 12]])
    return tuple(np.array(boxes, float).transpose(1, 2, 0) for boxes in (of_words, of_characters))


def cell(values):
    cells = np.empty((1, len(values)), object)
    for i, value in enumerate(values):
        cells[0, i] = value
    return cells


def save(root, images):
    """gt.mat of (name, boxes of words, boxes of characters, texts)."""
    names, words, characters, texts = zip(*images)
    content = dict(
        imnames=cell([np.array([name]) for name in names]),
        wordBB=cell([np.float32(boxes) for boxes in words]),
        charBB=cell(characters),
        txt=cell([np.array(text) for text in texts]),
    )
    scipy_io.savemat(root / 'gt.mat', content, do_compression=True)


@pytest.fixture
def sample():
    return boxes_of(WORDS)


def prepare(root, **options):
    return prepare_synthtext(*find_synthtext(root), root, **options)


def test_words_and_their_characters(tmp_path, picture, sample, load_pipeline):
    one = boxes_of(['a'])
    save(
        tmp_path,
        [('8/x_1.jpg', *sample, TEXTS), ('8/x_2.jpg', one[0][..., 0], one[1][..., 0], ['a'])],
    )
    for name in ('x_1', 'x_2'):
        picture(tmp_path / '8' / f'{name}.jpg')
    report = prepare(tmp_path)
    counts = {'images': 2, 'words': 5, 'readable': 5, 'characters': 17}
    assert report.counts['train'] == report.found['train'] == counts
    assert report.problems == []
    assert not report.left_out['train']

    dataset = OCRDataset(
        ann_file='textspotting_train.json', data_root=str(tmp_path), pipeline=load_pipeline
    )
    first = dataset[0]
    assert first['gt_texts'] == WORDS
    assert first['gt_polygons'][3].tolist() == [10, 65, 50, 65, 50, 77, 10, 77]
    assert dataset[1]['gt_texts'] == ['a']
    quads = [np.array(one['char_polygons']).reshape(-1, 4, 2) for one in first['instances']]
    assert [len(q) for q in quads] == [6, 1, 4, 5]
    assert quads[2][1].ravel().tolist() == [18, 45, 26, 45, 26, 57, 18, 57]
    # Every glyph is drawn into its own box.
    _, faults = render_words(first['gt_polygons'], WORDS, (100, 200), None, quads)
    assert faults == [None] * 4

    detection = OCRDataset(ann_file='textdet_train.json', data_root=str(tmp_path), pipeline=[])
    assert set(detection[0]['instances'][0]) == {'polygon', 'bbox', 'bbox_label', 'ignore'}


def test_without_characters(tmp_path, picture, sample, written):
    save(tmp_path, [('8/x.jpg', *sample, TEXTS)])
    picture(tmp_path / '8' / 'x.jpg')
    report = prepare(tmp_path, with_characters=False)
    assert report.found['train']['characters'] == 16
    assert not report.counts['train']['characters']
    instances = written(tmp_path, 'textspotting_train')[0]['instances']
    assert all('char_polygons' not in one for one in instances)


def test_bad_samples_are_left_out_and_counted(tmp_path, picture, sample, written):
    words, characters = sample
    words_of, characters_of = words.copy(), characters.copy()
    words_of[0, 0, 0] = np.nan
    words_of[:, :, 1] = 5  # a point
    words_of[0, :, 2] += 1000
    characters_of[0, 0, -1] = np.inf  # of the last word
    images = {
        'good.jpg': (words, characters, TEXTS),
        'words.jpg': (words_of, characters_of, TEXTS),
        'more.jpg': (words, characters, ['Lines: I lost Kevin again']),
        'characters.jpg': (words, characters[..., 1:], TEXTS),
        'boxes.jpg': (np.zeros((3, 3, 2)), characters, TEXTS),
        'outside.jpg': (words + 1000, characters + 1000, TEXTS),
        'absent.jpg': (words, characters, TEXTS),
        'broken.jpg': (words, characters, TEXTS),
        '../secret.jpg': (words, characters, TEXTS),
    }
    root = tmp_path / 'data'
    for name in images:
        if name != 'absent.jpg':
            picture(root / '8' / name)
    (root / '8' / 'broken.jpg').write_bytes(b'no image')
    save(root, [(f'8/{name}', *content) for name, content in images.items()])
    report = prepare(root)
    assert report.problems == []
    assert report.left_out['train'] == {
        synthtext.INFINITE_WORDS: 1,
        synthtext.FLAT_WORDS: 1,
        synthtext.OUTSIDE_WORDS: 1 + 4,
        synthtext.INFINITE_CHARACTERS: 1,
        synthtext.UNEQUAL_COUNTS: 1,
        synthtext.UNEQUAL_CHARACTERS: 1,
        synthtext.MALFORMED_BOXES: 1,
        synthtext.NO_WORDS: 1,
        synthtext.MISSING_IMAGES: 1,
        synthtext.DAMAGED_IMAGES: 1,
        synthtext.UNSAFE_NAMES: 1,
    }
    assert report.counts['train'] == {'images': 3, 'words': 9, 'readable': 9, 'characters': 16}
    good, few, without = written(root, 'textspotting_train')
    assert len(good['instances']) == 4
    assert [one['text'] for one in few['instances']] == ['Kevin']
    assert 'char_polygons' not in few['instances'][0]
    assert [one['text'] for one in without['instances']] == WORDS


def test_names_lead_nowhere_else(tmp_path, picture, sample):
    picture(tmp_path / 'secret.jpg')
    picture(tmp_path / 'data' / 'a.jpg')
    names = ['../secret.jpg', str(tmp_path / 'secret.jpg'), 'x/../../secret.jpg', '', 'a.jpg']
    save(tmp_path / 'data', [(name, *sample, TEXTS) for name in names])
    reader = SynthTextReader(tmp_path / 'data' / 'gt.mat', tmp_path / 'data')
    paths = [annotation.path for annotation in reader.read(0)]
    assert paths == [None] * 4 + [tmp_path / 'data' / 'a.jpg']


@pytest.mark.parametrize('stop_at', [1, 7, 11, 12])
def test_a_run_that_was_killed_goes_on(tmp_path, picture, sample, monkeypatch, stop_at):
    images = [(f'8/x_{i}.jpg', *sample, TEXTS) for i in range(12)]
    for i in (3, 11):
        images[i] = (f'8/absent_{i}.jpg', *images[i][1:])
    save(tmp_path, images)
    for i in range(12):
        picture(tmp_path / '8' / f'x_{i}.jpg')
    whole = prepare(tmp_path)
    files = ['textdet_train.json', 'textspotting_train.json']
    expected = [(tmp_path / name).read_bytes() for name in files]
    for name in files:
        (tmp_path / name).unlink()

    def stop(split, done, total):
        if done == stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path, progress=stop)
    assert not any((tmp_path / name).exists() for name in files)
    with open(tmp_path / 'textdet_train.json.partial', 'ab') as file:
        file.write(b',\n{"img_path": "cut o')  # what was written after the last safe place

    read = []
    sizes = synthtext.image_size
    monkeypatch.setattr(synthtext, 'image_size', lambda path: read.append(path) or sizes(path))
    report = prepare(tmp_path)
    assert len(read) == 12 - stop_at
    assert report == whole
    assert [(tmp_path / name).read_bytes() for name in files] == expected
    assert sorted(path.name for path in tmp_path.glob('*train*')) == files


def test_a_fraction_is_drawn_by_the_seed(tmp_path, picture, sample, written):
    save(tmp_path, [(f'8/x_{i}.jpg', *sample, TEXTS) for i in range(20)])
    for i in range(20):
        picture(tmp_path / '8' / f'x_{i}.jpg')

    def paths(**options):
        report = prepare(tmp_path, fraction=0.4, **options)
        assert report.counts['train']['images'] == 8
        return [image['img_path'] for image in written(tmp_path, 'textdet_train')]

    drawn = paths()
    assert len(set(drawn)) == 8
    assert paths() == drawn
    assert paths(seed=1) != drawn

    def stop(split, done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paths(progress=stop)
    assert paths() == drawn
    with pytest.raises(PreparationError, match='from 0 to 1'):
        prepare(tmp_path, fraction=2)


def test_other_files_begin_anew(tmp_path, picture, sample):
    picture(tmp_path / '8' / 'x.jpg')
    save(tmp_path, [('8/x.jpg', *sample, TEXTS)] * 3)

    def stop(split, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path, progress=stop)
    save(tmp_path, [('8/x.jpg', *boxes_of(['other']), ['other'])] * 2)
    assert prepare(tmp_path).counts['train']['words'] == 2


def test_a_root_without_images_is_told_at_once(tmp_path, sample):
    save(tmp_path, [('8/x.jpg', *sample, TEXTS)])
    with pytest.raises(PreparationError, match=r"'8/x.jpg', the first"):
        find_synthtext(tmp_path)
    (tmp_path / '8').mkdir()
    with pytest.raises(PreparationError, match='none of 1 images .*not there'):
        prepare(tmp_path)
    assert not list(tmp_path.glob('*partial'))
    with pytest.raises(PreparationError, match='no folder'):
        find_synthtext(tmp_path / 'absent')
    with pytest.raises(PreparationError, match='has no gt.mat'):
        find_synthtext(tmp_path / '8')


def test_other_matlab_files_are_named(tmp_path, picture, sample):
    picture(tmp_path / '8' / 'x.jpg')
    save(tmp_path, [('8/x.jpg', *sample, TEXTS)] * 2)
    content = {k: v for k, v in scipy_io.loadmat(tmp_path / 'gt.mat').items() if k[0] != '_'}
    short = dict(content, txt=content['txt'][:, :1])
    scipy_io.savemat(tmp_path / 'gt.mat', short)
    with pytest.raises(PreparationError, match='as many of each'):
        prepare(tmp_path)
    del content['charBB']
    scipy_io.savemat(tmp_path / 'gt.mat', content)
    with pytest.raises(PreparationError, match='no charBB'):
        prepare(tmp_path)
    (tmp_path / 'gt.mat').write_bytes(b'x')
    with pytest.raises(PreparationError, match='no MATLAB file'):
        prepare(tmp_path)


def test_the_progress_file_of_another_kind_is_no_matter(tmp_path, picture, sample):
    picture(tmp_path / '8' / 'x.jpg')
    save(tmp_path, [('8/x.jpg', *sample, TEXTS)])
    for content in ('', '[]', json.dumps({'version': 1, 'settings': {}, 'state': 3})):
        (tmp_path / 'train.progress.json').write_text(content)
        assert prepare(tmp_path).counts['train']['images'] == 1
