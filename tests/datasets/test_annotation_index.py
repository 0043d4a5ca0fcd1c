"""An index is made once, found again, and made anew whenever it does not fit."""

import copy
import errno
import json
import os
import pickle
import resource
import signal
import struct

import numpy as np
import pytest

from odm_mmocr.datasets import annotation_index
from odm_mmocr.datasets.annotation_index import SUFFIX, AnnotationIndex, open_index, pick


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('ODM_CACHE', str(tmp_path / 'cache'))
    return tmp_path / 'cache'


@pytest.fixture
def made(monkeypatch):
    """The indexes that were made."""
    paths = []
    make = annotation_index.build_index

    def count(annotation, path):
        paths.append(path)
        make(annotation, path)

    monkeypatch.setattr(annotation_index, 'build_index', count)
    return paths


def entries(count, text='Grüße'):
    return [dict(img_path=f'{n}.jpg', instances=[dict(text=text * n)]) for n in range(count)]


@pytest.fixture
def annotation(tmp_path):
    path = tmp_path / 'data' / 'words.json'
    path.parent.mkdir()
    write(path, entries(20))
    return path


def write(path, data_list, **more):
    content = dict(metainfo=dict(task_name='textspotting'), data_list=data_list, **more)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding='utf-8')


def test_made_once_and_found_again(annotation, made):
    index = open_index(annotation)
    assert [index[n] for n in range(len(index))] == entries(20)
    assert index.metainfo == dict(task_name='textspotting')
    assert [open_index(annotation)[n] for n in range(20)] == entries(20)
    assert made == [annotation.with_name('words.json.odm_index')] == [index.path]
    assert sorted(os.listdir(annotation.parent)) == ['words.json', 'words.json.odm_index']


def test_what_some_entries_lack(annotation):
    data = entries(5)
    data[2]['height'] = data[3]['height'] = 4
    del data[3]['img_path']
    data[4] = dict(instances=[])
    write(annotation, data)
    index = open_index(annotation)
    assert index.first_without('instances') is None
    assert index.first_without('img_path') == 3
    assert index.first_without('height') == index.first_without('nowhere') == 0


def shorten(annotation, index):
    os.truncate(index, os.path.getsize(index) - 16)


def empty(annotation, index):
    os.truncate(index, 0)


def flip(annotation, index):
    content = bytearray(index.read_bytes())
    content[-20] ^= 1
    index.write_bytes(content)


def replace_by_other_file(annotation, index):
    index.write_bytes(b'something else that is long enough to be an index')


def replace_by_other_version(annotation, index):
    content = bytearray(index.read_bytes())
    struct.pack_into('<I', content, 8, 99)
    index.write_bytes(content)


def touch(annotation, index):
    os.utime(annotation, ns=(0, 12345))


def change_end_alone(annotation, index):
    before = annotation.stat()
    content = annotation.read_bytes()
    annotation.write_bytes(content.replace(b'"19.jpg"', b'"xy.jpg"'))
    os.utime(annotation, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    'spoil',
    [
        shorten, empty, flip, replace_by_other_file, replace_by_other_version, touch,
        change_end_alone,
    ],
)  # fmt: skip
def test_made_again_where_it_does_not_fit(annotation, made, spoil):
    index = open_index(annotation)
    spoil(annotation, index.path)
    again = open_index(annotation)
    assert len(made) == 2
    expected = json.loads(annotation.read_text(encoding='utf-8'))['data_list']
    assert [again[n] for n in range(20)] == expected
    assert len(made) == 2


def test_pickles_are_small_and_copies_shared(annotation):
    index = open_index(annotation)
    assert copy.deepcopy([index])[0] is index
    pickled = pickle.dumps(index)
    assert len(pickled) < 1000
    assert pickle.loads(pickled)[7] == entries(20)[7]


def test_a_worker_does_not_go_on_with_another_state(annotation):
    pickled = pickle.dumps(open_index(annotation))
    write(annotation, entries(20, 'x'))
    with pytest.raises(ValueError, match='of another state'):
        pickle.loads(pickled)
    open_index(annotation)
    with pytest.raises(ValueError, match=r'words\.json was changed while in use'):
        pickle.loads(pickled)


