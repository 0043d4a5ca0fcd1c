"""What has been read is never lost, never doubled, and never anything else."""

import json
import os
import random
import resource
import signal
import time

import numpy as np
import pytest

from odm_mmocr.pseudo_label import (
    ImageSource,
    ReadingsFile,
    RecordedReadings,
    read_images,
)
from odm_mmocr.pseudo_label.labeller import check_word
from odm_mmocr.pseudo_label.readings import (
    check_record,
    is_finished,
    iterate_records,
    read_header,
)

SETTINGS = dict(engine='none', side=736)
NAMES = [
    'plain.jpg',
    'a b.jpg',
    '"quoted".jpg',
    'größe 字.jpg',
    'new\nline.jpg',
    '\udcff\udcfe.jpg',
]


def record(name, index=0, **more):
    return dict(index=index, img_path=name, **more)


def write(path, records, settings=SETTINGS, **more):
    with ReadingsFile(path, settings, **more) as file:
        file.append(records)


def read(path):
    return [found for _, found in iterate_records(path)]


def test_names_of_any_bytes_come_back(tmp_path):
    path = tmp_path / 'deep' / 'readings.jsonl'
    records = [record(name, index, words=[]) for index, name in enumerate(NAMES)]
    write(path, records)
    assert read(path) == records
    assert read_header(path) == SETTINGS
    with ReadingsFile(path, SETTINGS) as file:
        assert file.done == set(NAMES) and file.failed == 0


def test_what_was_appended_is_there_at_once(tmp_path):
    """Also when the process is killed before it closes the file."""
    path = tmp_path / 'readings.jsonl'
    with ReadingsFile(path, SETTINGS) as file:
        assert read_header(path) == SETTINGS
        file.append([record('a.jpg')])
        assert read(path) == [record('a.jpg')]
        file.append([])
        file.finish()
        assert is_finished(path)


def test_places_are_where_records_begin(tmp_path):
    path = tmp_path / 'readings.jsonl'
    write(path, [record(name, index) for index, name in enumerate(NAMES)])
    with open(path, 'rb') as file:
        for start, found in iterate_records(path):
            file.seek(start)
            assert json.loads(file.readline()) == found


def test_cut_off_anywhere_it_goes_on(tmp_path):
    """A killed process leaves the beginning of what it wrote, to any byte."""
    path, cut = tmp_path / 'readings.jsonl', tmp_path / 'cut.jsonl'
    records = [record(name, index, words=[]) for index, name in enumerate(NAMES[:3])]
    with ReadingsFile(path, SETTINGS) as file:
        file.append(records)
        file.finish()
    content = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord('\n')]
    for size in range(len(content) + 1):
        cut.write_bytes(content[:size])
        whole = min(max(sum(end <= size for end in ends) - 1, 0), len(records))
        with ReadingsFile(cut, SETTINGS) as file:
            assert file.done == set(NAMES[:whole])
            if whole < len(records):
                file.append(records[whole:])
            file.finish()
        assert cut.read_bytes() == content


@pytest.mark.parametrize(
    'content',
    [
        b'{"data_list": []}',
        b'{"data_list": []}\n',
        b'one.jpg\ntwo.jpg\n',
        b'one.jpg',
        b'\x89PNG\r\n\x1a\n\0\0\0',
        b'\xff\xfe\0',
        b'[1]\n',
        b'{"format": "odm_mmocr readings", "version": 99, "settings": {}}\n',
        b'\n',
    ],
)
def test_files_of_another_kind_are_refused_and_left_as_they_are(tmp_path, content):
    path = tmp_path / 'readings.jsonl'
    path.write_bytes(content)
    with pytest.raises(ValueError, match='readings.jsonl'):
        ReadingsFile(path, SETTINGS)
    assert path.read_bytes() == content


@pytest.mark.parametrize('line', [b'{"index": 1}', b'{"img_path": 3}', b'oops', b'\0\0\0', b'[]'])
def test_a_line_that_is_no_record_is_named(tmp_path, line):
    path = tmp_path / 'readings.jsonl'
    write(path, [record('a.jpg')])
    path.write_bytes(path.read_bytes() + line + b'\n')
    with pytest.raises(ValueError, match='readings.jsonl:3'):
        ReadingsFile(path, SETTINGS)


