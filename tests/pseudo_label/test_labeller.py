"""Whatever images and engines do, each image gets one record, with polygons in its own pixels."""

import io
import json
import pickle
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from odm_mmocr.pseudo_label import (
    FilterSettings,
    ImageSource,
    Labeller,
    ReadingsFile,
    ReadWord,
    RecordedReadings,
    write_annotations,
)
from odm_mmocr.pseudo_label.labeller import check_word, decode, turn_back
from odm_mmocr.rendering import render_label

SHAPE = (90, 160)
BOX = np.array([(30, 20), (120, 20), (120, 50), (30, 50)], np.float32)
QUAD = np.array([(4, 4), (60, 4), (60, 20), (4, 20)], np.float32)


def encode(image, kind='PNG', **more):
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, kind, **more)
    return stream.getvalue()


class Files(ImageSource):
    """Images in the memory."""

    def __init__(self, files):
        super().__init__('', files)
        self.files = files

    def read(self, name):
        content = self.files[name]
        if isinstance(content, Exception):
            raise content
        return content


def label(files, engine, **settings):
    records = Labeller(Files(files), lambda: engine, **settings)(list(enumerate(files)))
    json.dumps(records, allow_nan=False)
    assert [record['img_path'] for record in records] == list(files)
    assert [record['index'] for record in records] == list(range(len(files)))
    return records


PAGE = encode(np.full((*SHAPE, 3), 255, np.uint8))

# How a camera that was held so has stored the upright picture.
STORED = {
    1: lambda image: image,
    2: ImageOps.mirror,
    3: lambda image: image.rotate(180),
    4: ImageOps.flip,
    5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    6: lambda image: image.rotate(90, expand=True),
    7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
    8: lambda image: image.rotate(-90, expand=True),
}


def photograph(orientation, kind):
    """A word with a green dot at its upper left end, as a file with that EXIF orientation."""
    picture = cv2.cvtColor(255 - render_label([BOX], ['Garden'], SHAPE), cv2.COLOR_GRAY2RGB)
    ys, xs = np.nonzero(picture[..., 0] < 128)
    picture[ys.min() : ys.min() + 8, xs.min() : xs.min() + 8] = (0, 120, 0)
    upright = Image.fromarray(picture)
    stored = STORED[orientation](upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(stored, kind, exif=exif, quality=95)
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert('L')
    assert np.abs(np.asarray(shown, int) - np.asarray(upright.convert('L'), int)).mean() < 3
    return content


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP', 'TIFF'])
def test_polygons_land_on_the_text_as_detectors_load_the_file(faulty_work, orientation, kind):
    content = photograph(orientation, kind)
    (record,) = label({'a': content}, faulty_work.InkEngine())
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    loaded = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    assert (record['height'], record['width']) == loaded.shape[:2]
    ys, xs = np.nonzero(loaded.max(2) < 128)
    polygon = np.reshape(record['words'][0]['polygon'], (4, 2))
    np.testing.assert_allclose(polygon.min(0), (xs.min(), ys.min()))
    np.testing.assert_allclose(polygon.max(0), (xs.max() + 1, ys.max() + 1))
    if orientation in (1, 3, 6, 8) or kind == 'TIFF':  # OpenCV turns TIFF itself
        dot = loaded.astype(int)
        ys, xs = np.nonzero((dot[..., 1] > 90) & (dot[..., 1] - dot[..., 0] > 60))
        middle = np.array((xs.mean(), ys.mean())) + 0.5
        assert np.abs(polygon[0] - middle).max() < 6
        corners = np.abs(polygon - polygon[0]).sum(1)
        assert corners[1] > corners[3] > 0  # along the word first


def test_engines_see_upright_images():
    seen = []
    for orientation in (1, 3, 6, 8):
        label({'a': photograph(orientation, 'PNG')}, lambda image: seen.append(image) or [])
    assert all(np.array_equal(image, seen[0]) for image in seen)
    assert all(image.flags['C_CONTIGUOUS'] for image in seen)


def test_turning_back_is_what_rotating_pixels_does():
    image = np.zeros((5, 7), int)
    image[1, 4] = 1
    for turns in range(4):
        turned = np.rot90(image, turns)
        (y,), (x,) = np.nonzero(turned)
        np.testing.assert_allclose(
            turn_back(np.array([(x + 0.5, y + 0.5)]), turned.shape, turns), [(4.5, 1.5)]
        )


INK = np.full((40, 60, 3), 255, np.uint8)
INK[5:15, 10:50] = 0
PICTURE = Image.fromarray(INK)
KINDS = {
    'grey': encode(PICTURE.convert('L')),
    '16 bits': cv2.imencode('.png', INK.astype(np.uint16) * 257)[1].tobytes(),
    'palette': encode(PICTURE.convert('P')),
    'bits': encode(PICTURE.convert('1')),
    'RGBA': encode(PICTURE.convert('RGBA')),
    'CMYK': encode(PICTURE.convert('CMYK'), 'JPEG'),
    'animated WebP': encode(PICTURE, 'WEBP', save_all=True, append_images=[PICTURE.rotate(90)]),
    'animated PNG': encode(PICTURE, save_all=True, append_images=[PICTURE.rotate(90)]),
    'pages': encode(PICTURE, 'TIFF', save_all=True, append_images=[PICTURE.rotate(90)]),
    'JPEG 2000': encode(PICTURE, 'JPEG2000'),
    'BMP': encode(PICTURE, 'BMP'),
    'damaged EXIF': encode(PICTURE, 'JPEG', exif=b'Exif\0\0II*\0\xff\xff\xff\x7f'),
}


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('kind', KINDS)
def test_images_of_any_kind(faulty_work, kind):
    (record,) = label({'a': KINDS[kind]}, faulty_work.InkEngine())
    assert (record['height'], record['width']) == (40, 60)
    polygon = np.reshape(record['words'][0]['polygon'], (4, 2))
    assert np.abs(polygon - [(10, 5), (50, 5), (50, 15), (10, 15)]).max() <= 1
    assert len(record['hash']) == 16 and int(record['hash'], 16) >= 0


NOISE = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)


