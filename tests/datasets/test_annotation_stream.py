"""Whatever the pieces in which a file is read, the entries are those of the json module."""

import contextlib
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odm_mmocr.datasets import annotation_stream
from odm_mmocr.datasets.annotation_stream import AnnotationStream

ENTRIES = [
    dict(img_path='a.jpg', instances=[dict(text='"quoted" \\ {[', polygon=[1.5, -2e-3, 0])]),
    dict(instances=[], img_path='ü/日本.jpg', height=480, nested=[[], {}, [{'a': None}]]),
    dict(img_path='😀.png', instances=[dict(text='\u2028', ignore=True), dict(text='\ud800')]),
]
META = dict(task_name='textspotting', category=[dict(id=0, name='text')])


def read(content, lines=False):
    if isinstance(content, str):
        content = content.encode()
    stream = AnnotationStream(io.BytesIO(content), 'words.json', lines)
    found = []
    for entry, begin, end in stream:
        assert json.loads(content[begin:end]) == entry
        found.append(entry)
    return found, stream.metainfo


@pytest.fixture(params=[1, 2, 3, 7, 64, 4096])
def piece(request, monkeypatch):
    monkeypatch.setattr(annotation_stream, 'PIECE', request.param)


@pytest.mark.parametrize('ascii_only', [True, False])
@pytest.mark.parametrize('indent', [None, 3])
@pytest.mark.parametrize('order', [('metainfo', 'data_list'), ('data_list', 'metainfo')])
def test_entries_in_pieces_of_any_size(piece, order, indent, ascii_only):
    content = dict(version=12.25, data_list=ENTRIES, metainfo=META, more=-1e-5)
    content = {key: content[key] for key in (order[0], 'version', order[1], 'more')}
    text = json.dumps(content, ensure_ascii=ascii_only, indent=indent)
    encoded = text.encode('utf-8', 'surrogatepass' if ascii_only else 'replace')
    entries = json.loads(encoded)['data_list']
    assert read(encoded) == (entries, META)
    assert read(b'\xef\xbb\xbf' + encoded + b'\n') == (entries, META)


@pytest.mark.parametrize('end', ['', '\n', '\r\n\n'])
def test_json_lines(piece, end):
    text = '\n'.join(map(json.dumps, ENTRIES)) + end
    assert read(text, lines=True) == (ENTRIES, {})
    assert read(f'\ufeff{json.dumps(dict(metainfo=META))}\r\n{text}', True) == (ENTRIES, META)


def test_memory_does_not_grow_with_the_file(monkeypatch):
    monkeypatch.setattr(annotation_stream, 'PIECE', 1000)
    reads = []

    class File(io.BytesIO):
        def read(self, size):
            reads.append(size)
            return super().read(size)

    entry = json.dumps(dict(img_path='a' * 300, instances=[]))
    file = File(f'{{"data_list": [{", ".join([entry] * 500)}]}}'.encode())
    assert sum(1 for _ in AnnotationStream(file, 'words.json')) == 500
    assert max(reads) == 1000


GOOD = json.dumps(dict(metainfo=META, data_list=ENTRIES[:2]))


def test_cut_off_anywhere(piece):
    for length in range(len(GOOD)):
        with pytest.raises(ValueError, match=r'words\.json: .*byte \d+'):
            read(GOOD[:length])
    with pytest.raises(ValueError, match=r'entry 1, byte \d+: .*cut off'):
        read(GOOD[:-30])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_anywhere(data):
    content = bytearray(GOOD.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        expected = json.loads(content)['data_list']
    except (ValueError, KeyError, TypeError):
        with pytest.raises(ValueError, match=r'^words\.json: .*byte \d+: '):
            read(bytes(content))
        return
    with contextlib.suppress(ValueError):  # entries that are JSON but no annotations
        assert read(bytes(content))[0] == expected


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (
            '',
            'byte 0: expected an object with "metainfo" and "data_list", found the end of the fil',
        ),
        ('[]', r"byte 0: expected an object with .*, found '\['"),
        ('{}', 'byte 2: there is no "data_list"'),
        ('{"images": [], "annotations": []}', 'there is no "data_list"'),
        ('{"data_list": {}}', r"byte 14: expected a list as \"data_list\", found '\{'"),
        ('{"data_list": [], "data_list": []}', 'byte 18: "data_list" is there twice'),
        ('{"metainfo": 3, "data_list": []}', 'expected an object as "metainfo", found int'),
        ('{"data_list": [] "a": 1}', 'byte 17: expected a comma and another key'),
        ('{"data_list": [],}', 'byte 17: expected a key in double quotes'),
        ('{"data_list": [{"instances": []},]}', 'entry 1, byte 33: expected a value'),
        ('{"data_list": [{"instances": []} 5]}', 'byte 33: expected a comma and entry 1'),
        ('{"data_list": [{"instances": []}, 5]}', 'entry 1, byte 34: expected an object, found i'),
        ('{"data_list": [{"img_path": "a"}]}', r'entry 0, byte 15: .*list "instances", found none'),
        ('{"data_list": [{"instances": {}}]}', 'entry 0, .* list "instances", found dict'),
        ('{"data_list": [{"instances": [1]}]}', 'entry 0, .* object as instance 0, found int'),
        ('{"data_list": [{"a": 1, "b" 2}]}', "entry 0, byte 28: Expecting ':' delimiter"),
        (b'{"data_list": [{"a": "\xff"}]}', 'byte 22: expected UTF-8'),
        ('{"data_list": []}'.encode('utf-16'), 'byte 0: expected UTF-8'),
        ('{"data_list": [{"a": ' + '[' * 100000, 'nested too deep'),
        ('{"data_list": [{"a": ' + '9' * 5000 + '}]}', r'entry 0, .* (digits|instances)'),
        ('{"instances": []}\n{"instances": []}', r'byte 18: .*is to be called \.jsonl'),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_malformed(content, message):
    with pytest.raises(ValueError, match=rf'^words\.json: .*{message}'):
        read(content)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{"instances": []}\n{"instances": []', r'entry 1, byte 3\d: .*cut off'),
        ('{"instances": []}\n\n[]\n', 'entry 1, byte 19: expected an object, found list'),
        ('{"instances": []}\n{"metainfo": {}}\n', 'entry 1, byte 18: .*"instances", found none'),
        (GOOD, 'entry 0, byte 0: expected a list "instances", found none'),
    ],
)
def test_malformed_lines(content, message):
    with pytest.raises(ValueError, match=rf'^words\.json: {message}'):
        read(content, lines=True)


def test_a_value_without_end_is_not_read_into_memory(monkeypatch):
    monkeypatch.setattr(annotation_stream, 'PIECE', 1000)
    monkeypatch.setattr(annotation_stream, 'LARGEST', 2**20)
    content = f'{{"images": [{", ".join(["1234567890"] * 400000)}]}}'
    with pytest.raises(
        ValueError, match='byte 11: a value of more than 1 MiB; expected "metainfo"'
    ):
        read(content)
