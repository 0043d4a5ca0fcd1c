import json
import logging
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.optim import AmpOptimWrapper
from mmengine.structures import PixelData
from mmocr.registry import DATASETS, MODELS
from torch import nn
from torch.utils.data import Dataset

from odm_mmocr.engine import (
    DeferredRuntimeInfoHook,
    FiniteOptimWrapper,
    FiniteStepsHook,
    load_bad_batch,
)
from odm_mmocr.engine.finite_steps import from_plain, to_plain
from odm_mmocr.structures import ODMDataSample


class Normed(BaseModel):
    """A weight behind BatchNorm; a sample of NaN or infinity makes its loss so."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(1)
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, inputs, data_samples=None, mode='loss'):
        return dict(loss=(self.norm(inputs) * self.weight).square().sum())


def state(model, wrapper):
    optimizer = wrapper.optimizer.state_dict()['state']
    return [
        *(tensor.clone() for tensor in model.state_dict().values()),
        *(torch.as_tensor(v).clone() for entry in optimizer.values() for v in entry.values()),
    ]


def same(one, other):
    return len(one) == len(other) and all(map(torch.equal, one, other))


def build(model, fused=False, **settings):
    optimizer = torch.optim.AdamW(model.parameters(), 0.1, fused=fused)
    return FiniteOptimWrapper(optimizer=optimizer, **settings)


def step(model, wrapper, *values):
    return model.train_step(dict(inputs=torch.tensor(values)[:, None]), wrapper)


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
@pytest.mark.parametrize('fused', [False, True])
@pytest.mark.parametrize('settings', [{}, dict(clip_grad=dict(max_norm=1.0))])
def test_a_bad_step_changes_nothing(bad, fused, settings):
    model = Normed()
    wrapper = build(model, fused, **settings)
    step(model, wrapper, 1.0, 2.0)
    before = state(model, wrapper)
    for count in (1, 2):
        step(model, wrapper, 1.0, bad)
        assert wrapper.skipped == count
        assert same(state(model, wrapper), before)
    step(model, wrapper, 1.0, 2.0)
    assert wrapper.take_results(wait=False) == [False, True, True, False]
    assert wrapper.take_results(wait=True) == []
    assert (wrapper.skipped, wrapper.steps) == (2, 4)
    assert not same(state(model, wrapper), before)


def test_the_gradient_alone_can_be_bad():
    model = nn.Linear(1, 1)
    wrapper = build(model)
    loss = model(torch.zeros(1, 1)).sum()
    wrapper.update_params((loss - loss.detach()).abs().sqrt())  # 0, with infinite slope
    assert wrapper.skipped == 1
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_large_gradients_are_finite():
    model = nn.Linear(1, 1)
    wrapper = build(model)
    wrapper.update_params(model(torch.full((1, 1), 1e30)).sum())
    assert wrapper.skipped == 0


def test_a_bad_part_spoils_its_accumulation_alone():
    model = Normed()
    wrapper = build(model, accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 10)
    before = state(model, wrapper)
    step(model, wrapper, 1.0, float('nan'))
    step(model, wrapper, 1.0, 2.0)
    assert wrapper.skipped == 1
    assert same(state(model, wrapper), before)
    step(model, wrapper, 1.0, 2.0)
    step(model, wrapper, 3.0, 2.0)
    assert wrapper.skipped == 1
    assert not same(state(model, wrapper), before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')
def test_an_overflow_is_left_to_the_scaler():
    from odm_mmocr.engine import FiniteAmpOptimWrapper

    model = nn.Linear(1, 1).cuda()
    wrapper = FiniteAmpOptimWrapper(
        optimizer=torch.optim.SGD(model.parameters(), 0.1), dtype='float16', loss_scale='dynamic'
    )
    assert isinstance(wrapper, AmpOptimWrapper)
    with wrapper.optim_context(model):
        loss = model(torch.full((1, 1), 60000.0, device='cuda')).float().sum()
    wrapper.update_params(loss * 1e4)
    assert wrapper.skipped == 0


@DATASETS.register_module()
class SometimesBad(Dataset):
    """Every third sample is NaN; from the second epoch on all are."""

    metainfo = {}

    def __len__(self):
        return 9

    def __getitem__(self, index):
        bad = index % 3 == 1 or index.epoch
        sample = ODMDataSample(metainfo=dict(img_path=f'{int(index)}.jpg', shape=(1, 2)))
        sample.gt_destylized = PixelData(label=torch.ones(1, 2, 3))
        return dict(inputs=torch.full((1,), np.nan if bad else index / 1.0), data_samples=sample)


@MODELS.register_module()
class SampleLoss(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, inputs, data_samples, mode='tensor'):
        drawn = torch.rand(1)  # a batch is reproduced with what the model draws
        return dict(loss_a=(self.weight * torch.stack(inputs)).mean() + drawn, loss_b=drawn)


def configure(make_runner, iterations, max_in_row, **wrapper):
    return make_runner(
        iterations,
        model=dict(type='SampleLoss'),
        train_dataloader=dict(
            batch_size=1,
            num_workers=0,
            sampler=dict(type='SeededInfiniteSampler', shuffle=False),
            dataset=dict(type='SeededDataset', dataset=dict(type='SometimesBad')),
            collate_fn=dict(type='pseudo_collate'),
        ),
        optim_wrapper=dict(
            dict(type='FiniteOptimWrapper', optimizer=dict(type='SGD', lr=0.1)), **wrapper
        ),
        default_hooks=dict(
            runtime_info=dict(type='DeferredRuntimeInfoHook'),
            checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=100),
        ),
        custom_hooks=[dict(type='FiniteStepsHook', max_in_row=max_in_row)],
    )


def test_bad_steps_are_told_and_counted(make_runner, caplog):
    runner = configure(make_runner, 9, 2)
    runner.logger.addHandler(caplog.handler)
    runner.train()
    told = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    told = [line for line in told if 'step is skipped' in line]
    assert len(told) == 3
    assert 'Iteration 5: ' in told[1]
    assert '(1 in a row, 2 in all)' in told[1]
    assert 'loss_a nan' in told[1]
    assert '4.jpg (index 4, epoch 0)' in told[1]
    history = runner.message_hub.get_scalar('train/loss_a').data[0]
    assert len(history) == 6
    assert np.isfinite(history).all()  # the means of the log stay numbers
    assert runner.message_hub.get_scalar('train/skipped_steps').current() == 3


def test_no_end_of_bad_steps(make_runner, tmp_path):
    runner = configure(make_runner, 100, 4)
    with pytest.raises(FloatingPointError, match=r'4 steps in a row.*iter_13_rank_0.pth'):
        runner.train()
    weight = runner.model.weight.detach().clone()
    assert torch.isfinite(weight).all()

    dump = load_bad_batch(tmp_path / 'run' / 'non_finite' / 'iter_13_rank_0.pth')
    assert torch.equal(dump['state_dict']['weight'], weight)
    assert dump['meta']['iteration'] == 12
    assert np.isnan(dump['meta']['losses']['loss_a'])
    (sample,) = dump['batch']['data_samples']
    assert isinstance(sample, ODMDataSample)
    assert sample.metainfo['img_path'] == '3.jpg'
    assert sample.metainfo['drawn'] == (3, 1)
    assert torch.isnan(dump['batch']['inputs'][0]).all()
    # What the model draws in that step is drawn again.
    from odm_mmocr.engine import seed_step

    seed_step(*(dump['meta'][name] for name in ('seed', 'rank', 'iteration')))
    assert torch.rand(1).item() == dump['meta']['losses']['loss_b']


def test_the_bad_part_of_an_accumulation_is_told_and_kept(make_runner, tmp_path, caplog):
    runner = configure(make_runner, 9, 1, accumulative_counts=2)
    runner.logger.addHandler(caplog.handler)
    with pytest.raises(FloatingPointError, match='iter_2_rank_0.pth'):
        runner.train()  # samples 0 and 1 make the first step
    assert '1.jpg (index 1, epoch 0)' in caplog.text
    dump = load_bad_batch(tmp_path / 'run' / 'non_finite' / 'iter_2_rank_0.pth')
    assert torch.isnan(dump['batch']['inputs'][0]).all()

    runner = configure(make_runner, 9, 1, accumulative_counts=3)
    with pytest.raises(FloatingPointError, match='iter_2_rank_0.pth'):
        runner.train()  # the bad one is in the middle


def test_the_count_goes_on_in_a_resumed_run(make_runner, tmp_path):
    configure(make_runner, 6, 5).train()  # saved at the end
    runner = configure(make_runner, 9, 5)
    runner._resume = True
    runner._load_from = str(tmp_path / 'run' / 'iter_6.pth')
    runner.train()
    assert runner.message_hub.get_info('skipped_steps') == 3


def test_other_wrappers_hide_nothing(make_runner, caplog):
    runner = configure(make_runner, 9, 1, type='OptimWrapper')
    runner.logger.addHandler(caplog.handler)
    runner.train()
    assert 'OptimWrapper makes steps that are not finite too' in caplog.text
    assert np.isnan(runner.message_hub.get_scalar('train/loss_a').data[0][-1])


def test_other_files_are_no_batch(tmp_path):
    torch.save(dict(state_dict={}), tmp_path / 'iter_1.pth')
    with pytest.raises(ValueError, match='holds no batch'):
        load_bad_batch(tmp_path / 'iter_1.pth')


def test_out_of_range():
    with pytest.raises(ValueError, match='max_in_row=0'):
        FiniteStepsHook(max_in_row=0)


def test_samples_as_plain_data_and_back():
    sample = ODMDataSample(metainfo=dict(img_path='a.jpg', img_shape=(2, 3), size=np.int64(4)))
    sample.gt_destylized = PixelData(label=torch.ones(1, 2, 3, dtype=torch.uint8))
    (again,) = from_plain(to_plain([sample]))
    assert again.metainfo == sample.metainfo
    assert torch.equal(again.gt_destylized.label, sample.gt_destylized.label)
    assert type(again.gt_destylized) is PixelData


def update_share(rank, folder):
    torch.distributed.init_process_group(
        'gloo', f'file://{folder}/rendezvous', rank=rank, world_size=2
    )
    model = Normed()
    wrapper = build(model)
    skipped = []
    for number in range(4):
        bad = number == 1 and rank == 1
        step(model, wrapper, 1.0, float('nan') if bad else 2.0)
        skipped.append(wrapper.skipped)
    hub = MessageHub(f'process {rank}')
    hook = DeferredRuntimeInfoHook()
    hook.waiting = [dict(loss=torch.tensor(1.0 + rank)), dict(loss=torch.tensor(5.0 + rank))]
    hook.hand_over(SimpleNamespace(message_hub=hub, optim_wrapper=wrapper))
    with open(f'{folder}/{rank}.json', 'w') as file:
        json.dump(
            [skipped, model.weight.item(), hub.get_scalar('train/loss').data[0].tolist()], file
        )
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_processes_leave_out_the_same_step_and_log_the_same(tmp_path):
    workers = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(tmp_path)]) for rank in range(2)
    ]
    try:
        assert [worker.wait(120) for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.kill()
    results = [json.loads((tmp_path / f'{rank}.json').read_text()) for rank in range(2)]
    assert results[0] == results[1]
    skipped, _, logged = results[0]
    assert skipped == [0, 1, 1, 1]
    assert logged == [1.5, 5.5]  # losses of the whole batch


if __name__ == '__main__':
    update_share(int(sys.argv[1]), sys.argv[2])