def bomb():
    """A PNG of a few bytes that says it has 40,000 x 40,000 pixels."""
    content = bytearray(encode(np.zeros((1, 1), np.uint8)))
    content[16:24] = (40000).to_bytes(4, 'big') * 2
    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, 'big')
    return bytes(content)


BROKEN = {
    'empty': (b'', 'the file is empty'),
    'text': (b'no image at all', 'no image of a known format'),
    'zeros': (bytes(5000), 'no image of a known format'),
    'SVG': (b'<svg xmlns="http://www.w3.org/2000/svg"></svg>', 'no image of a known format'),
    'cut header': (encode(NOISE, 'JPEG')[:20], 'no image of a known format'),
    'half JPEG': (encode(NOISE, 'JPEG')[:9000], 'ValueError'),
    'half PNG': (encode(NOISE)[:30000], 'ValueError'),
    'bomb': (bomb(), 'pixels'),
    'low': (encode(np.zeros((7, 500), np.uint8)), r'500x7 pixels; expected at least 8x8'),
    'gone': (FileNotFoundError(2, 'No such file', 'gone'), 'FileNotFoundError'),
    'closed': (PermissionError(13, 'Permission denied'), 'PermissionError'),
    'lost': (ConnectionError('two\nlines'), 'ConnectionError: two lines'),
}


def test_files_that_cannot_be_read_cost_their_image_only():
    files = {name: content for name, (content, _) in BROKEN.items()}
    *records, good = label({**files, 'good': PAGE}, lambda image: [ReadWord('a', QUAD, 1.0)])
    for record in records:
        assert set(record) == {'index', 'img_path', 'error'}, record['img_path']
        assert BROKEN[record['img_path']][1] in record['error']
        assert '\n' not in record['error'] and ' at 0x' not in record['error']
    assert 'error' not in good and len(good['words']) == 1


def word(**more):
    return ReadWord(**{**dict(text='word', polygon=QUAD, score=0.5), **more})


