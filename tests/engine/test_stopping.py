"""Signals and kills, on processes of their own: `python test_stopping.py …` is such a process."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.runner import Runner
from mmocr.registry import DATASETS, HOOKS, METRICS, MODELS
from torch import nn
from torch.utils.data import Dataset

import odm_mmocr  # noqa: F401, registers
from odm_mmocr.checkpoints import latest_checkpoint, load_checkpoint
from odm_mmocr.engine import StopSignalHook

KILLS = int(os.environ.get('ODM_TEST_KILLS', '10'))


@DATASETS.register_module(force=True)
class Noise(Dataset):
    metainfo = {}

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return dict(inputs=torch.rand(2) + index)


@MODELS.register_module(force=True)
class DrawingModel(BaseModel):
    """Some milliseconds a step; what it draws at random counts."""

    def __init__(self, pause=0.005):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 1)
        )
        self.pause = pause

    def forward(self, inputs, mode='tensor'):
        time.sleep(self.pause)
        drawn = self.layers(torch.stack(inputs) / 10)
        return dict(loss=drawn.square().mean()) if mode == 'loss' else list(drawn)


@METRICS.register_module(force=True)
class NoMetric(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        return dict(count=len(results))


@HOOKS.register_module(force=True)
class LossFile(Hook):
    """Appends every loss, with all its digits."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        with open(Path(runner.work_dir, 'losses.txt'), 'a') as file:
            file.write(f'{runner.iter} {outputs["loss"].item().hex()}\n')


def build(folder, iterations, workers=1, interval=7, **changes):
    loader = dict(
        batch_size=3,
        num_workers=workers,
        sampler=dict(type='SeededInfiniteSampler'),
        dataset=dict(type='SeededDataset', dataset=dict(type='Noise')),
        collate_fn=dict(type='pseudo_collate'),
    )
    last = latest_checkpoint(folder)
    config = dict(
        model=dict(type='DrawingModel'),
        work_dir=str(folder),
        train_dataloader=loader,
        train_cfg=dict(type='ResumableIterTrainLoop', max_iters=iterations, val_interval=1000),
        optim_wrapper=dict(type='FiniteOptimWrapper', optimizer=dict(type='AdamW', lr=0.01)),
        param_scheduler=dict(type='CosineAnnealingLR', by_epoch=False, T_max=1000),
        default_hooks=dict(
            checkpoint=dict(
                type='AtomicCheckpointHook', by_epoch=False, interval=interval, max_keep_ckpts=1
            )
        ),
        custom_hooks=[dict(type='EMAHook'), dict(type='LossFile'), dict(type='StopSignalHook')],
        log_processor=dict(by_epoch=False),
        log_level='WARNING',
        randomness=dict(seed=0),
        default_scope='mmocr',
        experiment_name=f'run-{time.time_ns()}',
        resume=last is not None,
        load_from=str(last) if last else None,
    )
    config.update(changes)
    return Runner.from_cfg(Config(config))


def with_validation():
    return dict(
        val_dataloader=dict(
            batch_size=1,
            num_workers=1,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='Noise'),
            collate_fn=dict(type='pseudo_collate'),
        ),
        val_cfg=dict(),
        val_evaluator=dict(type='NoMetric'),
        train_cfg=dict(type='ResumableIterTrainLoop', max_iters=1000, val_interval=4),
        model=dict(type='DrawingModel', pause=0.3),
    )


def losses(folder):
    """Of each iteration the losses of all times it was done."""
    found = {}
    for line in (folder / 'losses.txt').read_text().splitlines():
        iteration, loss = line.split()
        found.setdefault(int(iteration), set()).add(loss)
    return found


def weights(folder, iteration):
    checkpoint = load_checkpoint(folder / f'iter_{iteration}.pth')
    return {**checkpoint['state_dict'], **checkpoint['ema_state_dict']}