@pytest.mark.parametrize(
    ('other', 'message'),
    [
        (dict(SETTINGS, side=960), 'side=736, now it is 960'),
        (dict(SETTINGS, lines=True), 'lines=None, now it is True'),
        (dict(engine='none'), 'side=736, now it is None'),
    ],
)
def test_other_settings_are_refused(tmp_path, other, message):
    path = tmp_path / 'readings.jsonl'
    write(path, [record('a.jpg')])
    with pytest.raises(ValueError, match=message + '.*--restart'):
        ReadingsFile(path, other)
    write(path, [record('b.jpg')])  # it can still be used
    write(path, [record('c.jpg')], other, restart=True)
    assert read(path) == [record('c.jpg')]


def test_two_processes_do_not_write_one_file(tmp_path):
    path = tmp_path / 'readings.jsonl'
    with ReadingsFile(path, SETTINGS) as first:
        first.append([record('a.jpg')])
        for restart in (False, True):  # which would throw away what the other one reads
            with pytest.raises(BlockingIOError, match=r'another process writes .*--out'):
                ReadingsFile(path, SETTINGS, restart=restart)
        first.append([record('b.jpg')])
    assert [found['img_path'] for found in read(path)] == ['a.jpg', 'b.jpg']


def test_failures_are_tried_again_where_asked_for(tmp_path):
    path = tmp_path / 'readings.jsonl'
    records = [
        record('good', words=[]),
        record('bad', error='e'),
        record('mended', error='e'),
        record('mended', words=[]),
    ]
    write(path, records)
    with ReadingsFile(path, SETTINGS) as file:
        assert file.done == {'good', 'bad', 'mended'} and file.failed == 1
    with ReadingsFile(path, SETTINGS, retry_failed=True) as file:
        assert file.done == {'good', 'mended'} and file.failed == 0
        file.append([record('bad', error='again')])
    with ReadingsFile(path, SETTINGS) as file:
        assert file.done == {'good', 'bad', 'mended'} and file.failed == 1


@pytest.mark.parametrize('where', ['file/readings.jsonl', 'folder'])
def test_paths_that_cannot_be_written(tmp_path, where):
    (tmp_path / 'file').touch()
    (tmp_path / 'folder').mkdir()
    with pytest.raises(OSError, match='file|folder'):
        ReadingsFile(tmp_path / where, SETTINGS)


def test_a_full_disk_leaves_whole_records(tmp_path):
    path = tmp_path / 'readings.jsonl'
    file = ReadingsFile(path, SETTINGS)
    file.append([record('a.jpg')])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, limits[1]))
    try:
        with pytest.raises(OSError, match='too large'), file:
            file.append([record('b.jpg', words=['x' * 1000])])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    del file
    with ReadingsFile(path, SETTINGS) as again:
        assert again.done in ({'a.jpg'}, {'a.jpg', 'b.jpg'})
        again.append([record('c.jpg')])
    assert {found['img_path'] for found in read(path)} == again.done | {'c.jpg'}


def test_records_after_the_end_undo_it(tmp_path):
    path = tmp_path / 'readings.jsonl'
    write(path, [record('a.jpg', words=[])])
    assert not is_finished(path)
    for _ in range(2):
        with ReadingsFile(path, SETTINGS) as file:
            file.finish()
        assert is_finished(path)
    assert path.read_bytes().count(b'\n') == 3
    write(path, [record('b.jpg', words=[])])
    assert not is_finished(path)
    with ReadingsFile(path, SETTINGS) as file:
        assert file.done == {'a.jpg', 'b.jpg'}
        file.finish()
    assert is_finished(path) and len(read(path)) == 2
    assert RecordedReadings(path).look_up('b.jpg') == []


class Labels:
    """Records of several pages each, so that many are killed half-written."""

    def __call__(self, tasks):
        time.sleep(0.002)
        return [
            record(name, index, words=[name * 800] if index % 5 else [], hash='0' * 16)
            for index, name in tasks
        ]


def in_this_process(labeller, batches):
    return map(labeller, batches)


