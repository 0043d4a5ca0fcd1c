from typing import ClassVar

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmocr.registry import DATASETS, METRICS
from torch.utils.data import Dataset

from odm_mmocr.structures import ODMDataSample


def test_resuming_goes_on_at_the_right_sample(make_runner, tmp_path):
    unbroken = make_runner(9)
    unbroken.train()
    whole, weight = unbroken.model.seen, unbroken.model.weight.item()
    assert len({value for batch in whole for value in batch}) > 20  # new noise in each epoch

    for workers in (0, 2):
        resumed = make_runner(
            9, workers, resume=True, load_from=str(tmp_path / 'run' / 'iter_4.pth')
        )
        resumed.train()
        assert resumed.model.seen == whole[4:]
        assert resumed.model.weight.item() == weight


def test_late_resuming_takes_no_time(make_runner, tmp_path, monkeypatch):
    make_runner(2).train()
    path = tmp_path / 'run' / 'iter_2.pth'
    checkpoint = torch.load(path)
    checkpoint['meta']['iter'] = 50_000
    torch.save(checkpoint, path)
    runner = make_runner(50_001, resume=True, load_from=str(path))
    samples = DATASETS.get('CountedSamples')
    taken, load = [], samples.__getitem__
    monkeypatch.setattr(
        samples, '__getitem__', lambda self, index: taken.append(index) or load(self, index)
    )
    runner.train()
    assert len(runner.model.seen) == 1
    assert 3 <= len(taken) < 10  # a batch, and what stands in for a sample that is broken


def test_a_sampler_that_cannot_seek_is_named(make_runner, tmp_path):
    make_runner(2).train()
    runner = make_runner(4, resume=True, load_from=str(tmp_path / 'run' / 'iter_2.pth'))
    runner._train_dataloader['sampler'] = dict(type='InfiniteSampler')
    with pytest.raises(TypeError, match='InfiniteSampler cannot seek'):
        runner.train()


@pytest.mark.parametrize(
    ('workers', 'error', 'expected', 'message'),
    [
        (2, ConnectionResetError('gone'), RuntimeError, 'DataLoader worker was killed'),
        (2, EOFError(), RuntimeError, 'DataLoader worker was killed'),
        (2, OSError('Caught OSError in DataLoader worker process 0.'), OSError, 'process 0'),
        (0, FileNotFoundError('a.jpg'), FileNotFoundError, 'a.jpg'),
    ],
)
def test_a_worker_that_goes_while_it_hands_over(make_runner, workers, error, expected, message):
    def broken():
        raise error
        yield

    runner = make_runner(3, workers)
    runner.train_loop.dataloader_iterator = broken()
    with pytest.raises(expected, match=message):
        runner.train()


@DATASETS.register_module()
class OneSample(Dataset):
    metainfo: ClassVar[dict] = {}

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return dict(inputs=torch.zeros(1), data_samples=ODMDataSample())


@METRICS.register_module()
class Nothing(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        return {}


class Interrupted(Hook):
    """Notes where it was validated; the first time at iteration 4 there comes a stop."""

    def __init__(self):
        self.validated = []

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 4 and 'stop' not in self.validated:
            self.validated.append('stop')
            raise KeyboardInterrupt

    def after_val_epoch(self, runner, metrics=None):
        self.validated.append(runner.iter)


def test_validation_that_was_cut_off_is_made_up_for_once(make_runner, tmp_path):
    loader = dict(
        batch_size=1,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(type='OneSample'),
        collate_fn=dict(type='pseudo_collate'),
    )
    validation = dict(
        val_cfg=dict(),
        val_dataloader=loader,
        val_evaluator=dict(type='Nothing'),
        train_cfg=dict(type='ResumableIterTrainLoop', max_iters=6, val_interval=2),
    )
    hook = Interrupted()

    def train(resumed=None):
        changes = dict(resume=True, load_from=str(tmp_path / 'run' / resumed)) if resumed else {}
        runner = make_runner(6, **validation, **changes)
        runner.register_hook(hook)
        runner.train()

    with pytest.raises(KeyboardInterrupt):
        train()
    assert hook.validated == [2, 'stop']
    train('iter_4.pth')
    assert hook.validated == [2, 'stop', 4, 6]
    train('iter_6.pth')
    assert hook.validated == [2, 'stop', 4, 6]
    train()  # anew in the same folder
    assert hook.validated == [2, 'stop', 4, 6, 2, 4, 6]
