"""Images are found wherever they are and whatever they are called."""

import io
import json
import os
import pickle

import pytest
from mmengine.fileio import BaseStorageBackend, register_backend
from PIL import Image

from odm_mmocr.pseudo_label import open_source

NAMES = [
    'plain.jpg',
    'a b  c.JPEG',
    '"quo\'ted".png',
    'größe 字.tif',
    'new\nline.webp',
    os.fsdecode(b'\xff\xfe not text.bmp'),
    'deep/deeper/x.tiff',
    '-dash.jp2',
    ' leading.jpg',
]


def fill(folder, names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(name))


def picture(kind='PNG'):
    stream = io.BytesIO()
    Image.new('RGB', (9, 9)).save(stream, kind)
    return stream.getvalue()


def test_names_of_any_bytes_are_found_and_read(tmp_path):
    fill(tmp_path, NAMES)
    source = open_source(tmp_path)
    assert source.names == sorted(NAMES) and len(source) == len(NAMES)
    for name in NAMES:
        assert source.read(name) == os.fsencode(name)
        assert source.read(json.loads(json.dumps(name))) == os.fsencode(name)


def test_hidden_and_other_files_are_no_images(tmp_path):
    fill(tmp_path, ['a.jpg', '.b.jpg', '.git/c.jpg', 'd.txt', 'e.jpg.part', 'jpg', 'f.gif'])
    (tmp_path / 'folder.jpg').mkdir()
    assert open_source(str(tmp_path)).names == ['a.jpg']


def test_names_relative_to_another_folder(tmp_path):
    fill(tmp_path, ['train/a.jpg', 'train/b/c.jpg'])
    source = open_source(tmp_path / 'train', root=str(tmp_path))
    assert source.names == ['train/a.jpg', 'train/b/c.jpg']
    assert source.read('train/a.jpg') == b'train/a.jpg'


def test_links_in_circles_end(tmp_path):
    """Two links to the top double the folders at each level: forty levels would never end."""
    fill(tmp_path, ['a/1.jpg', 'b/2.jpg', 'b/c/3.jpg'])
    (tmp_path / 'a' / 'up').symlink_to(tmp_path)
    (tmp_path / 'b' / 'c' / 'up').symlink_to(tmp_path / 'b')
    (tmp_path / 'b' / 'c' / 'top').symlink_to(tmp_path)
    (tmp_path / 'a' / 'other').symlink_to(tmp_path / 'b' / 'c')
    (tmp_path / 'a' / 'lost').symlink_to(tmp_path / 'nowhere')
    found = open_source(tmp_path).names
    assert len(found) == 3
    assert sorted(os.path.basename(name) for name in found) == ['1.jpg', '2.jpg', '3.jpg']


def test_links_out_of_the_folder_are_followed_where_that_is_allowed(tmp_path, monkeypatch):
    fill(tmp_path, ['there/1.jpg', 'here/2.jpg'])
    (tmp_path / 'here' / 'link').symlink_to(tmp_path / 'there')
    (tmp_path / 'here' / '3.jpg').symlink_to(tmp_path / 'there' / '1.jpg')
    (tmp_path / 'here' / '4.jpg').symlink_to(tmp_path / 'gone.jpg')
    source = open_source(tmp_path / 'here')
    assert source.names == ['2.jpg', '3.jpg', '4.jpg']
    with pytest.raises(ValueError, match=r'3\.jpg.* leads out of .*here.*ODM_IMAGE_ROOTS'):
        source.read('3.jpg')
    monkeypatch.setenv('ODM_IMAGE_ROOTS', f'{tmp_path / "elsewhere"}:{tmp_path}')
    source = open_source(tmp_path / 'here').with_names(['3.jpg', '4.jpg', 'link/1.jpg'])
    assert open_source(tmp_path / 'here').names == ['2.jpg', *source.names]
    assert source.read('3.jpg') == source.read('link/1.jpg')
    with pytest.raises(FileNotFoundError, match='4.jpg'):
        source.read('4.jpg')


def test_folders_that_cannot_be_listed_are_told(tmp_path, monkeypatch, caplog):
    fill(tmp_path, ['a.jpg', 'closed/b.jpg'])
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith('closed'):
            raise PermissionError(13, 'Permission denied', str(path))
        return scandir(path)

    monkeypatch.setattr(os, 'scandir', refuse)
    assert open_source(tmp_path).names == ['a.jpg']
    assert 'closed' in caplog.text and 'Permission denied' in caplog.text