def test_killed_again_and_again_nothing_is_lost_and_nothing_twice(tmp_path):
    """A real process each time, killed at any moment; a line that was read once stays as it is."""
    path = tmp_path / 'readings.jsonl'
    source = ImageSource('', [f'{number}\n.jpg' for number in range(200)])
    rng = random.Random(0)
    kept = b''
    kills = 0
    with open(os.devnull, 'w') as nowhere:

        def run():
            read_images(source, Labels(), path, SETTINGS, runner=in_this_process, stream=nowhere)

        for _ in range(400):
            process = os.fork()
            if not process:
                try:
                    run()
                    os._exit(0)
                finally:
                    os._exit(1)
            time.sleep(rng.uniform(0.005, 0.05))
            os.kill(process, signal.SIGKILL)
            _, status = os.waitpid(process, 0)
            if os.WIFEXITED(status):
                assert os.WEXITSTATUS(status) == 0
                break
            kills += 1
            content = path.read_bytes() if path.exists() else b''
            whole = content[: content.rfind(b'\n') + 1]
            assert whole.startswith(kept)
            kept = whole
        run()
    assert kills >= 3
    records = read(path)
    assert [found['index'] for found in records] == list(range(200))
    assert records == [found for task in enumerate(source.names) for found in Labels()([task])]


def write_lines(path, *objects):
    path.write_text('\n'.join(map(json.dumps, objects)), encoding='utf-8')
    return path


def test_what_another_program_has_read(tmp_path):
    polygon = [[1, 2], [30, 2], [30, 12], [1, 12]]
    path = write_lines(
        tmp_path / 'others.jsonl',
        dict(img_path='a b.jpg', words=[dict(text='one', polygon=polygon, score=0.5)]),
        dict(
            img_path='c.jpg',
            instances=[dict(text='two', bbox=[1, 2, 30, 12], detection_score=0.25)],
        ),
        dict(img_path='größe.jpg', lines=[]),
    )
    readings = RecordedReadings(path)
    (one,) = readings.look_up('a b.jpg')
    (two,) = readings.look_up('c.jpg')
    assert (one.text, one.score, one.detection) == ('one', 0.5, None)
    assert (two.text, two.score, two.detection) == ('two', 1.0, 0.25)
    np.testing.assert_array_equal(one.polygon, polygon)
    np.testing.assert_array_equal(two.polygon, polygon)
    assert readings.look_up('größe.jpg') == []
    with pytest.raises(KeyError, match=r'others.jsonl says nothing'):
        readings.look_up('d.jpg')


def test_readings_of_our_own_can_be_taken_up(tmp_path):
    path = tmp_path / 'readings.jsonl'
    words = [dict(text='one', polygon=[1, 2, 30, 2, 30, 12, 1, 12], score=0.5)]
    write(path, [record('a.jpg', words=words), record('b.jpg', 1, error='it is no image')])
    readings = RecordedReadings(path)
    assert readings.look_up('a.jpg')[0].text == 'one'
    with pytest.raises(ValueError, match='it is no image'):
        readings.look_up('b.jpg')


def test_windows_line_ends_marks_and_blank_lines(tmp_path):
    path = tmp_path / 'others.jsonl'
    path.write_bytes(
        b'\xef\xbb\xbf{"img_path": "a", "words": []}\r\n\r\n{"img_path": "b", "words": []}'
    )
    readings = RecordedReadings(path)
    assert readings.look_up('a') == readings.look_up('b') == []


def test_a_cut_off_last_line_is_as_if_it_were_not_there(tmp_path):
    path = tmp_path / 'others.jsonl'
    path.write_bytes(b'{"img_path": "a", "words": []}\n{"img_path": "b", "wor')
    readings = RecordedReadings(path)
    assert readings.look_up('a') == []
    with pytest.raises(KeyError):
        readings.look_up('b')


NO_WORDS = [
    None,
    'word',
    7,
    {},
    dict(text='a'),
    dict(text='a', polygon=[1, 2, 3]),
    dict(text='a', polygon=[[1, 2], [3]]),
    dict(text='a', polygon='wide'),
    dict(text='a', bbox=[1, 2, 3]),
    dict(text='a', bbox=7),
    dict(text='a', polygon=[10**400, 0, 9, 0, 9, 9, 0, 9]),
    dict(text='a', polygon=[float('nan'), 0, 9, 0, 9, 9, 0, 9]),
    dict(text=None, polygon=[0, 0, 9, 0, 9, 9, 0, 9]),
    dict(text='a', polygon=[0, 0, 9, 0, 9, 9, 0, 9], score='high'),
    dict(text='a', polygon=[0, 0, 9, 0, 9, 9, 0, 9], score=None),
    dict(text='a', polygon=[0, 0, 9, 0, 9, 9, 0, 9], detection_score=2),
]


