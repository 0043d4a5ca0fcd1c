"""A real training process that is killed, or whose worker is killed."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = [
    'train_dataloader.batch_size=2',
    'train_dataloader.num_workers=1',
    'default_hooks.checkpoint.interval=3',
    'default_hooks.logger.interval=1',
    'param_scheduler.0.end=2',
    'param_scheduler.1.begin=2',
    'train_cfg.val_interval=1000',
]


def command(folder, iterations, *more):
    return [
        sys.executable,
        str(ROOT / 'tools' / 'train.py'),
        str(ROOT / 'configs' / 'odm_pretrain_quickstart.py'),
        '--work-dir',
        str(folder),
        *more,
        '--cfg-options',
        *OPTIONS,
        f'train_cfg.max_iters={iterations}',
    ]


def start(folder, iterations):
    return subprocess.Popen(
        command(folder, iterations), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for(path, process, seconds=120):
    end = time.time() + seconds
    while not path.exists():
        assert process.poll() is None, process.stdout.read()
        assert time.time() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_killed_and_resumed(tmp_path):
    process = start(tmp_path, 1000)
    wait_for(tmp_path / 'last_checkpoint', process)
    process.kill()
    process.wait()
    last = Path((tmp_path / 'last_checkpoint').read_text())
    reached = torch.load(last, weights_only=False)['meta']['iter']

    result = subprocess.run(
        command(tmp_path, reached + 2, '--resume'), capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert f'Data go on at iteration {reached}, nothing is replayed' in result.stdout
    done = [int(n) for n in re.findall(r'Iter\(train\) \[ *(\d+)/', result.stdout)]
    assert done == [reached + 1, reached + 2]
    # What the killed process has left behind is whole.
    assert all(torch.load(p, weights_only=False) for p in tmp_path.glob('*.pth'))


@pytest.mark.slow
def test_a_killed_worker_ends_training_with_its_name(tmp_path):
    process = start(tmp_path, 1000)
    wait_for(tmp_path / 'last_checkpoint', process)
    children = subprocess.run(
        ['ps', '-o', 'pid=', '--ppid', str(process.pid)], capture_output=True, text=True
    ).stdout.split()
    os.kill(int(children[0]), signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert re.search(r'DataLoader worker.* (killed|exited)', output), output[-500:]
    last = Path((tmp_path / 'last_checkpoint').read_text())
    assert torch.load(last, weights_only=False)['state_dict']