def test_folders_without_images_say_what_they_hold(tmp_path):
    with pytest.raises(FileNotFoundError, match='holds no images'):
        open_source(tmp_path)
    fill(tmp_path, [*(f'{i}.txt' for i in range(1200)), 'a.gif', 'README'])
    with pytest.raises(FileNotFoundError, match=r'1,202 other files \(1,200 .txt, '):
        open_source(tmp_path)


def test_places_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match='there is no .*nowhere'):
        open_source(tmp_path / 'nowhere')
    fill(tmp_path, ['a.jpg'])
    with pytest.raises(ValueError, match='is one image'):
        open_source(tmp_path / 'a.jpg')


def lines(*names):
    return [os.fsencode(name) for name in names]


@pytest.mark.parametrize(
    ('content', 'wanted'),
    [
        (b'b.jpg\na b.jpg', ['b.jpg', 'a b.jpg']),
        (b'b.jpg\r\na b.jpg\r\n', ['b.jpg', 'a b.jpg']),
        (b'\n\nb.jpg\n  \n\r\n a.jpg\n', ['b.jpg', ' a.jpg']),
        (b'\xef\xbb\xbfb.jpg\n', ['b.jpg']),
        ('größe 字.jpg\n'.encode(), ['größe 字.jpg']),
        (b'\0'.join(lines(*NAMES)) + b'\0', NAMES),
        (b'one.png\0', ['one.png']),
    ],
)
def test_lists(tmp_path, content, wanted):
    (tmp_path / 'list.txt').write_bytes(content)
    source = open_source(tmp_path / 'list.txt')
    assert source.names == wanted
    fill(tmp_path, wanted)
    assert [source.read(name) for name in wanted] == lines(*wanted)


def test_lists_of_other_folders(tmp_path):
    fill(tmp_path / 'data', ['a.jpg'])
    (tmp_path / 'list.txt').write_text('a.jpg\n')
    source = open_source(tmp_path / 'list.txt', root=str(tmp_path / 'data'))
    assert source.read('a.jpg') == b'a.jpg'
    (tmp_path / 'list.txt').write_text(f'{tmp_path}/data/a.jpg\n')
    source = open_source(tmp_path / 'list.txt')
    assert source.read(source.names[0]) == b'a.jpg'


@pytest.mark.parametrize(
    ('content', 'error', 'message'),
    [
        (b'', FileNotFoundError, 'names no images'),
        (b' \r\n\n', FileNotFoundError, 'names no images'),
        (b'a.jpg\nb.jpg\na.jpg\nb.jpg\n', ValueError, "2 images twice, the first is 'a.jpg'"),
        (b'\xff\xfe.jpg\n', ValueError, 'is no list of images'),
    ],
)
def test_lists_that_are_none(tmp_path, content, error, message):
    (tmp_path / 'list.txt').write_bytes(content)
    with pytest.raises(error, match=message):
        open_source(tmp_path / 'list.txt')


@pytest.fixture
def make_lmdb(tmp_path):
    lmdb = pytest.importorskip('lmdb')

    def make(entries, name='data', subdir=True):
        path = tmp_path / name
        with (
            lmdb.open(str(path), map_size=2**20, subdir=subdir) as database,
            database.begin(write=True) as transaction,
        ):
            for key, value in entries.items():
                transaction.put(key, value)
        return path

    return make


@pytest.mark.parametrize('subdir', [True, False])
def test_lmdb(make_lmdb, subdir):
    images = {b'b/2.jpg': picture('JPEG'), b'a b.png': picture(), b'1': picture('WEBP')}
    path = make_lmdb(images, 'data' if subdir else 'data.lmdb', subdir)
    source = open_source(path)
    assert source.names == ['1', 'a b.png', 'b/2.jpg']
    assert {name.encode(): source.read(name) for name in source.names} == images
    travelled = pickle.dumps(source)
    del source  # a process may have it open once
    source = pickle.loads(travelled)
    assert {name.encode(): source.read(name) for name in source.names} == images
    with pytest.raises((FileNotFoundError, TypeError)):
        source.read('nothing')


