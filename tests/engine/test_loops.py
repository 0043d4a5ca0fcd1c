import pytest
import torch
from mmocr.registry import DATASETS


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
