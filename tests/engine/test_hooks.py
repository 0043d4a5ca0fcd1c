import errno
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MessageHub

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


class _Detector(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = torch.nn.Conv2d(3, 16, 3)
        self.det_head = torch.nn.Conv2d(16, 16, 3)
        self.seen = []

    def forward(self, images):
        features = self.backbone(images)
        self.seen.append(features.dtype)
        return self.det_head(features)


@pytest.mark.skipif(torch.cuda.is_available(), reason='the hook is for machines without a GPU')
@pytest.mark.parametrize('multiplies', [True, False])
def test_detectors_are_tested_in_bfloat16_where_the_cpu_has_it(monkeypatch, multiplies):
    monkeypatch.setattr(hooks, 'multiplies_bfloat16', lambda: multiplies)
    model, images = _Detector(), torch.randn(1, 3, 24, 32)
    with torch.no_grad():
        plain = model(images)
    runner, hook = SimpleNamespace(model=model), hooks.CpuDetectionHook()
    hook.before_run(runner)
    assert model.backbone.weight.is_contiguous(memory_format=torch.channels_last)
    for before, after in ((hook.before_val, hook.after_val), (hook.before_test, hook.after_test)):
        before(runner)
        with torch.no_grad():
            fast = model(images)
        after(runner)
        assert model.seen[-1] == (torch.bfloat16 if multiplies else torch.float32)
        assert fast.dtype == torch.float32
        torch.testing.assert_close(fast, plain, rtol=0.05, atol=0.05)
    with torch.no_grad():
        model(images)
    assert model.seen[-1] == torch.float32


@pytest.mark.skipif(torch.cuda.is_available(), reason='the hook is for machines without a GPU')
def test_networks_without_a_head_that_is_known_stay_in_float32(monkeypatch):
    monkeypatch.setattr(hooks, 'multiplies_bfloat16', lambda: True)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3))
    runner, hook = SimpleNamespace(model=model), hooks.CpuDetectionHook()
    hook.before_run(runner)
    hook.before_val(runner)
    with torch.no_grad():
        assert model(torch.randn(1, 3, 8, 8)).dtype == torch.float32
    hook.after_val(runner)


def test_maps_become_float32_wherever_a_head_puts_them():
    maps = dict(a=[torch.ones(1, dtype=torch.bfloat16)], b=(torch.ones(1, dtype=torch.int64), 'x'))
    changed = hooks._float32(maps)
    assert changed['a'][0].dtype == torch.float32
    assert changed['b'][0].dtype == torch.int64
    assert changed['b'][1] == 'x'
