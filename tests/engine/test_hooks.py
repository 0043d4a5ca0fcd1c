import errno
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.model import BaseModel, BaseModule
from mmengine.runner import Runner

from odm_mmocr.checkpoints.saving import WholeFileBackend
from odm_mmocr.engine import DataFaultsHook, hooks
from odm_mmocr.structures import ODMDataSample


def files(folder):
    return sorted(path.name for path in folder.glob('*.pth'))


def keep(count):
    return dict(
        checkpoint=dict(
            type='AtomicCheckpointHook', by_epoch=False, interval=2, max_keep_ckpts=count
        )
    )


def test_oldest_checkpoints_go(make_runner, tmp_path):
    make_runner(8, default_hooks=keep(2)).train()
    run = tmp_path / 'run'
    assert files(run) == ['iter_6.pth', 'iter_8.pth']
    assert (run / 'last_checkpoint').read_text() == str(run / 'iter_8.pth')


def test_a_full_disk_takes_no_checkpoint(make_runner, tmp_path, monkeypatch):
    def put(self, obj, filepath):
        if 'iter_4' in str(filepath):
            raise OSError(errno.ENOSPC, 'No space left on device')
        Path(filepath).write_bytes(obj)

    monkeypatch.setattr(WholeFileBackend, 'put', put)
    with pytest.raises(OSError, match='No space left'):
        make_runner(8, default_hooks=keep(1)).train()
    run = tmp_path / 'run'
    assert files(run) == ['iter_2.pth']
    assert (run / 'last_checkpoint').read_text() == str(run / 'iter_2.pth')
    torch.load(run / 'iter_2.pth')

    monkeypatch.undo()
    make_runner(8, default_hooks=keep(1), resume=True).train()
    assert files(run) == ['iter_8.pth']


def test_the_best_checkpoint_stays_until_a_better_one_is_written(
    make_runner, tmp_path, monkeypatch
):
    runner = make_runner(4, default_hooks=keep(1))
    runner.train()
    hook = next(h for h in runner.hooks if type(h).__name__ == 'AtomicCheckpointHook')
    hook.save_best, hook.key_indicators, hook.rules = 'score', ['score'], ['greater']
    hook.is_better_than, hook.best_ckpt_path = dict(score=lambda new, old: new > old), None
    run = tmp_path / 'run'
    hook._save_best_checkpoint(runner, dict(score=0.5))
    assert files(run) == ['best_score_iter_4.pth', 'iter_4.pth']

    def put(self, obj, filepath):
        raise OSError(errno.ENOSPC, 'No space left on device')

    runner.train_loop._iter = 5
    with monkeypatch.context() as full_disk:
        full_disk.setattr(WholeFileBackend, 'put', put)
        with pytest.raises(OSError, match='No space left'):
            hook._save_best_checkpoint(runner, dict(score=0.6))
    assert 'best_score_iter_4.pth' in files(run)

    hook.best_ckpt_path = str(run / 'best_score_iter_4.pth')
    hook._save_best_checkpoint(runner, dict(score=0.7))
    assert [name for name in files(run) if 'best' in name] == ['best_score_iter_5.pth']


@pytest.mark.parametrize('workers', [0, 2])
def test_skipped_samples_are_counted_in_any_process(make_runner, workers):
    runner = make_runner(10, workers)  # three epochs of ten samples, one of them broken
    runner.train()
    hook = next(h for h in runner.hooks if type(h).__name__ == 'DataFaultsHook')
    assert hook.skipped.total() >= 3
    assert all('three.jpg' in reason for reason in hook.skipped)
    assert runner.message_hub.get_scalar('train/skipped').current() == hook.skipped.total()
    assert 'train/label_faults' not in runner.message_hub.log_scalars


def test_faults_of_labels_are_counted_by_kind():
    """With one bad word in each of two samples, twice."""
    hook, logged = DataFaultsHook(), []
    sample = ODMDataSample(
        metainfo=dict(label_faults=[('unusable polygon', 'a.jpg, 3', 'a.jpg, instance 3')])
    )
    runner = SimpleNamespace(
        message_hub=MessageHub('faults'), logger=SimpleNamespace(warning=logged.append)
    )
    hook.before_train(runner)
    for _ in range(2):
        hook.after_train_iter(runner, 0, dict(data_samples=[sample, ODMDataSample(), sample]))
    hook.after_train(runner)
    assert runner.message_hub.get_scalar('train/label_faults').current() == 4
    assert len(logged) == 1
    assert 'unusable polygon, 4 time(s)' in logged[0]
    assert logged[0].count('a.jpg, instance 3') == 1