def test_words_that_are_none_do_not_cost_the_others(tmp_path):
    good = dict(text='good', polygon=[0, 0, 9, 0, 9, 9, 0, 9])
    path = write_lines(tmp_path / 'others.jsonl', dict(img_path='a', words=[*NO_WORDS, good]))
    *bad, last = RecordedReadings(path).look_up('a')
    check_word(last, (100, 100))
    assert len(bad) == len(NO_WORDS)
    for word in bad:
        with pytest.raises(ValueError):
            check_word(word, (100, 100))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{"img_path": "a", "words": []}\n{"img_path": "a", "words": []}\n', "'a' twice"),
        ('{"words": []}\n', 'lacks "img_path"'),
        ('[1, 2]\n', r'others.jsonl:1: expected a JSON object'),
        ('{"img_path": "a"\n{}\n', r'others.jsonl:1 is no line of JSON'),
    ],
)
def test_files_that_are_no_readings(tmp_path, content, message):
    path = tmp_path / 'others.jsonl'
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        RecordedReadings(path)
    with pytest.raises(FileNotFoundError, match='nothing.jsonl'):
        RecordedReadings(tmp_path / 'nothing.jsonl')


def test_a_line_without_words_is_told(tmp_path):
    path = write_lines(tmp_path / 'others.jsonl', dict(img_path='a', words='none'))
    with pytest.raises(ValueError, match='list "words"'):
        RecordedReadings(path).look_up('a')


def test_of_an_image_that_was_tried_again_the_last_record_counts(tmp_path):
    path = tmp_path / 'readings.jsonl'
    write(path, [record('a.jpg', error='gone')])
    with ReadingsFile(path, SETTINGS, retry_failed=True) as file:
        assert file.done == set()
        file.append([record('a.jpg', words=[])])
    assert RecordedReadings(path).look_up('a.jpg') == []


def test_nested_lines_are_named(tmp_path):
    path = tmp_path / 'r.jsonl'
    path.write_text('{"img_path": "a", "words": []}\n' + '[' * 100_000 + '\n')
    with pytest.raises(ValueError, match=r'r\.jsonl:2 is no line of JSON'):
        RecordedReadings(path)


GOOD = dict(
    index=0, img_path='a', height=9, width=9, hash='0' * 16,
    words=[dict(text='a', polygon=[0, 0, 9, 0, 9, 9, 0, 9], score=1)],
)  # fmt: skip


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(index=None), '"index" and "img_path"'),
        (dict(index=10**30), '"index" and "img_path"'),
        (dict(img_path=3), '"index" and "img_path"'),
        (dict(hash='f' * 17), '"hash" of 16 digits'),
        (dict(hash=3), '"hash" of 16 digits'),
        (dict(height='9'), '"height", "width"'),
        (dict(words={}), '"height", "width"'),
        (dict(invalid=3), 'a list "invalid"'),
        (dict(words=['a']), 'word 0: expected'),
        (dict(words=[dict(text=3, polygon=[0] * 8, score=1)]), 'word 0: expected'),
        (dict(words=[dict(text='', polygon=[0] * 6, score=1)]), 'word 0: expected'),
        (dict(words=[dict(text='', polygon=[float('nan')] * 8, score=1)]), 'word 0: expected'),
        (dict(words=[dict(text='', polygon=[10**400] * 8, score=1)]), 'word 0: expected'),
        (dict(words=[dict(text='', polygon=[0] * 8, score=2)]), 'word 0: expected'),
        (dict(words=[dict(text='', polygon=[0] * 8)]), 'word 0: expected'),
    ],
)
def test_records_of_other_machines_are_checked(change, message):
    check_record(GOOD, 'r.jsonl')
    check_record(dict(index=0, img_path='a', error='x'), 'r.jsonl')
    with pytest.raises(ValueError, match=rf'^r\.jsonl: .*{message}'):
        check_record({**GOOD, **change}, 'r.jsonl')
