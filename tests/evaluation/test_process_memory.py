import os
import subprocess
import sys

import pytest

from odm_mmocr.evaluation.process_memory import (
    MemorySample,
    measure_growth,
    read_memory,
    watch_command,
)

GROWING = """
import os, time
kept = []
for number in range(30):
    if not number and os.fork() == 0:
        time.sleep(1.4)
        os._exit(0)
    kept.append(b'x' * {size})
    time.sleep(0.05)
"""


def sample(seconds, main, *workers):
    return MemorySample(seconds, main, workers, main + sum(workers))


def test_a_process_and_its_children():
    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)'])
    try:
        found = list(read_memory(os.getpid()))
        assert found[0].pid == os.getpid()
        assert child.pid in [member.pid for member in found]
        assert all(0 < member.own <= member.proportional for member in found)
    finally:
        child.kill()
        child.wait()
    assert list(read_memory(child.pid)) == []


@pytest.mark.parametrize(('size', 'grows'), [(10_000_000, True), (1, False)])
def test_growth_is_seen_in_the_process_that_grows(size, grows):
    command = [sys.executable, '-c', GROWING.format(size=size)]
    status, samples = watch_command(command, interval=0.03)
    assert status == 0
    main, worker, total = measure_growth(samples, warm_up=0.3)
    assert (main.name, worker.name, total.name) == ('main', 'worker', 'total')
    assert (main.after - main.before > 100) is grows
    assert (total.after - total.before > 100) is grows
    assert abs(worker.share) < 0.2


def test_a_command_that_fails():
    status, samples = watch_command([sys.executable, '-c', 'raise SystemExit(3)'], 0.01)
    assert status == 3
    with pytest.raises(ValueError, match='are too few'):
        measure_growth(samples[:5], 0.0)
    with pytest.raises(OSError, match='no-such'):
        watch_command(['no-such-program'])
    with pytest.raises(ValueError, match='interval=0'):
        watch_command(['true'], 0)


def test_medians_by_hand():
    samples = [sample(second, 100 + second, 10, 20 + second) for second in range(20)]
    main, worker, total = measure_growth(samples, warm_up=10)
    assert (main.before, main.after) == (110.5, 118.5)
    assert (worker.before, worker.after) == (20.25, 24.25)
    assert total.share == pytest.approx((118.5 + 48.5) / (110.5 + 40.5) - 1)