NONSENSE = {
    'nothing': None,
    'tuple': ('word', QUAD, 0.5),
    'dict': dict(text='word'),
    'no text': word(text=None),
    'bytes': word(text=b'word'),
    'no score': word(score=None),
    'score NaN': word(score=float('nan')),
    'score 2': word(score=2),
    'score below': word(score=-0.1),
    'score text': word(score='0.5'),
    'score array': word(score=np.array([0.5, 0.5])),
    'detection NaN': word(detection=float('nan')),
    'detection 2': word(detection=2.0),
    'no polygon': word(polygon=None),
    'polygon text': word(polygon='wide'),
    'NaN': word(polygon=QUAD * np.nan),
    'infinite': word(polygon=QUAD * np.inf),
    'far': word(polygon=QUAD * 1e8),
    '3 points': word(polygon=QUAD[:3]),
    '5 points': word(polygon=np.concatenate((QUAD, QUAD[:1]))),
    'ragged': word(polygon=[[1, 2], [3]]),
    'zero area': word(polygon=np.tile(QUAD[:1], (4, 1))),
    'a line': word(polygon=QUAD * (1, 0)),
    'outside': word(polygon=QUAD + 1000),
    'few places': word(text='two words', centers=np.array([0.5])),
    'places NaN': word(text='two words', centers=np.full(9, np.nan)),
    'places beyond': word(text='two words', centers=np.linspace(0, 7, 9)),
    'places back': word(text='two words', centers=np.linspace(1, 0, 9)),
    'places text': word(text='two words', centers='everywhere'),
    'few certainties': word(text='two words', certainties=np.ones(3)),
    'certainties NaN': word(text='two words', certainties=np.full(9, np.nan)),
}


@pytest.mark.parametrize('kind', NONSENSE)
@pytest.mark.parametrize('split', [True, False])
def test_nonsense_costs_its_word_only(kind, split):
    (record,) = label({'a': PAGE}, lambda image: [NONSENSE[kind], word()], split=split)
    assert [entry['text'] for entry in record['words']] == ['word']
    assert len(record['invalid']) == 1 and record['invalid'][0].startswith('word 0: ')
    assert len(record['invalid'][0]) < 300
    with pytest.raises(ValueError):
        check_word(NONSENSE[kind], SHAPE)


@pytest.mark.parametrize(
    ('result', 'kind'),
    [(None, 'NoneType'), (iter([]), 'list_iterator'), ('text', 'str'), (7, 'int'), ({}, 'dict')],
)
def test_engines_that_return_no_list(result, kind):
    def engine(image):
        return result if image.shape[0] == SHAPE[0] else [word()]

    bad, good = label({'a': PAGE, 'b': encode(NOISE)}, engine)
    assert f'it returned a {kind}; expected a list' in bad['error']
    assert set(bad) == {'index', 'img_path', 'error'} and len(good['words']) == 1


def test_engines_that_raise_cost_their_image_only():
    def engine(image):
        if image.shape[0] == SHAPE[0]:
            raise cv2.error('no\nway')
        return (word(),)

    bad, good = label({'a': PAGE, 'b': encode(NOISE)}, engine)
    assert bad['error'] == 'the OCR engine has failed: error: no way'
    assert len(good['words']) == 1


class Batches:
    """Reads several images at once, in a way of its own."""

    def __init__(self, answer):
        self.answer = answer
        self.sizes = []

    def read_batch(self, images):
        self.sizes.append(len(images))
        return self.answer(images)

    def __call__(self, image):
        if image.shape[0] == SHAPE[0]:
            raise RuntimeError('cannot')
        return [word(text='alone')]


def test_images_are_read_at_once_where_the_engine_can():
    engine = Batches(lambda images: [[word(text=str(len(image)))] for image in images])
    files = {'a': PAGE, 'x': b'', 'b': encode(NOISE)}
    a, x, b = label(files, engine)
    assert engine.sizes == [2] and 'error' in x
    assert [record['words'][0]['text'] for record in (a, b)] == [str(SHAPE[0]), '200']


def unable(images):
    raise MemoryError


@pytest.mark.parametrize(
    'answer',
    [
        unable,
        lambda images: None,
        lambda images: [[]],
        lambda images: [[], None],
        lambda images: [[], (word() for _ in range(2))],
        lambda images: iter([[], []]),
    ],
)
def test_batches_that_fail_are_read_one_by_one(answer):
    a, b = label({'a': PAGE, 'b': encode(NOISE)}, Batches(answer))
    assert 'RuntimeError: cannot' in a['error']
    assert [entry['text'] for entry in b['words']] == ['alone']