@pytest.mark.parametrize('steps', [7, 8])
def test_deferred_losses_are_the_same_and_there_when_they_are_wanted(make_runner, steps):
    histories, read = [], []
    for kind in ('RuntimeInfoHook', 'DeferredRuntimeInfoHook'):
        hooks = dict(
            runtime_info=dict(type=kind),
            logger=dict(type='LoggerHook', interval=3),
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=4),
        )
        runner = make_runner(steps, default_hooks=hooks, experiment_name=f'{kind}-{steps}')
        known = []

        class Watch(Hook):
            priority = 'VERY_LOW'

            def after_train_iter(self, runner, *args, known=known, **kwargs):
                scalars = runner.message_hub.log_scalars
                known.append(len(scalars['train/loss'].data[0]) if 'train/loss' in scalars else 0)

        runner.register_hook(Watch())
        runner.train()
        histories.append(runner.message_hub.get_scalar('train/loss').data[0].tolist())
        read.append(known)
    assert read[0] == list(range(1, steps + 1))
    assert read[1] == [0, 0, 3, 4, 4, 6, steps if steps == 7 else 6, 8][:steps]
    assert histories[1] == pytest.approx(histories[0])


class _Head(BaseModule):
    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 16, 3)
        self.seen = []

    def forward(self, images):
        maps = self.convolution(images)
        self.seen.append(maps.dtype)
        return maps


class _Detector(BaseModel):
    def __init__(self, head='det_head'):
        super().__init__()
        self.head = head
        setattr(self, head, _Head())
        self.dtypes = []

    def forward(self, inputs, data_samples=None, mode='tensor'):
        maps = getattr(self, self.head)(torch.stack(inputs))
        self.dtypes.append(maps.dtype)
        return dict(loss=maps.mean()) if mode == 'loss' else [maps]


class _Metric(BaseMetric):
    default_prefix = 'x'

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        return dict(count=len(results))


@pytest.mark.skipif(torch.cuda.is_available(), reason='the hook is for machines without a GPU')
@pytest.mark.parametrize('multiplies', [True, False])
@pytest.mark.parametrize('head', ['det_head', 'another'])
def test_detectors_are_tested_in_bfloat16_where_the_cpu_has_it(
    monkeypatch, tmp_path, multiplies, head
):
    monkeypatch.setattr(hooks, 'multiplies_bfloat16', lambda: multiplies)
    images = [dict(inputs=torch.rand(3, 8, 8)) for _ in range(2)]
    loader = dict(dataset=images, batch_size=1, sampler=dict(type='DefaultSampler', shuffle=False))
    model = _Detector(head)
    runner = Runner(
        model,
        work_dir=str(tmp_path),
        train_dataloader=loader,
        val_dataloader=loader,
        test_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=1),
        val_cfg={},
        test_cfg={},
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        val_evaluator=[_Metric()],
        test_evaluator=[_Metric()],
        custom_hooks=[dict(type='mmocr.CpuDetectionHook')],
        default_hooks=dict(checkpoint=None),
        experiment_name=tmp_path.name,
    )
    runner.train()
    runner.test()
    head = getattr(model, head)
    fast = torch.bfloat16 if multiplies and head is getattr(model, 'det_head', None) else None
    assert head.convolution.weight.is_contiguous(memory_format=torch.channels_last)
    # Two steps of training, two images of validation, two of the test.
    assert head.seen == [torch.float32] * 2 + [fast or torch.float32] * 4
    assert set(model.dtypes) == {torch.float32}


def test_maps_become_float32_wherever_a_head_puts_them():
    maps = dict(a=[torch.ones(1, dtype=torch.bfloat16)], b=(torch.ones(1, dtype=torch.int64), 'x'))
    changed = hooks._float32(maps)
    assert changed['a'][0].dtype == torch.float32
    assert changed['b'][0].dtype == torch.int64
    assert changed['b'][1] == 'x'