def test_entries_stay_when_another_file_takes_the_place(annotation, tmp_path):
    index = open_index(annotation)
    write(tmp_path / 'new.json', entries(3, 'other'))
    os.replace(tmp_path / 'new.json', annotation)
    assert [index[n] for n in range(20)] == entries(20)
    assert [open_index(annotation)[n] for n in range(3)] == entries(3, 'other')


@pytest.mark.parametrize('size', [0, 300])
def test_written_over_while_in_use(annotation, size):
    index = open_index(annotation)
    annotation.write_bytes(b' ' * size)
    with pytest.raises(ValueError, match=r'words\.json: entry 3, bytes \d+ to \d+: .*start again'):
        index[3]


def test_changed_while_it_is_indexed(annotation, monkeypatch):
    signs = iter([dict(size=10), dict(size=11)])
    monkeypatch.setattr(annotation_index, '_sign', lambda descriptor: next(signs))
    with pytest.raises(ValueError, match=r'words\.json was changed while it was indexed'):
        annotation_index.build_index(annotation, annotation.with_suffix('.index'))
    assert os.listdir(annotation.parent) == ['words.json']


def refuse(monkeypatch, *folders):
    """Let nothing be written to these folders, as the tests may run as root."""
    write_alone = annotation_index.sole_writer

    def sole_writer(path):
        if path.parent in folders:
            raise PermissionError(errno.EACCES, 'Permission denied', str(path))
        return write_alone(path)

    monkeypatch.setattr(annotation_index, 'sole_writer', sole_writer)


def test_in_the_cache_where_nothing_can_be_written(annotation, cache, made, tmp_path, monkeypatch):
    refuse(monkeypatch, annotation.parent)
    other = annotation.parent / 'other' / annotation.name
    other.parent.mkdir()
    write(other, entries(2))
    refuse(monkeypatch, other.parent)
    assert len(open_index(annotation)) == len(open_index(annotation)) == 20
    assert len(open_index(other)) == 2
    assert len(made) == 2
    assert {path.parent for path in made} == {cache / 'indexes'}
    assert not list(tmp_path.glob(f'data/**/*{SUFFIX}'))


def test_nowhere_to_write(annotation, cache, monkeypatch):
    refuse(monkeypatch, annotation.parent, cache / 'indexes')
    with pytest.raises(OSError, match=r'words\.json can be written neither .*\$ODM_CACHE'):
        open_index(annotation)


def test_full_disk(annotation):
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match=r'words\.json\.odm_index.* was not written.*free space'):
            open_index(annotation)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert os.listdir(annotation.parent) == ['words.json']


def test_malformed_annotations_leave_no_index(annotation):
    annotation.write_text('{"data_list": [{"instances": 5}]}')
    with pytest.raises(ValueError, match=r'words\.json: entry 0, byte 15'):
        open_index(annotation)
    write(annotation, [])
    with pytest.raises(ValueError, match=r'words\.json has no entries'):
        open_index(annotation)
    assert os.listdir(annotation.parent) == ['words.json']
    with pytest.raises(FileNotFoundError, match=r'none\.json'):
        open_index(annotation.with_name('none.json'))


def test_random_damage_never_gives_wrong_entries(annotation):
    path = open_index(annotation).path
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(200):
        content = bytearray(whole)
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        path.write_bytes(content[: rng.integers(len(content)) if rng.random() < 0.3 else None])
        with pytest.raises(annotation_index.StaleIndex):
            AnnotationIndex(annotation, path)


@pytest.mark.parametrize('rows', [range(10), np.arange(100, 110)])
def test_pick(rows):
    listed = list(rows)
    assert list(pick(rows, 3)) == listed[:3]
    assert list(pick(rows, -3)) == listed[-3:]
    assert list(pick(rows, 30)) == listed
    assert list(pick(rows, 0)) == list(pick(rows, [])) == []
    for indices in ([4, 0, -1, 4], (7,), np.array([1, 2])):
        assert list(pick(rows, indices)) == [listed[i] for i in indices]
    for beyond in (10, -11):
        with pytest.raises(IndexError, match=f'index {beyond} of 10 entries'):
            pick(rows, [0, beyond])
    for wrong in ('3', [1.5], [[1]], 2.0):
        with pytest.raises(TypeError, match='a number or a list of numbers'):
            pick(rows, wrong)
