"""Remote annotations are copied once, and again when they have changed."""

import functools
import http.server
import json
import os
import socket
import threading

import pytest
from mmengine.fileio import BaseStorageBackend
from mmengine.fileio.backends import registry_utils

from odm_mmocr.datasets.remote_annotation import local_annotation


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('ODM_CACHE', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'annotations'


class Handler(http.server.SimpleHTTPRequestHandler):
    asked: list
    cut = False
    heads = True

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.asked.append('HEAD')
        if type(self).heads:
            super().do_HEAD()
        else:
            self.send_error(405)

    def do_GET(self):
        self.asked.append('GET')
        super().do_GET()

    def copyfile(self, source, output):
        output.write(source.read(100 if type(self).cut else None))


@pytest.fixture
def server(tmp_path):
    """A server of a folder: its address, the folder, and the class that answers."""
    folder = tmp_path / 'served'
    folder.mkdir()
    handler = type('Answers', (Handler,), dict(asked=[]))
    factory = functools.partial(handler, directory=str(folder))
    served = http.server.ThreadingHTTPServer(('127.0.0.1', 0), factory)
    factory.func.served = served
    thread = threading.Thread(target=served.serve_forever, kwargs=dict(poll_interval=0.01))
    thread.start()
    yield f'http://127.0.0.1:{served.server_port}', folder, handler
    served.shutdown()
    served.server_close()
    thread.join()


def test_local_files_stay_where_they_are(tmp_path):
    path = tmp_path / 'a.json'
    assert local_annotation(str(path)) == path
    assert local_annotation(str(path), dict(backend='local')) == path


def test_http_is_copied_once(server, cache):
    address, folder, handler = server
    (folder / 'a b.json').write_text('{"data_list": []}')
    url = f'{address}/a%20b.json'
    path = local_annotation(url)
    assert path.parent == cache and path.name.endswith('-a b.json')
    assert path.read_text() == '{"data_list": []}'
    assert local_annotation(url) == path
    assert handler.asked == ['HEAD', 'GET', 'HEAD']
    assert os.listdir(cache) == [path.name]


def test_http_is_copied_again_when_it_has_changed(server, cache):
    address, folder, _ = server
    (folder / 'a.json').write_text('old')
    old = local_annotation(f'{address}/a.json')
    old.with_name(old.name + '.odm_index').write_text('index of the old one')
    (folder / 'a.json').write_text('newer')
    assert local_annotation(f'{address}/a.json').read_text() == 'newer'
    assert len(os.listdir(cache)) == 1


def test_http_that_does_not_tell_or_answer(server, cache):
    address, folder, handler = server
    handler.heads = False
    (folder / 'a.json').write_text('content')
    path = local_annotation(f'{address}/a.json')
    assert local_annotation(f'{address}/a.json') == path
    assert handler.asked == ['HEAD', 'GET', 'HEAD']


def test_http_gone_but_copied(server, cache):
    address, folder, handler = server
    (folder / 'a.json').write_text('content')
    path = local_annotation(f'{address}/a.json')
    handler.served.shutdown()
    handler.served.server_close()
    assert local_annotation(f'{address}/a.json') == path


def test_http_errors_name_the_address(server, cache):
    address, folder, handler = server
    with pytest.raises(OSError, match=r'/none\.json cannot be read: .*404'):
        local_annotation(f'{address}/none.json')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    with pytest.raises(OSError, match=r'a\.json cannot be read: .*refused'):
        local_annotation(f'http://127.0.0.1:{port}/a.json')
    (folder / 'a.json').write_text('x' * 1000)
    handler.cut = True
    with pytest.raises(OSError, match=r'a\.json: the connection ended after 100 of 1000 bytes'):
        local_annotation(f'{address}/a.json')
    assert not os.listdir(cache)


class Shelf(BaseStorageBackend):
    """A storage of our own."""

    contents: dict
    asked: list

    def __init__(self, room='first'):
        self.room = room

    def get(self, filepath):
        self.asked.append(filepath)
        return self.contents.get(filepath)

    def get_text(self, filepath):
        raise NotImplementedError


@pytest.fixture
def shelf(monkeypatch):
    kind = type('Shelf', (Shelf,), dict(contents={}, asked=[]))
    for registered in (registry_utils.backends, registry_utils.prefix_to_backends):
        monkeypatch.setitem(registered, 'shelf', kind)
    return kind


def test_backends_of_ones_own(shelf, cache):
    content = json.dumps(dict(data_list=[])).encode()
    shelf.contents.update({'shelf://a/b.jsonl': content, 'b.jsonl': b'other'})
    path = local_annotation('shelf://a/b.jsonl')
    assert path.name.endswith('-b.jsonl')  # JSON Lines are known by the suffix
    assert path.read_bytes() == content
    assert local_annotation('shelf://a/b.jsonl') == path
    assert shelf.asked == ['shelf://a/b.jsonl']
    other = local_annotation('b.jsonl', dict(backend='shelf'))
    again = local_annotation('b.jsonl', dict(backend='shelf', room='second'))
    assert len({path, other, again}) == 3
    with pytest.raises(FileNotFoundError, match=r'there is no c\.json in Shelf'):
        local_annotation('c.json', dict(backend='shelf'))


def test_unknown_backends():
    with pytest.raises(ValueError, match=r"no file backend 'gopher' for gopher://a/b\.json.*http"):
        local_annotation('gopher://a/b.json')
    with pytest.raises(ValueError, match="no file backend 'tape'"):
        local_annotation('b.json', dict(backend='tape'))


def test_annotation_in_lmdb(tmp_path, monkeypatch):
    lmdb = pytest.importorskip('lmdb')

    def write(folder, content):
        with lmdb.open(str(tmp_path / folder)) as env, env.begin(write=True) as transaction:
            transaction.put(b'train.json', content)

    write('db', b'{"data_list": []}')
    where = dict(backend='lmdb', db_path=str(tmp_path / 'db'))
    path = local_annotation('train.json', where)
    assert path.read_text() == '{"data_list": []}'
    assert local_annotation('train.json', where) == path
    write('db', b'changed')
    assert local_annotation('train.json', where).read_text() == 'changed'
    (tmp_path / 'other').mkdir()
    write('other/db', b'other')
    where = dict(backend='lmdb', db_path='db')
    for folder, content in ((tmp_path, 'changed'), (tmp_path / 'other', 'other')):
        monkeypatch.chdir(folder)
        assert local_annotation('train.json', where).read_text() == content
    with pytest.raises(FileNotFoundError, match='nowhere'):
        local_annotation('train.json', dict(backend='lmdb', db_path='nowhere'))
    with pytest.raises(FileNotFoundError, match=r'there is no test\.json in LmdbBackend'):
        local_annotation('test.json', where)