@pytest.mark.parametrize('kind', ['BMP', 'PNG', 'TIFF', 'JPEG', 'WEBP', 'JPEG2000'])
def test_lmdb_of_text_recognition(make_lmdb, kind):
    """Labels may begin as files of images do."""
    entries = {b'num-samples': b'4'}
    for number, label in enumerate((b'BMW 320d today', b'RIFF raff roff', b'BM', b'Gate 5')):
        entries[b'image-%09d' % number] = picture(kind)
        entries[b'label-%09d' % number] = label
    source = open_source(make_lmdb(entries))
    assert source.names == [f'image-{number:09d}' for number in range(4)]


def test_lmdb_that_are_none(make_lmdb, tmp_path):
    with pytest.raises(FileNotFoundError, match='holds no images'):
        open_source(make_lmdb({b'label-1': b'word'}))
    with pytest.raises(ValueError, match='not ASCII'):
        open_source(make_lmdb({'größe'.encode(): picture()}, 'other'))
    broken = tmp_path / 'broken.lmdb'
    broken.write_bytes(b'no database')
    with pytest.raises(ValueError, match='cannot be opened as LMDB'):
        open_source(broken)


class ShelfBackend(BaseStorageBackend):
    """Files in a dictionary."""

    files = {'shelf://top/a.jpg': b'a', 'shelf://top/b/c.png': b'c', 'shelf://top/d.txt': b'd'}

    def __init__(self, token='none'):
        self.token = token

    def get(self, filepath):
        return self.files[str(filepath)] + self.token.encode()

    def get_text(self, filepath):
        raise NotImplementedError

    def join_path(self, *parts):
        return '/'.join(parts)

    def list_dir_or_file(self, address, list_dir, suffix, recursive):
        assert not list_dir and recursive
        return (name.removeprefix(f'{address}/') for name in self.files if name.startswith(address))


class ClosedBackend(BaseStorageBackend):
    """Cannot list, as that of HTTP."""

    def get(self, filepath):
        return str(filepath).encode()

    def get_text(self, filepath):
        raise NotImplementedError


@pytest.fixture(scope='module', autouse=True)
def _backends():
    register_backend('shelf', ShelfBackend, force=True, prefixes='shelf')
    register_backend('closed', ClosedBackend, force=True, prefixes='closed')


def test_backends_of_mmengine():
    source = open_source('shelf://top')
    assert source.names == ['a.jpg', 'b/c.png']
    assert source.read('b/c.png') == b'cnone'
    settings = dict(backend='shelf', token='!')
    source = open_source('shelf://top', settings)
    assert source.read('a.jpg') == pickle.loads(pickle.dumps(source)).read('a.jpg') == b'a!'
    assert settings == dict(backend='shelf', token='!')
    with pytest.raises(FileNotFoundError, match='shelf://empty holds no images'):
        open_source('shelf://empty')


def test_backends_that_cannot_list_take_a_list(tmp_path):
    for address in ('closed://top', 'http://localhost/top'):
        with pytest.raises(ValueError, match='cannot list .*give a text file'):
            open_source(address)
    (tmp_path / 'list.txt').write_text('closed://x/a.jpg\nclosed://x/b.jpg\n')
    source = open_source(tmp_path / 'list.txt')
    assert source.read(source.names[1]) == b'closed://x/b.jpg'
    (tmp_path / 'list.txt').write_text('a.jpg\n')
    source = open_source(tmp_path / 'list.txt', dict(backend='closed'))
    assert source.names == ['a.jpg'] and source.read('a.jpg') == b'a.jpg'


@pytest.mark.parametrize(
    ('address', 'settings'),
    [('nobody://x', None), ('x', dict(backend='nobody')), ('shelf://x', dict(colour='red'))],
)
def test_backends_that_are_not_there(address, settings):
    with pytest.raises(ValueError, match=address):
        open_source(address, settings)


def test_places(tmp_path, monkeypatch, make_lmdb):
    """One place has one name, two have two."""
    fill(tmp_path, ['x/a.jpg', 'y/a.jpg'])
    path = make_lmdb({b'1': picture()})
    monkeypatch.chdir(tmp_path)
    ways = ['x', 'y/../x', tmp_path / 'x', './x/']
    assert {open_source(way).place for way in ways} == {str(tmp_path / 'x')}
    others = {open_source(way).place for way in ('x', 'y', '.', path, 'shelf://top')}
    assert len(others) == 5 and 'shelf://top' in others and '' not in others


def test_the_same_place_with_other_names(tmp_path):
    fill(tmp_path, ['a.jpg', 'b.jpg'])
    source = open_source(tmp_path).with_names(['b.jpg'])
    assert source.names == ['b.jpg'] and source.read('b.jpg') == b'b.jpg'
