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

from odm_mmocr.checkpoints import load_checkpoint

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
def test_a_stopped_run_ends_as_an_unbroken_one(tmp_path):
    process = start(tmp_path / 'stopped', 9)
    wait_for(tmp_path / 'stopped' / 'last_checkpoint', process)
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143, output
    assert 'SIGTERM: saved' in output
    last = Path((tmp_path / 'stopped' / 'last_checkpoint').read_text())
    assert 3 <= torch.load(last, weights_only=False)['meta']['iter'] < 9
    # With another number of workers: samples do not depend on it.
    again = [*command(tmp_path / 'stopped', 9, '--resume'), 'train_dataloader.num_workers=0']
    subprocess.run(again, check=True, capture_output=True, timeout=120)
    subprocess.run(command(tmp_path / 'unbroken', 9), check=True, capture_output=True, timeout=120)
    one, other = (load_checkpoint(tmp_path / run / 'iter_9.pth') for run in ('stopped', 'unbroken'))
    assert one['state_dict'].keys() == other['state_dict'].keys()
    for name, tensor in one['state_dict'].items():
        assert torch.equal(tensor, other['state_dict'][name]), name
    histories = [
        {
            name: history.data[0].tolist()
            for name, history in checkpoint['message_hub']['log_scalars'].items()
            if 'loss' in name
        }
        for checkpoint in (one, other)
    ]
    assert len(histories[0]['train/loss']) == 9
    assert histories[0] == histories[1]


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
