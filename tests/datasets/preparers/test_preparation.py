"""Splits from reader to files, whatever the data set."""

import fcntl
import json
from pathlib import Path

import pytest

pytest.importorskip('mmocr')

from odm_mmocr.datasets.preparers import (
    ImageAnnotation,
    PreparationError,
    SplitReader,
    prepare_splits,
    writing,
)

WORD = dict(poly=[1, 2, 9, 2, 9, 7, 1, 7], text='word', ignore=False)


class Reader(SplitReader):
    """Reads the annotations given; `fail_at` raises at that image."""

    def __init__(self, annotations, fail_at=None, settings=None, error=None):
        self.annotations = annotations
        self.fail_at = fail_at
        self.error = error or OSError('disk is gone')
        self._settings = settings

    def __len__(self):
        return len(self.annotations)

    def read(self, start):
        for i in range(start, len(self.annotations)):
            if i == self.fail_at:
                raise self.error
            yield self.annotations[i]

    def settings(self):
        return self._settings


@pytest.fixture
def annotations(tmp_path, picture):
    return [
        ImageAnnotation(picture(tmp_path / 'images' / f'{i}.png'), [WORD] * i) for i in range(3)
    ]


@pytest.fixture
def out(tmp_path):
    return tmp_path / 'out'


def test_both_annotations_and_nothing_else_are_written(annotations, out, written):
    told = []
    report = prepare_splits(
        {'train': Reader(annotations)}, out, progress=lambda *state: told.append(state)
    )
    assert told == [('train', 1, 3), ('train', 2, 3), ('train', 3, 3)]
    assert report.counts['train'] == {'images': 3, 'words': 3, 'readable': 3}
    assert sorted(out.iterdir()) == report.written
    spotting, detection = written(out, 'textspotting_train'), written(out, 'textdet_train')
    assert [len(image['instances']) for image in spotting] == [0, 1, 2]
    for image in spotting:
        for instance in image['instances']:
            assert instance.pop('text') == 'word'
    assert spotting == detection
    assert (out / detection[0]['img_path']).resolve() == annotations[0].path
    for name, task in (('textspotting', 'textspotting'), ('textdet', 'textdet')):
        content = json.loads((out / f'{name}_train.json').read_text())
        assert content['metainfo']['task_name'] == task
        assert content['metainfo']['category'] == [{'id': 0, 'name': 'text'}]


def test_no_images_make_an_annotation_without_images(out, written):
    prepare_splits({'train': Reader([])}, out)
    assert written(out, 'textdet_train') == []


def test_a_failure_leaves_the_old_annotations_and_no_rest(annotations, out):
    prepare_splits({'train': Reader(annotations[:1]), 'test': Reader(annotations[:1])}, out)
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(OSError, match='disk is gone'):
        prepare_splits({'train': Reader(annotations), 'test': Reader(annotations, fail_at=1)}, out)
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_a_full_disk_leaves_the_old_annotations(annotations, out, monkeypatch):
    prepare_splits({'train': Reader(annotations[:1])}, out)
    before = {path: path.read_bytes() for path in out.iterdir()}

    def fill(self, packed):
        raise OSError('No space left on device')

    monkeypatch.setattr(writing.SplitWriter, 'write', fill)
    with pytest.raises(OSError, match='No space'):
        prepare_splits({'train': Reader(annotations)}, out)
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_what_is_there_is_kept_unless_it_may_be_overwritten(annotations, out):
    prepare_splits({'train': Reader(annotations[:1])}, out)
    files = sorted(out.iterdir())
    report = prepare_splits({'train': Reader(annotations)}, out, overwrite=False)
    assert (sorted(report.kept), report.written, report.counts) == (files, [], {})
    files[0].unlink()  # half of it is not there: made anew
    report = prepare_splits({'train': Reader(annotations)}, out, overwrite=False)
    assert report.kept == []
    assert report.counts['train']['images'] == 3


def test_problems_stop_it_unless_skipped(annotations, out):
    absent = ImageAnnotation(Path('absent.png'), [WORD])
    odd = annotations[1]._replace(problems=['a.txt:3: odd'])
    reader = Reader([annotations[0], odd, absent])
    reader.problems = ['b.txt: there is no image for it']
    report = prepare_splits({'train': reader}, out)
    assert report.problems[:2] == [*reader.problems, 'a.txt:3: odd']
    assert report.problems[2].startswith('absent.png: expected an image')
    assert report.written == []
    assert list(out.iterdir()) == []
    report = prepare_splits({'train': reader}, out, skip_malformed=True)
    assert len(report.problems) == 3
    assert report.counts['train']['images'] == 2


def test_what_is_left_out_is_counted_and_no_problem(annotations, out):
    bad = ImageAnnotation(None, [], left_out={'kind': 2}, found={'images': 1, 'words': 5})
    report = prepare_splits({'train': Reader([*annotations, bad])}, out)
    assert report.problems == []
    assert report.left_out['train'] == {'kind': 2}
    assert report.counts['train']['images'] == 3
    assert report.found['train'] == {'images': 4, 'words': 8, 'readable': 3}
    assert report.compare({'train': {'images': 4, 'words': 9}}) == [
        'train: 8 words, published are 9'
    ]


def test_only_long_splits_are_gone_on_with(annotations, out):
    for settings, left in ((None, False), ({'size': 1}, True)):
        with pytest.raises(OSError, match='disk is gone'):
            prepare_splits({'train': Reader(annotations, 2, settings)}, out)
        assert any(out.iterdir()) == left
    again = [None, None, annotations[2]]  # those before are not read again
    report = prepare_splits({'train': Reader(again, settings={'size': 1})}, out)
    assert report.counts['train'] == {'images': 3, 'words': 3, 'readable': 3}


def test_a_run_with_problems_is_not_gone_on_with(annotations, out):
    annotations[0] = annotations[0]._replace(problems=['odd'])
    with pytest.raises(OSError, match='disk is gone'):
        prepare_splits({'train': Reader(annotations, 2, {})}, out)
    mended = [annotations[0]._replace(problems=[]), *annotations[1:]]
    report = prepare_splits({'train': Reader(mended, settings={})}, out)
    assert report.problems == []
    assert len(report.written) == 2


def test_state_is_safe_before_the_end(annotations, out, monkeypatch):
    monkeypatch.setattr(writing, '_SAFE_SECONDS', 0)
    monkeypatch.setattr(writing.SplitWriter, 'close', lambda self: None)  # as if killed
    with pytest.raises(OSError, match='disk is gone'):
        prepare_splits({'train': Reader(annotations, 2, {})}, out)
    assert json.loads((out / 'train.progress.json').read_text())['state']['done'] == 2


def test_a_reader_that_gives_up_leaves_nothing(annotations, out):
    reader = Reader(annotations, 2, {}, PreparationError('no images at all'))
    with pytest.raises(PreparationError, match='no images'):
        prepare_splits({'train': reader}, out)
    assert list(out.iterdir()) == []


def test_two_processes_do_not_write_the_same(annotations, out):
    out.mkdir()
    with open(out / 'textdet_train.json.partial', 'ab') as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError, match='another process writes'):
            prepare_splits({'train': Reader(annotations)}, out)
    assert len(prepare_splits({'train': Reader(annotations)}, out).written) == 2