@pytest.fixture
def run():
    """Function that starts such a process; it ends with the test."""
    processes = []

    def start(kind, folder, *numbers):
        process = subprocess.Popen(
            [sys.executable, __file__, kind, str(folder), *map(str, numbers)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def wait_for_iteration(folder, iteration, process):
    end = time.time() + 60
    while not (folder / 'losses.txt').exists() or max(losses(folder), default=-1) < iteration:
        assert process.poll() is None, process.stdout.read()
        assert time.time() < end
        time.sleep(0.01)


def assert_like_unbroken(folder, tmp_path):
    """All losses, also of steps done again, and the last weights are those of an unbroken run."""
    found = losses(folder)
    iterations = len(found)
    build(tmp_path / 'unbroken', iterations, workers=0).train()
    assert found == losses(tmp_path / 'unbroken')
    one, other = weights(folder, iterations), weights(tmp_path / 'unbroken', iterations)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['SIGTERM', 'SIGUSR1'])
def test_a_signal_to_the_whole_job(run, tmp_path, name):
    folder = tmp_path / 'run'
    process = run('train', folder, 1000)
    wait_for_iteration(folder, 3, process)
    os.killpg(process.pid, getattr(signal, name))  # the loader's worker gets it as well
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + getattr(signal, name), output
    reached = max(losses(folder)) + 1
    last = folder / f'iter_{reached}.pth'
    assert f'{name}: saved {last}; --resume goes on' in output
    assert 'Error' not in output
    assert latest_checkpoint(folder) == last
    assert weights(folder, reached)
    build(folder, reached + 20).train()
    assert_like_unbroken(folder, tmp_path)


@pytest.mark.slow
def test_a_signal_in_the_middle_of_a_validation(run, tmp_path):
    folder = tmp_path / 'run'
    process = run('validate', folder, 1000)
    wait_for_iteration(folder, 3, process)
    time.sleep(0.8)
    os.killpg(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 143, output
    assert max(losses(folder)) == 3
    assert latest_checkpoint(folder).name == 'iter_4.pth'
    build(folder, 20).train()
    assert_like_unbroken(folder, tmp_path)  # the averaged weights too


@pytest.mark.slow
def test_processes_leave_after_the_same_step(run, tmp_path):
    folder = tmp_path / 'run'
    processes = [run('join', folder, 1000, rank) for rank in range(2)]
    wait_for_iteration(folder, 3, processes[0])
    os.kill(processes[1].pid, signal.SIGTERM)  # the one that does not save
    outputs = [process.communicate(timeout=30)[0] for process in processes]
    assert [process.returncode for process in processes] == [143, 143], outputs
    reached = max(losses(folder)) + 1
    assert latest_checkpoint(folder).name == f'iter_{reached}.pth'
    assert max(losses(folder / 'rank1')) + 1 == reached


@pytest.mark.slow
def test_processes_that_see_different_checkpoints(run, tmp_path):
    build(tmp_path / 'apart0', 8, interval=8).train()
    processes = [run('join', tmp_path / f'apart{rank}', 20, rank) for rank in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert all(process.returncode for process in processes)
    assert all('different iterations, [8, 0]' in output for output in outputs), outputs
    assert not (tmp_path / 'apart1' / 'losses.txt').exists()


@pytest.mark.slow
def test_killed_at_random_moments(run, tmp_path):
    folder = tmp_path / 'run'
    iterations = 200 * KILLS
    process = run('kill', folder, iterations, KILLS)
    output, _ = process.communicate(timeout=60 + 10 * KILLS)
    assert process.returncode == 0, output
    killed = json.loads(output.splitlines()[-1])
    assert killed['in training'] >= KILLS // 3, killed
    assert len(losses(folder)) == iterations
    assert_like_unbroken(folder, tmp_path)


def test_unknown_signal():
    with pytest.raises(ValueError, match='SIGHOPE'):
        StopSignalHook(signals=['SIGTERM', 'SIGHOPE'])


def test_hooks_that_do_not_fit(tmp_path):
    checkpoint = dict(type='CheckpointHook', by_epoch=True, interval=1)
    with pytest.raises(ValueError, match='by_epoch=False'):
        build(tmp_path, 3, default_hooks=dict(checkpoint=checkpoint)).train()
    with pytest.raises(ValueError, match='EpochBasedTrainLoop counts epochs'):
        build(tmp_path, 3, train_cfg=dict(by_epoch=True, max_epochs=1)).train()


def test_signals_are_as_before_after_training(tmp_path):
    former = signal.getsignal(signal.SIGTERM)
    build(tmp_path, 2, workers=0).train()
    assert signal.getsignal(signal.SIGTERM) is former


def kill_again_and_again(folder, iterations, kills):
    """Train in forks, each killed at a random moment; then to the end."""
    random.seed(0)
    file = folder / 'losses.txt'
    longest = None
    in_training = 0
    for _ in range(kills):
        began, size = time.monotonic(), file.stat().st_size if longest else 0
        process = fork(folder, iterations)
        if longest is None:  # how long it takes until the first step
            while not file.exists():
                time.sleep(0.01)
            longest = 2 * (time.monotonic() - began) + 0.5
        else:
            time.sleep(random.uniform(0, longest))
        done, status = os.waitpid(process, os.WNOHANG)
        assert not done, f'ended by itself: {status}'
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
        in_training += file.stat().st_size > size
    _, status = os.waitpid(fork(folder, iterations), 0)
    assert status == 0
    print(json.dumps({'killed': kills, 'in training': in_training}))


def fork(folder, iterations):
    """Start a training as the leader of a group of its own."""
    process = os.fork()
    if not process:
        os.setsid()
        try:
            build(folder, iterations).train()
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    return process


if __name__ == '__main__':
    kind, folder, *numbers = sys.argv[1:]
    folder, numbers = Path(folder), [int(number) for number in numbers]
    if kind == 'train':
        build(folder, numbers[0]).train()
    elif kind == 'validate':
        build(folder, numbers[0], **with_validation()).train()
    elif kind == 'join':
        rank = numbers[1]
        folder.mkdir(parents=True, exist_ok=True)
        torch.distributed.init_process_group(
            'gloo', f'file://{folder.parent}/rendezvous', rank=rank, world_size=2
        )
        wrapper = dict(type='MMDistributedDataParallel', device_ids=None)
        os.environ['LOCAL_RANK'] = str(rank)
        joined = dict(launcher='pytorch', model_wrapper_cfg=wrapper)
        runner = build(folder, numbers[0], **joined)
        assert is_model_wrapper(runner.model)
        if rank:
            (folder / 'rank1').mkdir(exist_ok=True)
            runner._work_dir = str(folder / 'rank1')
        runner.train()
    else:
        kill_again_and_again(folder, *numbers)
