import json
import os
import subprocess
import sys
import threading
import time

import pytest

from odm_mmocr.benchmark import Recipe, Run
from odm_mmocr.benchmark.execution import Executor, locked

RUNS = [Run('a', 0.1, seed, Recipe()) for seed in range(3)]
# Counts how often it is made, then leaves a result.
SCRIPT = """
import json, os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
with open(folder / 'made', 'a') as file:
    file.write('x')
time.sleep({seconds})
print('a last word', flush=True)
if 'seed1' in folder.name and {failing}:
    sys.exit(3)
result = dict(threads=os.environ.get('OMP_NUM_THREADS'), config=(folder / 'config.py').read_text())
(folder / 'result.json').write_text(json.dumps(result))
"""


def executor(folder, jobs=1, seconds=0, failing=False):
    script = SCRIPT.format(seconds=seconds, failing=failing)
    command = (sys.executable, '-c', script)
    return Executor(folder, lambda run, path: f'name = {run.name!r}', jobs, command)


def test_each_run_is_made_once(tmp_path):
    told = []
    outcomes = executor(tmp_path).run_all(RUNS, told.append)
    assert [outcome.run for outcome in outcomes] == RUNS
    assert {outcome.run for outcome in told} == set(RUNS)
    assert outcomes[1].result['config'] == f'name = {RUNS[1].name!r}'
    again = executor(tmp_path).run_all(RUNS, told.append)
    assert [outcome.seconds for outcome in again] == [0, 0, 0]
    assert all((tmp_path / run.name / 'made').read_text() == 'x' for run in RUNS)


def test_failed_run_does_not_stop_the_others_and_is_tried_again(tmp_path):
    outcomes = executor(tmp_path, failing=True).run_all(RUNS, lambda _: None)
    assert [outcome.result is None for outcome in outcomes] == [False, True, False]
    assert 'exit status 3: a last word' in outcomes[1].error
    assert 'log.txt' in outcomes[1].error
    outcomes = executor(tmp_path).run_all(RUNS, lambda _: None)
    assert all(outcome.result for outcome in outcomes)
    assert (tmp_path / RUNS[0].name / 'made').read_text() == 'x'
    assert (tmp_path / RUNS[1].name / 'made').read_text() == 'xx'


def test_two_programs_share_the_runs(tmp_path):
    results = {}

    def work(name):
        results[name] = executor(tmp_path, seconds=0.3).run_all(RUNS, lambda _: None)

    threads = [threading.Thread(target=work, args=(name,)) for name in 'ab']
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert all((tmp_path / run.name / 'made').read_text() == 'x' for run in RUNS)
    assert all(outcome.result for name in 'ab' for outcome in results[name])


def test_what_follows_does_not_wait_for_another_program(tmp_path):
    folder = tmp_path / RUNS[0].name
    folder.mkdir()
    told = []

    def follow(outcome):
        told.append(outcome.run)
        return RUNS[2:] + RUNS[:1] if outcome.run == RUNS[1] else None

    with locked(folder / '.lock'):
        thread = threading.Thread(target=lambda: executor(tmp_path).run_all(RUNS[:2], follow))
        thread.start()
        end = time.monotonic() + 10
        while len(told) < 2 and time.monotonic() < end:
            time.sleep(0.02)
        assert told == [RUNS[1], RUNS[2]]
    thread.join(10)
    assert told == [RUNS[1], RUNS[2], RUNS[0]]


def test_runs_at_a_time_share_the_cores(tmp_path, monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    started = time.monotonic()
    outcomes = executor(tmp_path, jobs=3, seconds=1).run_all(RUNS, lambda _: None)
    assert time.monotonic() - started < 2.9
    if not __import__('torch').cuda.is_available():
        cores = len(os.sched_getaffinity(0))
        assert outcomes[0].result['threads'] == str(max(1, cores // 3))


def test_no_jobs(tmp_path):
    with pytest.raises(ValueError, match='jobs must be at least 1'):
        executor(tmp_path, jobs=0)


def test_stop_ends_the_processes_too(tmp_path):
    def stop(outcome):
        raise KeyboardInterrupt

    slow = [Run('b', 0.1, 0, Recipe())]
    with pytest.raises(KeyboardInterrupt):
        executor(tmp_path, jobs=2).run_all([*RUNS[:1], *slow], stop)
    alive = subprocess.run(
        ['pgrep', '-f', str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert not alive.stdout.strip()
    assert not list(tmp_path.glob('*/failure.txt'))  # stopped, not failed


def test_lock_outlives_the_program_that_is_killed(tmp_path):
    folder = tmp_path / RUNS[0].name
    program = (
        'import sys\nfrom pathlib import Path\n'
        'from odm_mmocr.benchmark import Recipe, Run\n'
        'from odm_mmocr.benchmark.execution import Executor\n'
        f'command = (sys.executable, "-c", {SCRIPT.format(seconds=4, failing=False)!r})\n'
        f'Executor(Path({str(tmp_path)!r}), lambda *_: "", 1, command).run_all('
        "[Run('a', 0.1, 0, Recipe())], print)"
    )
    process = subprocess.Popen([sys.executable, '-c', program])
    while not (folder / 'made').exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    (outcome,) = executor(tmp_path).run_all(RUNS[:1], lambda _: None)
    assert outcome.result['config'] == ''
    assert (folder / 'made').read_text() == 'x'


def test_stop_in_spite_of_another_program(tmp_path):
    folder = tmp_path / RUNS[0].name
    folder.mkdir()
    started = time.monotonic()

    def stop(outcome):
        raise KeyboardInterrupt

    with locked(folder / '.lock'), pytest.raises(KeyboardInterrupt):
        # The second run is made at once, the first is waited for.
        executor(tmp_path, jobs=2).run_all(RUNS[:2], stop)
    assert time.monotonic() - started < 10


def test_result_that_was_cut_off(tmp_path):
    folder = tmp_path / RUNS[0].name
    folder.mkdir()
    (folder / 'result.json').write_text('{"curve": ')
    with pytest.raises(ValueError, match=r'result\.json cannot be read.*remove it'):
        executor(tmp_path).run_all(RUNS[:1], lambda _: None)


def test_result_that_another_program_has_left(tmp_path):
    folder = tmp_path / RUNS[0].name
    folder.mkdir()
    (folder / 'result.json').write_text(json.dumps(dict(curve={})))
    (outcome,) = executor(tmp_path).run_all(RUNS[:1], lambda _: None)
    assert outcome.result == dict(curve={})
    assert not (folder / 'made').exists()


def test_reason_of_a_failure_stays_until_the_run_is_made(tmp_path):
    executor(tmp_path, failing=True).run_all(RUNS, lambda _: None)
    reason = tmp_path / RUNS[1].name / 'failure.txt'
    assert 'exit status 3: a last word' in reason.read_text()
    assert not (tmp_path / RUNS[0].name / 'failure.txt').exists()
    executor(tmp_path).run_all(RUNS, lambda _: None)
    assert not reason.exists()


def test_run_that_cannot_be_configured_fails_alone(tmp_path):
    def configure(run, folder):
        if run == RUNS[1]:
            raise FileNotFoundError('gone.pth does not exist')
        return ''

    command = (sys.executable, '-c', SCRIPT.format(seconds=0, failing=False))
    outcomes = Executor(tmp_path, configure, 1, command).run_all(RUNS, lambda _: None)
    assert [outcome.error for outcome in outcomes] == ['', 'gone.pth does not exist', '']
    assert not (tmp_path / RUNS[1].name / 'made').exists()
