"""Shares, even walks and random access of mixed data sets."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch

pytest.importorskip('mmocr')

from mmocr.registry import DATASETS
from torch.utils.data import DataLoader, Dataset

from odm_mmocr.datasets import (
    MixedDataset,
    SampleIndex,
    SeededDataset,
    SeededInfiniteSampler,
    SynthesizedSceneText,
)
from odm_mmocr.datasets.mixed_dataset import share_out


class Named(Dataset):
    """Samples are (name, index, epoch)."""

    def __init__(self, name, size):
        self.name, self.size = name, size
        self.metainfo = {'task_name': name}

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return self.name, int(index), index.epoch

    def get_data_info(self, index):
        return {'img_path': f'{self.name}/{int(index)}-{index.epoch}'}


def mix(sizes=(7, 50, 3), ratios=(0.5, 0.3, 0.2), epoch_length=20, **kwargs):
    datasets = [Named('abc'[i], size) for i, size in enumerate(sizes)]
    return MixedDataset(datasets, ratios, epoch_length, **kwargs)


def draw(dataset, epochs):
    return [
        [dataset[SampleIndex(i, epoch)] for i in range(len(dataset))] for epoch in range(epochs)
    ]


def test_every_epoch_has_the_exact_shares_in_an_order_of_its_own():
    epochs = draw(mix(), 3)
    orders = [''.join(name for name, *_ in epoch) for epoch in epochs]
    for order in orders:
        assert Counter(order) == {'a': 10, 'b': 6, 'c': 4}
    assert len(set(orders)) == 3
    assert orders != [''.join(n for n, *_ in epoch) for epoch in draw(mix(seed=1), 3)]


@pytest.mark.parametrize(
    ('total', 'ratios', 'parts'),
    [
        (10, [1, 1, 1], [4, 3, 3]),
        (10, [0.1, 0.2, 0.7], [1, 2, 7]),
        (7, [0.5, 0.25, 0.25], [3, 2, 2]),
        (100, [3, 1], [75, 25]),
        (5, [1e308, 1e308, 5e307], [2, 2, 1]),
        (3, [0.2], [3]),
    ],
)
def test_shares_are_those_of_the_largest_remainder(total, ratios, parts):
    assert share_out(total, ratios) == parts


def test_a_dataset_is_walked_through_evenly():
    """Passes do not end where epochs do, and each has an order of its own."""
    samples = [sample for epoch in draw(mix(), 21) for sample in epoch]
    for name, size in (('a', 7), ('b', 50), ('c', 3)):
        own = [(index, walk) for n, index, walk in samples if n == name]
        passes = [own[i : i + size] for i in range(0, len(own) - size + 1, size)]
        assert len(passes) > 1
        for number, walk in enumerate(passes):
            assert sorted(walk) == [(index, number) for index in range(size)]
    firsts = [tuple(index for index, _ in passes[i]) for i in range(len(passes))]
    assert len(set(firsts)) == 6  # all orders of three samples


def test_datasets_of_one_size_have_orders_of_their_own():
    (samples,) = draw(mix(sizes=(50, 50), ratios=(1, 1), epoch_length=100), 1)
    first, second = ([index for n, index, _ in samples if n == name] for name in 'ab')
    assert first != second


def test_a_sample_depends_on_seed_epoch_and_index_alone():
    expected = draw(mix(), 4)
    places = [(i, epoch) for epoch in range(4) for i in range(20)]
    np.random.default_rng(0).shuffle(places)
    dataset = mix()
    for index, epoch in places:
        assert dataset[SampleIndex(index, epoch)] == expected[epoch][index]
        name, inner, walk = expected[epoch][index]
        info = dataset.get_data_info(SampleIndex(index, epoch))
        assert info['img_path'] == f'{name}/{inner}-{walk}'
    assert dataset[5] == expected[0][5]
    far = SampleIndex(3, 10**9)
    assert dataset[far] == mix()[far]


@pytest.mark.parametrize('shuffle', [False, True])
def test_workers_and_samplers_give_the_same_stream(shuffle):
    dataset = mix()
    streams = []
    for workers in (0, 2):
        sampler = SeededInfiniteSampler(dataset, shuffle=shuffle, seed=0)
        loader = DataLoader(dataset, None, sampler=sampler, num_workers=workers)
        streams.append([tuple(sample) for sample in islice(loader, 60)])
    assert streams[0] == streams[1]
    assert Counter(name for name, *_ in streams[0]) == {'a': 30, 'b': 18, 'c': 12}
    assert len(set(streams[0])) == 60  # however an epoch is dealt out, none comes twice in a pass


def test_synthesized_images_are_new_in_each_pass():
    synthesized = SynthesizedSceneText(epoch_length=2, size=(64, 64), words=['no'])
    dataset = MixedDataset([synthesized, Named('a', 3)], [1, 1], epoch_length=4)
    images = [
        sample['img'] for epoch in draw(dataset, 3) for sample in epoch if isinstance(sample, dict)
    ]
    assert len(images) == 6
    assert len({image.tobytes() for image in images}) == 6


def test_a_dataset_of_ratio_zero_is_not_built():
    missing = {'type': 'OCRDataset', 'ann_file': 'nowhere.json', 'pipeline': []}
    dataset = MixedDataset([missing, Named('a', 3)], [0, 2.5], epoch_length=4)
    assert [name for name, *_ in draw(dataset, 1)[0]] == ['a'] * 4
    with pytest.raises(FileNotFoundError, match='nowhere'):
        MixedDataset([missing, Named('a', 3)], [0.1, 2.5], epoch_length=40)


def real(ann_file, load, **kwargs):
    return {
        'type': 'OCRDataset',
        'ann_file': str(ann_file),
        'data_root': str(ann_file.parent),
        'pipeline': [*load, {'type': 'PackODMInputs'}],
        **kwargs,
    }


def synthesized(load):
    pipeline = [{'type': 'LoadImageFromNDArray'}, *load[1:], {'type': 'PackODMInputs'}]
    return {'type': 'SynthesizedSceneText', 'size': (64, 64), 'pipeline': pipeline}


def test_inside_a_seeded_dataset(write_dataset, load_pipeline):
    """Bad files are skipped, wrong annotations refused, testing is seen, the parts are found."""
    config = {
        'type': 'MixedDataset',
        'datasets': [
            real(write_dataset(count=4, broken=(2,)), load_pipeline),
            synthesized(load_pipeline),
        ],
        'ratios': [2, 1],
        'epoch_length': 12,
    }
    dataset = SeededDataset(config)
    assert len(dataset) == 12
    assert not dataset.test_mode
    assert dataset.metainfo['task_name'] == 'textspotting'
    samples = [dataset[SampleIndex(i, 1)] for i in range(12)]
    paths = Counter(s['data_samples'].img_path.split('/')[0] for s in samples)
    assert paths['synthesized'] >= 4
    skipped = [s['data_samples'].skipped for s in samples if 'skipped' in s['data_samples']]
    assert len(skipped) == 2
    assert all('image_2.png' in reasons[0] for reasons in skipped)
    again = dataset[SampleIndex(7, 1)]
    assert torch.equal(samples[7]['inputs'], again['inputs'])

    config['datasets'][0] = real(write_dataset(), load_pipeline, test_mode=True)
    assert SeededDataset(config).test_mode
    config['datasets'][0] = real(write_dataset(drop=('text',)), load_pipeline)
    with pytest.raises(ValueError, match=r"annotations.json is of another task.*'text'"):
        SeededDataset(config)


def test_lazy_annotations_are_loaded(write_dataset, load_pipeline):
    part = DATASETS.build(real(write_dataset(count=4), load_pipeline, lazy_init=True))
    assert len(MixedDataset([part], [1], epoch_length=4)) == 4
    assert len(part) == 4


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(ratios=[1, 1]), '3 data sets but 2 ratios'),
        (dict(ratios=[1, -0.5, 1]), r'\[1, -0.5, 1\]; expected numbers of 0 or more'),
        (dict(ratios=[1, float('nan'), 1]), 'expected numbers'),
        (dict(ratios=[0, 0, 0]), 'one of them above 0'),
        (dict(sizes=(), ratios=[]), 'one of them above 0'),
        (dict(ratios=[1, 1, 0.01]), 'without a sample in an epoch of 20'),
        (dict(sizes=(7, 0, 3)), 'Named has no samples'),
        (dict(epoch_length=0), 'epoch_length is 0'),
        (dict(seed=-1), 'seed -1'),
    ],
)
def test_wrong_settings_are_refused_when_built(change, message):
    with pytest.raises(ValueError, match=message):
        mix(**change)


def test_an_index_beyond_the_epoch():
    for index in (20, -1):
        with pytest.raises(IndexError, match=f'sample {index} of 20'):
            mix()[index]


def test_an_annotation_file_without_images_is_named(write_dataset, load_pipeline):
    empty = real(write_dataset(count=0), load_pipeline)
    with pytest.raises(ValueError, match=r'data set 1 .*annotations\.json.* no samples'):
        MixedDataset([Named('a', 3), empty], [1, 1])
