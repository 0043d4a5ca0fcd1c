"""A run goes on where it was and tells how far it is."""

import io
import logging

import pytest

from odm_mmocr.pseudo_label import ImageSource, Shard, read_images
from odm_mmocr.pseudo_label.reading_run import MAX_LOGGED, Progress, _duration
from odm_mmocr.pseudo_label.readings import is_finished, iterate_records

NAMES = [f'{number}.jpg' for number in range(10)]


class Work:
    """Counts what it is asked for; images of some names fail."""

    def __init__(self, *bad):
        self.bad = bad
        self.asked = []
        self.sizes = []

    def __call__(self, tasks):
        self.sizes.append(len(tasks))
        self.asked += [name for _, name in tasks]
        return [
            dict(
                index=i,
                img_path=name,
                **(dict(error='e') if name in self.bad else dict(words=[{}])),
            )
            for i, name in tasks
        ]


def here(work, batches):
    return map(work, batches)


def run(path, work, names=NAMES, settings=None, **more):
    stream = io.StringIO()
    progress = read_images(
        ImageSource('top', names), work, path, settings or {}, runner=here, stream=stream, **more
    )
    return progress, stream.getvalue()


def indices(path):
    return [record['index'] for _, record in iterate_records(path)]


def test_every_image_once(tmp_path):
    work = Work('3.jpg')
    progress, told = run(tmp_path / 'r.jsonl', work, batch_size=4)
    assert work.sizes == [4, 4, 2] and work.asked == NAMES
    assert indices(tmp_path / 'r.jsonl') == list(range(10))
    assert (progress.total, progress.before, progress.done) == (10, 0, 10)
    assert (progress.failed, progress.words) == (1, 9)
    assert '10 of 10 images' in told and '9 words' in told and '1 could not be read' in told


def test_a_run_goes_on(tmp_path):
    path = tmp_path / 'r.jsonl'

    class Stopped(Work):
        def __call__(self, tasks):
            if len(self.asked) >= 6:
                raise KeyboardInterrupt
            return super().__call__(tasks)

    with pytest.raises(KeyboardInterrupt):
        run(path, Stopped('1.jpg'), batch_size=3)
    work = Work()
    progress, told = run(path, work, batch_size=1)
    assert work.asked == NAMES[6:]
    assert '6 of 10 images were read before' in told
    assert (progress.before, progress.done, progress.failed) == (6, 4, 1)
    again = Work()
    progress, told = run(path, again)
    assert again.asked == [] and '10 of 10 images' in told
    retried = Work()
    progress, _ = run(path, retried, retry_failed=True)
    assert retried.asked == ['1.jpg'] and progress.failed == 0 and progress.before == 9
    anew = Work()
    run(path, anew, restart=True)
    assert anew.asked == NAMES and indices(path) == list(range(10))


def test_shards_share_the_images(tmp_path):
    names = [f'größe {number}\udcff.jpg' for number in range(100)]
    asked = []
    for number in range(3):
        work = Work()
        shard = Shard(number, 3)
        progress, _ = run(shard.path(tmp_path / 'r.jsonl'), work, names, shard=shard)
        assert [
            names[index] for index in indices(tmp_path / f'r.{number}-of-3.jsonl')
        ] == work.asked
        assert progress.total == len(work.asked) and 15 < len(work.asked) < 55
        asked += work.asked
    assert sorted(asked) == sorted(names)
    with pytest.raises(ValueError, match='shard='):
        run(tmp_path / 'r.0-of-3.jsonl', Work(), names, shard=Shard(1, 3))


def test_an_image_stays_in_its_shard_whatever_comes_and_goes():
    shards = [Shard(number, 5) for number in range(5)]
    for name in NAMES:
        assert sum(shard.has(name) for shard in shards) == 1
    assert all(Shard().has(name) for name in NAMES)


def test_more_shards_than_images(tmp_path):
    asked = 0
    for number in range(16):
        work = Work()
        path = Shard(number, 16).path(tmp_path / 'r.jsonl')
        progress, told = run(path, work, NAMES[:2], shard=Shard(number, 16))
        assert f'{progress.total} of {progress.total} images' in told and is_finished(path)
        asked += len(work.asked)
    assert asked == 2


def test_other_settings_are_refused(tmp_path):
    path = tmp_path / 'r.jsonl'
    run(path, Work())
    work = Work()
    with pytest.raises(ValueError, match='--restart'):
        run(path, work, settings=dict(side=1))
    assert work.asked == []


