"""Reading on a Ray cluster gives what reading in processes gives."""

import json
import sys
from functools import partial

import cv2
import numpy as np
import pytest

from odm_mmocr.pseudo_label import Labeller, RecordedReadings, open_source
from odm_mmocr.pseudo_label.ray_runner import read_with_ray
from odm_mmocr.pseudo_label.workers import read_in_processes

COUNT = 10


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    """Ten images, one of them damaged, names of all kinds, and what has been read in them."""
    folder = tmp_path_factory.mktemp('images')
    names = [f'word {i}.png' for i in range(COUNT - 2)] + ['zeile\n"1".png', 'zz_標識.png']
    with open(folder / 'recorded.jsonl', 'w') as file:
        for number, name in enumerate(names):
            picture = np.full((40, 60, 3), 20 * number, np.uint8)
            content = cv2.imencode('.png', picture)[1].tobytes()
            (folder / name).write_bytes(content if number != 3 else content[:40])
            words = [dict(text=f'w{number}', bbox=[5, 5, 50, 30], score=0.5)]
            file.write(json.dumps(dict(img_path=name, words=words)) + '\n')
    return folder


@pytest.fixture(scope='module')
def cluster():
    ray = pytest.importorskip('ray', reason='the extra "ray" is not installed')
    pytest.importorskip('pyarrow', reason='the extra "ray" is not installed')
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level='error')
    yield ray
    ray.shutdown()


def tasks_of(source, size):
    tasks = list(enumerate(source.names))
    return [tasks[i : i + size] for i in range(0, len(tasks), size)]


def in_order(batches):
    return sorted((r for records in batches for r in records), key=lambda record: record['index'])


@pytest.mark.slow
def test_two_workers_give_the_same_as_one_process(images, cluster):
    source = open_source(images)
    labeller = Labeller(source.with_names([]), partial(RecordedReadings, images / 'recorded.jsonl'))
    alone = in_order(read_in_processes(labeller, tasks_of(source, 3)))
    shared = in_order(read_with_ray(labeller, tasks_of(source, 2), workers=2))
    assert shared == alone
    assert [record['index'] for record in alone] == list(range(COUNT))
    assert [record['img_path'] for record in alone if 'error' in record] == ['word 3.png']
    assert list(read_with_ray(labeller, [], workers=2)) == []


@pytest.mark.slow
def test_an_engine_that_cannot_be_made_ends_the_job(images, cluster):
    source = open_source(images)
    labeller = Labeller(source, partial(RecordedReadings, images / 'nothing.jsonl'))
    with pytest.raises(RuntimeError, match=r'Ray job has failed: .*nothing\.jsonl'):
        list(read_with_ray(labeller, tasks_of(source, 5), workers=2))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ray', None)
    with pytest.raises(ImportError, match=r'ray; .*odm_mmocr\[ray\]'):
        list(read_with_ray(None, [[(0, 'a')]]))