def test_lines_are_cut_or_kept():
    line = word(text=' two  words ', score=0.123456, detection=np.float32(0.5))
    (cut,) = label({'a': PAGE}, lambda image: [line])
    (kept,) = label({'a': PAGE}, lambda image: [line], split=False)
    assert [entry['text'] for entry in cut['words']] == ['two', 'words']
    assert [entry['text'] for entry in kept['words']] == ['two  words']
    assert kept['words'][0]['polygon'] == QUAD.ravel().tolist()
    assert kept['words'][0]['score'] == 0.1235 and kept['words'][0]['detection_score'] == 0.5
    first, second = (np.reshape(entry['polygon'], (-1, 2)) for entry in cut['words'])
    assert first[:, 0].max() < second[:, 0].min()


def test_words_of_a_line_that_goes_out_of_the_image_are_left_out():
    line = word(text='in out', polygon=QUAD * (5, 1) + (SHAPE[1] - 150, 0))
    (record,) = label({'a': PAGE}, lambda image: [line])
    assert [entry['text'] for entry in record['words']] == ['in']
    assert 'outside the image' in record['invalid'][0]


def test_blank_texts_stay_as_places_of_text():
    (record,) = label({'a': PAGE}, lambda image: [word(text=' \n'), word(text='')])
    assert [entry['text'] for entry in record['words']] == ['', '']


def test_what_others_have_read_is_looked_up_by_name(tmp_path):
    path = tmp_path / 'others.jsonl'
    words = [dict(text='one', polygon=QUAD.tolist()), 'nonsense']
    path.write_text(json.dumps(dict(img_path='a', words=words)))
    a, b = label({'a': PAGE, 'b': PAGE}, RecordedReadings(path))
    assert [entry['text'] for entry in a['words']] == ['one'] and len(a['invalid']) == 1
    assert 'says nothing about it' in b['error']


@pytest.mark.parametrize('orientation', [3, 6, 8])
def test_what_was_recorded_is_in_the_pixels_of_the_file(tmp_path, faulty_work, orientation):
    """As in annotations; also readings of our own are taken up as they are."""
    files = {'a': photograph(orientation, 'PNG')}
    (made,) = label(files, faulty_work.InkEngine())
    path = tmp_path / 'readings.jsonl'
    path.write_text(json.dumps(made))
    assert label(files, RecordedReadings(path)) == [made]


def test_it_travels_without_its_engine(faulty_work):
    labeller = Labeller(ImageSource('', ['a']), faulty_work.InkEngine)
    labeller.prepare()
    labeller._engine = lambda image: []  # what cannot travel
    pickle.loads(pickle.dumps(labeller)).prepare()


def test_engines_that_cannot_be_made_end_the_run():
    def make():
        raise ImportError('there is no engine')

    labeller = Labeller(Files({'a': PAGE}), make)
    for call in (labeller.prepare, lambda: labeller([(0, 'a')])):
        with pytest.raises(ImportError, match='no engine'):
            call()


def test_labels_are_read_back(tmp_path):
    pytest.importorskip('rapidocr_onnxruntime')
    words = [word(text='Garden', polygon=BOX), word(text='\u0e01', polygon=BOX)]
    (record,) = label({'a': PAGE}, lambda image: words, read_back=True)
    garden, unknown = record['words']
    assert garden['read_back'].lower() == 'garden' and unknown['read_back'] is None
    # The annotation of them takes the one and lets the other pass, about which nothing is known.
    with ReadingsFile(tmp_path / 'r.jsonl', dict(read_back=True)) as file:
        file.append([record])
    off = dict.fromkeys(('min_score', 'min_letters', 'max_letter_aspect', 'max_coverage'))
    settings = FilterSettings(read_back=True, vocabulary='\u0e01Garden', **off)
    report = write_annotations([tmp_path / 'r.jsonl'], tmp_path / 'a.json', settings)
    assert report.words == dict(accepted=2)


def test_decoding_tells_what_is_wrong():
    image, turns = decode(PAGE)
    assert image.shape == (*SHAPE, 3) and turns == 0
    with pytest.raises(ValueError, match='empty'):
        decode(b'')
