"""The endless stream of samples over ranks and epochs."""

from collections import Counter
from itertools import islice

import pytest

pytest.importorskip('mmocr')

from odm_mmocr.datasets import SeededInfiniteSampler, samplers


def make_ranks(monkeypatch, world_size, size, **kwargs):
    ranks = []
    for rank in range(world_size):
        monkeypatch.setattr(samplers, 'get_dist_info', lambda rank=rank: (rank, world_size))
        ranks.append(SeededInfiniteSampler(range(size), seed=kwargs.pop('seed', 3), **kwargs))
    return ranks


@pytest.mark.parametrize(('world_size', 'size'), [(1, 7), (2, 7), (3, 9), (4, 10), (5, 3)])
def test_every_sample_stands_in_every_epoch_once_over_all_ranks(monkeypatch, world_size, size):
    epochs = 4
    ranks = make_ranks(monkeypatch, world_size, size)
    drawn = [(int(i), i.epoch) for r in ranks for i in islice(r, epochs * size)]
    counts = Counter(item for item in drawn if item[1] < epochs)
    wanted = {(index, epoch) for index in range(size) for epoch in range(epochs)}
    assert set(counts) == wanted
    assert set(counts.values()) == {1}


def test_epochs_and_seeds_differ_and_a_seed_repeats(monkeypatch):
    first, again = (make_ranks(monkeypatch, 1, 50)[0] for _ in range(2))
    other = make_ranks(monkeypatch, 1, 50, seed=4)[0]
    stream = list(islice(first, 100))
    assert stream == list(islice(again, 100))
    assert stream[:50] != stream[50:]
    assert stream != list(islice(other, 100))
    plain = make_ranks(monkeypatch, 1, 3, shuffle=False)[0]
    assert list(islice(plain, 7)) == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize('position', [0, 1, 6, 7, 20, 33])
def test_seek_equals_skipping(monkeypatch, position):
    for sampler in make_ranks(monkeypatch, 3, 20):
        expected = [(int(i), i.epoch) for i in islice(sampler, position, position + 30)]
        sampler.seek(position)
        assert [(int(i), i.epoch) for i in islice(sampler, 30)] == expected


def test_seek_draws_no_epoch_on_the_way(monkeypatch):
    sampler = make_ranks(monkeypatch, 1, 10)[0]
    drawn = []
    order = sampler._order
    monkeypatch.setattr(sampler, '_order', lambda epoch: drawn.append(epoch) or order(epoch))
    sampler.seek(10**12 + 5)
    assert next(iter(sampler)).epoch == 10**11
    assert drawn == [10**11]


def test_bad_settings():
    with pytest.raises(ValueError, match='no samples'):
        SeededInfiniteSampler([], seed=0)
    with pytest.raises(ValueError, match='position'):
        SeededInfiniteSampler([1], seed=0).seek(-1)
