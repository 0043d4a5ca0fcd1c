"""Statistics of BatchNorm where several processes train."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmocr.registry import DATASETS, HOOKS, MODELS
from torch import nn
from torch.utils.data import Dataset

from odm_mmocr.engine import average_statistics
from odm_mmocr.structures import ODMDataSample

PROCESSES, ITERATIONS, INTERVAL, MOMENTUM, EMA = 2, 5, 2, 0.1, 0.25


@DATASETS.register_module(force=True)
class Alike(Dataset):
    """Samples whose numbers are all alike, others in each process."""

    metainfo = {}

    def __len__(self):
        return 8

    def __getitem__(self, index):
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        return dict(inputs=torch.full((3,), 1.0 + rank), data_samples=ODMDataSample())


@MODELS.register_module(force=True)
class OneNorm(BaseModel):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3, momentum=MOMENTUM)

    def forward(self, inputs, data_samples, mode='tensor'):
        drawn = self.norm(torch.stack(inputs))
        return dict(loss=drawn.square().mean()) if mode == 'loss' else data_samples


@HOOKS.register_module(force=True)
class Seen(Hook):
    """What a process has after each iteration, and at the begin of a validation."""

    priority = 'LOWEST'
    means = []
    at_validation = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.means.append(mean_of(runner.model))

    def before_val(self, runner):
        self.at_validation.append(mean_of(runner.model))


def mean_of(model):
    return next(m for m in model.modules() if isinstance(m, nn.BatchNorm1d)).running_mean.clone()


def train(folder):
    loader = dict(
        batch_size=2,
        num_workers=0,
        dataset=dict(type='Alike'),
        collate_fn=dict(type='pseudo_collate'),
    )
    config = dict(
        model=dict(type='OneNorm'),
        work_dir=str(folder),
        train_dataloader=dict(loader, sampler=dict(type='SeededInfiniteSampler')),
        val_dataloader=dict(loader, sampler=dict(type='DefaultSampler', shuffle=False)),
        val_cfg=dict(),
        val_evaluator=[],
        train_cfg=dict(
            type='ResumableIterTrainLoop', max_iters=ITERATIONS, val_interval=ITERATIONS
        ),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(
            checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=INTERVAL),
            sync_buffer=dict(type='AverageStatisticsHook'),
        ),
        custom_hooks=[dict(type='Seen'), dict(type='EMAHook', momentum=EMA, update_buffers=True)],
        log_processor=dict(by_epoch=False),
        log_level='WARNING',
        model_wrapper_cfg=dict(
            type='MMDistributedDataParallel', broadcast_buffers=False, device_ids=None
        ),
        launcher='pytorch' if torch.distributed.is_initialized() else 'none',
        default_scope='mmocr',
        experiment_name='statistics',
    )
    Runner.from_cfg(Config(config)).train()


def unequal():
    """A model with statistics that are this process's own, and such that are not."""
    model = nn.ModuleDict(
        dict(own=nn.BatchNorm2d(3), same=nn.SyncBatchNorm(2), group=nn.GroupNorm(2, 4))
    )
    rank = torch.distributed.get_rank()
    model.own.running_mean.copy_(torch.tensor([1.0, -2.0, 3.0]) + rank)
    model.own.num_batches_tracked.fill_(7 + rank)
    model.same.running_var.copy_(torch.tensor([0.1, 1e-30]))
    return model


def work(rank, folder):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(PROCESSES))
    torch.distributed.init_process_group(
        'gloo', f'file://{folder}/rendezvous', rank=rank, world_size=PROCESSES
    )
    model = unequal()
    average_statistics([model])
    train(folder / 'run')
    found = dict(model=model.state_dict(), means=Seen.means, at_validation=Seen.at_validation)
    torch.save(found, folder / f'{rank}.pth')
    torch.distributed.destroy_process_group()


@pytest.fixture(scope='module')
def found(tmp_path_factory):
    """What each process found, and the folder of their training."""
    folder = tmp_path_factory.mktemp('statistics')
    environment = dict(os.environ, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    workers = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), folder],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(PROCESSES)
    ]
    for worker in workers:
        told, _ = worker.communicate(timeout=300)
        assert worker.returncode == 0, told
    return [torch.load(folder / f'{rank}.pth') for rank in range(PROCESSES)], folder / 'run'


@pytest.mark.slow
def test_means_of_all_processes(found):
    for result in found[0]:
        model = result['model']
        assert model['own.running_mean'].tolist() == [1.5, -1.5, 3.5]
        assert model['own.num_batches_tracked'] == 7
        assert torch.equal(model['same.running_var'], torch.tensor([0.1, 1e-30]))


@pytest.mark.slow
def test_checkpoints_have_the_statistics_of_all_processes(found):
    results, folder = found
    whole = [(1 + PROCESSES) / 2 * (1 - (1 - MOMENTUM) ** (n + 1)) for n in range(ITERATIONS)]
    for number in range(ITERATIONS):
        each = [float(result['means'][number][0]) for result in results]
        assert sum(each) / PROCESSES == pytest.approx(whole[number])
        due = (number + 1) % INTERVAL == 0 or number + 1 == ITERATIONS
        assert (each[0] == each[1]) == due, number
    for iteration in (2, 4, 5):
        state = torch.load(folder / f'iter_{iteration}.pth', weights_only=False)
        wanted = pytest.approx([whole[iteration - 1]] * 3)
        # The trained weights: in a checkpoint they change places with their average.
        assert state['ema_state_dict']['module.norm.running_mean'].tolist() == wanted


@pytest.mark.slow
def test_averaged_weights_have_them_too(found):
    results, folder = found
    state = torch.load(folder / f'iter_{ITERATIONS}.pth', weights_only=False)
    first, *following = (sum(each) / PROCESSES for each in zip(*(r['means'] for r in results)))
    for mean in following:
        first = first.lerp(mean, EMA)
    torch.testing.assert_close(state['state_dict']['norm.running_mean'], first)
    trained = state['ema_state_dict']['module.norm.running_mean']
    assert trained.min() > first.max()


@pytest.mark.slow
def test_validation_has_them_too(found):
    first, second = (result['at_validation'] for result in found[0])
    assert len(first) == len(second) == 1
    assert torch.equal(first[0], second[0])


def test_one_process_keeps_its_own():
    model = nn.BatchNorm2d(3)
    model.running_mean.fill_(0.1)
    average_statistics([model])
    assert torch.equal(model.running_mean, torch.full((3,), 0.1))


if __name__ == '__main__':
    work(int(sys.argv[1]), Path(sys.argv[2]))
