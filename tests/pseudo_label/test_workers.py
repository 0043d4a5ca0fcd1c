"""A process that hangs or dies costs its image, and nothing stays behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from odm_mmocr.pseudo_label import ImageSource, read_images, read_in_processes
from odm_mmocr.pseudo_label.readings import iterate_records


def batches(names, size=1):
    tasks = list(enumerate(names))
    return [tasks[i : i + size] for i in range(0, len(tasks), size)]


def by_name(read):
    records = [record for batch in read for record in batch]
    named = {record['img_path']: record for record in records}
    assert len(named) == len(records)  # nothing twice
    return named


def assert_gone(processes, seconds=10):
    end = time.monotonic() + seconds
    for process in processes:
        while True:
            try:
                os.kill(process, 0)
            except ProcessLookupError:
                break
            assert time.monotonic() < end, f'process {process} is still there'
            time.sleep(0.02)
    assert not multiprocessing.active_children()


REASONS = {
    'hangs': 'no answer within 1 seconds',
    'killed': 'died (SIGKILL)',
    'crashes': 'died (SIGSEGV)',
    'exits': 'died (exit status 3)',
    'leaves': 'died (exit status 4)',
    'raises': 'RuntimeError: the lamp is broken',
    'ends': 'EOFError: no more',
    'returns None': 'TypeError',
    'returns too many': 'expected 1 records of a batch, found 9',
    'returns what does not travel': 'died (exit status 1)',
}


@pytest.mark.parametrize('size', [1, pytest.param(4, marks=pytest.mark.slow)])
def test_faults_cost_their_image_only(faulty_work, size):
    assert set(REASONS) == set(faulty_work.FAULTS)
    names = []
    for number, fault in enumerate(REASONS):
        names += [f'{number}a', fault, f'{number}b']
    read = by_name(read_in_processes(faulty_work.work, batches(names, size), 2, timeout=1.0))
    assert set(read) == set(names)
    assert [read[name]['index'] for name in names] == list(range(len(names)))
    for name, record in read.items():
        if name in REASONS:
            assert REASONS[name] in record['error'] and '\n' not in record['error']
        else:
            assert 'error' not in record
    assert_gone({record['process'] for record in read.values() if 'process' in record})


def test_all_workers_work_and_end(faulty_work):
    names = [f'{number}.jpg' for number in range(40)]
    read = by_name(read_in_processes(faulty_work.work, batches(names, 3), 3, timeout=None))
    assert set(read) == set(names)
    processes = {record['process'] for record in read.values()}
    assert os.getpid() not in processes and 1 <= len(processes) <= 3
    assert_gone(processes)


def test_work_is_prepared_first(faulty_work):
    read = by_name(read_in_processes(faulty_work.Prepared('well'), batches('ab')))
    assert all(record['ready'] for record in read.values())


@pytest.mark.parametrize(
    ('how', 'message'),
    [('raises', 'ImportError: there is no engine'), ('exits', 'while it started .exit status 5.')],
)
def test_work_that_cannot_be_prepared_ends_the_run(faulty_work, how, message):
    with pytest.raises(RuntimeError, match=message):
        list(read_in_processes(faulty_work.Prepared(how), batches('abcdef'), 2))
    assert_gone([])


def test_an_image_is_not_blamed_for_a_process_that_died_before(faulty_work):
    read = read_in_processes(faulty_work.DiesBetween(), batches('abc'))
    records = []
    for batch in read:
        records += batch
        time.sleep(0.6)  # the process is dead when it is given the next
    assert [record['img_path'] for record in records] == list('abc')
    assert not any('error' in record for record in records)


def test_who_stops_early_leaves_nothing_behind(faulty_work):
    read = read_in_processes(faulty_work.work, batches(['a', 'hangs', 'hangs']), 2, timeout=None)
    (record,) = next(read)
    started = time.monotonic()
    read.close()
    assert time.monotonic() - started < 5
    assert_gone([record['process']])


def test_nothing_to_do_starts_nothing(faulty_work):
    assert list(read_in_processes(faulty_work.Prepared('raises'), [])) == []


@pytest.mark.parametrize('settings', [dict(workers=0), dict(timeout=0), dict(timeout=-1.0)])
def test_settings_out_of_range(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        list(read_in_processes(len, [], **settings))


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from faulty_work import SlowWork
from odm_mmocr.pseudo_label import ImageSource, read_images, read_in_processes
from odm_mmocr.pseudo_label.readings import iterate_records

def read(work, batches):
    return read_in_processes(work, batches, 2, None)

if __name__ == '__main__':
    folder = Path(sys.argv[1])
    source = ImageSource('', [f'{i}.jpg' for i in range(int(sys.argv[3]))])
    read_images(source, SlowWork(folder), folder / 'readings.jsonl', {}, runner=read)
"""


@pytest.mark.slow
def test_killed_with_its_workers_and_gone_on(tmp_path, faulty_work):
    """Also the worker that hangs ends with the process that was killed."""
    count = 100
    script = tmp_path / 'script.py'
    script.write_text(SCRIPT)
    readings = tmp_path / 'readings.jsonl'
    arguments = [tmp_path, Path(faulty_work.__file__).parent, count]
    with subprocess.Popen(
        [sys.executable, str(script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        end = time.monotonic() + 120
        while not readings.exists() or readings.read_bytes().count(b'\n') < 10:
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < end
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    workers = [int(path.stem) for path in tmp_path.glob('*.pid')]
    assert len(workers) == 2
    assert_gone(workers)

    source = ImageSource('', [f'{i}.jpg' for i in range(count)])
    progress = read_images(
        source,
        faulty_work.SlowWork(tmp_path),
        readings,
        {},
        runner=lambda work, batches: read_in_processes(work, batches, 2, 1.0),
    )
    assert progress.before >= 9 and progress.failed == 1
    records = [record for _, record in iterate_records(readings)]
    assert sorted(record['index'] for record in records) == list(range(count))
    assert [record['index'] for record in records if 'error' in record] == [0]