def test_images_of_the_same_names_in_another_place_are_refused(tmp_path, monkeypatch):
    """They would count as read."""
    path = tmp_path / 'r.jsonl'
    for folder in ('a', 'b'):
        (tmp_path / folder).mkdir()
    read_images(ImageSource(str(tmp_path / 'a'), NAMES), Work(), path, {}, runner=here)
    with pytest.raises(ValueError, match='images='):
        read_images(ImageSource(str(tmp_path / 'b'), NAMES), Work(), path, {}, runner=here)
    monkeypatch.chdir(tmp_path)
    work = Work()
    read_images(ImageSource('b/../a', NAMES), work, path, {}, runner=here)  # the same place
    assert work.asked == []


def test_images_that_came_meanwhile_are_read(tmp_path):
    path = tmp_path / 'r.jsonl'
    run(path, Work(), NAMES[3:])
    assert is_finished(path)
    work = Work()
    progress, _ = run(path, work, [*NAMES[5:], 'a.jpg'])
    assert work.asked == ['a.jpg'] and is_finished(path)
    assert (progress.total, progress.before, progress.done) == (6, 5, 1)


def test_a_run_that_ends_early_is_not_finished(tmp_path):
    def broken(work, batches):
        yield work(next(iter(batches)))
        raise RuntimeError('no engine')

    path = tmp_path / 'r.jsonl'
    with pytest.raises(RuntimeError, match='no engine'):
        read_images(
            ImageSource('top', NAMES), Work(), path, {}, runner=broken, stream=io.StringIO()
        )
    assert not is_finished(path)
    run(path, Work())
    assert is_finished(path)


@pytest.mark.parametrize('text', ['', '1', 'a/b', '4/4', '-1/4', '0/0', '1/2/3', '0/-1', '0.5/2'])
def test_shards_that_are_none(text):
    with pytest.raises(ValueError, match=r'expected i/n'):
        Shard.parse(text)


def test_shards_are_parsed(tmp_path):
    assert Shard.parse('3/16') == Shard(3, 16)
    assert Shard.parse('0/1').path(tmp_path / 'a.readings.jsonl').name == 'a.readings.jsonl'
    path = Shard(3, 16).path(tmp_path / 'a.readings.jsonl')
    assert path == tmp_path / 'a.readings.3-of-16.jsonl'


def test_batches_of_no_size(tmp_path):
    with pytest.raises(ValueError, match='batch_size must be at least 1'):
        run(tmp_path / 'r.jsonl', Work(), batch_size=0)


def test_failures_are_logged_up_to_a_bound(tmp_path, caplog):
    names = [f'new\nline {number}' for number in range(MAX_LOGGED + 5)]
    with caplog.at_level(logging.WARNING):
        progress, _ = run(tmp_path / 'r.jsonl', Work(*names), names)
    assert progress.failed == len(names)
    messages = [entry.getMessage() for entry in caplog.records]
    assert len(messages) == MAX_LOGGED + 1
    assert messages[0] == r"skipped 'new\nline 0': e" and 'not logged' in messages[-1]


def test_words_that_are_left_out_are_logged(caplog):
    progress = Progress(1, 0, 0, io.StringIO())
    with caplog.at_level(logging.WARNING):
        progress.add([dict(img_path='a', words=[], invalid=['word 0: none', 'word 4: none'])])
    assert '2 words left out, word 0: none' in caplog.text
    assert progress.failed == 0 and progress.done == 1


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_rate_and_time_left(monkeypatch):
    now = [100.0]
    monkeypatch.setattr('time.monotonic', lambda: now[0])
    stream, terminal = io.StringIO(), Terminal()
    for place in (stream, terminal):
        now[0] = 100.0
        progress = Progress(1000, 200, 0, place)
        for _ in range(20):
            now[0] += 1
            progress.add([dict(img_path='a', words=[{}, {}])] * 2)
    assert '200 of 1,000 images were read before' in stream.getvalue()
    assert stream.getvalue().count('\n') == 3  # every ten seconds
    assert '240 of 1,000 images, 2.00 a second, 6 min 20 s left, 80 words' in stream.getvalue()
    assert terminal.getvalue().count('\r') == 20
    progress.finish()
    assert terminal.getvalue().endswith('80 words\n')


@pytest.mark.parametrize(
    ('seconds', 'text'),
    [
        (0, '0 s'),
        (59.6, '1 min 00 s'),
        (61, '1 min 01 s'),
        (3600, '1 h 00 min'),
        (90061, '25 h 01 min'),
    ],
)
def test_durations(seconds, text):
    assert _duration(seconds) == text
