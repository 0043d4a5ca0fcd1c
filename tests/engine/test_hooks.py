import errno
from pathlib import Path

import pytest
import torch

from odm_mmocr.checkpoints.saving import WholeFileBackend


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
    hook = next(h for h in runner.hooks if type(h).__name__ == 'SkippedSamplesHook')
    assert hook.reasons.total() >= 3
    assert all('three.jpg' in reason for reason in hook.reasons)
    assert runner.message_hub.get_scalar('train/skipped').current() == hook.reasons.total()
