"""Samples do not depend on workers or history, and bad ones do not end a training."""

import random

import numpy as np
import pytest
import torch

pytest.importorskip('mmocr')

from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from odm_mmocr.datasets import (
    SampleIndex,
    SeededDataset,
    SeededInfiniteSampler,
    seeded_dataset,
)


class Jitter:
    """Draws from `random` and numpy, as transforms of either kind do."""

    def __call__(self, results):
        results['img'] = results['img'] // random.randint(1, 9) + np.random.randint(9)
        results['img'] = results['img'].astype(np.uint8)
        return results


class GiveUp:
    """Returns None for one image, as stock transforms do when they find no crop."""

    def __call__(self, results):
        return None if results['sample_idx'] == 1 else results


AUGMENT = [
    {'type': 'ImgAugWrapper', 'args': [{'cls': 'Affine', 'rotate': [-30, 30]}]},
    {'type': 'TorchVisionWrapper', 'op': 'ColorJitter', 'brightness': 0.9, 'hue': 0.4},
    Jitter(),
]


@pytest.fixture
def make_dataset(load_pipeline):
    def make(ann_file, extra=(), test_mode=False, load=load_pipeline, **kwargs):
        inner = {
            'type': 'OCRDataset',
            'ann_file': str(ann_file),
            'data_root': str(ann_file.parent),
            'pipeline': [*load, *extra, {'type': 'PackODMInputs'}],
            'test_mode': test_mode,
        }
        return SeededDataset(inner, **kwargs)

    return make


def test_samples_are_the_same_with_any_number_of_workers(make_dataset, write_dataset):
    dataset = make_dataset(write_dataset(), AUGMENT)
    runs = []
    for num_workers in (0, 1, 2):
        loader = DataLoader(
            dataset,
            batch_size=2,
            sampler=SeededInfiniteSampler(dataset, seed=0),
            num_workers=num_workers,
            collate_fn=pseudo_collate,
        )
        batches = iter(loader)
        runs.append(torch.stack([x for _ in range(6) for x in next(batches)['inputs']]))
    assert torch.equal(runs[0], runs[1])
    assert torch.equal(runs[0], runs[2])
    assert len(runs[0].unique(dim=0)) == len(runs[0])  # two epochs: no sample repeats


def test_a_sample_depends_on_seed_epoch_and_index_alone(make_dataset, write_dataset):
    ann_file = write_dataset()
    dataset = make_dataset(ann_file, AUGMENT)
    expected = dataset[SampleIndex(2, epoch=1)]['inputs']
    dataset[0]
    np.random.rand()
    assert torch.equal(dataset[SampleIndex(2, epoch=1)]['inputs'], expected)
    assert not torch.equal(dataset[SampleIndex(2, epoch=2)]['inputs'], expected)
    other = make_dataset(ann_file, AUGMENT, seed=1)
    assert not torch.equal(other[SampleIndex(2, epoch=1)]['inputs'], expected)


def test_the_epoch_arrives_through_joined_and_repeated_datasets():
    class Recorder(torch.utils.data.Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return int(index), index.epoch

    class Joined(Recorder):
        dataset = Recorder()

        def __len__(self):
            return 9

        def __getitem__(self, index):
            return self.dataset[(index - 3) % 3]

    assert SeededDataset(Joined())[SampleIndex(7, epoch=4)] == (1, 4)


@pytest.fixture
def messages(monkeypatch):
    logged = []
    monkeypatch.setattr(seeded_dataset, 'print_log', lambda message, **_: logged.append(message))
    return logged


def test_a_broken_image_is_replaced_logged_once_and_counted(make_dataset, write_dataset, messages):
    dataset = make_dataset(write_dataset(broken=(3,)), AUGMENT)
    samples = [dataset[SampleIndex(3, epoch)]['data_samples'] for epoch in range(3)]
    assert len(messages) == 1
    assert 'image_3.png' in messages[0]
    for sample in samples:
        assert 'image_3.png' in sample.skipped[0]
        assert not sample.img_path.endswith('image_3.png')
    again = dataset[SampleIndex(3, 1)]
    assert again['data_samples'].img_path == samples[1].img_path
    assert 'skipped' not in dataset[0]['data_samples']


def test_a_sample_that_a_transform_gives_up_on_is_counted_too(
    make_dataset, write_dataset, messages
):
    dataset = make_dataset(write_dataset(), [GiveUp()])
    sample = dataset[1]['data_samples']
    assert len(sample.skipped) == len(messages) == 1
    assert 'image_1.png' in messages[0]


def test_no_endless_search_when_all_samples_are_bad(make_dataset, write_dataset, messages):
    dataset = make_dataset(write_dataset(broken=range(6)), max_skips=4)
    with pytest.raises(RuntimeError, match=r'5 samples .*image_\d.png') as caught:
        dataset[0]
    assert isinstance(caught.value.__cause__, OSError)


def test_a_broken_image_is_an_error_in_testing(make_dataset, write_dataset):
    dataset = make_dataset(write_dataset(broken=(3,)), test_mode=True)
    dataset[2]
    with pytest.raises(RuntimeError, match=r'image_3\.png'):
        dataset[3]


@pytest.mark.parametrize(
    ('task', 'drop'),
    [('textrecog', ('polygon', 'bbox', 'bbox_label', 'ignore')), ('textdet', ('text',))],
)
def test_annotations_of_another_task_are_refused_at_once(make_dataset, write_dataset, task, drop):
    with pytest.raises(ValueError) as caught:
        make_dataset(write_dataset(drop=drop, task=task))
    for word in ('annotations.json', task, *drop):
        assert word in str(caught.value)


def test_what_is_not_asked_for_may_be_missing(make_dataset, write_dataset):
    load = [{'type': 'LoadImageFromFile'}, {'type': 'LoadOCRAnnotations', 'with_polygon': True}]
    dataset = make_dataset(write_dataset(drop=('text',)), load=load, max_skips=0)
    with pytest.raises(RuntimeError, match=r"image_0\.png.*'gt_texts'.*with_text=True"):
        dataset[0]  # the prompt does ask


def test_an_index_beyond_the_end_is_no_bad_sample(make_dataset, write_dataset):
    dataset = make_dataset(write_dataset(count=2))
    for index in (2, -1):
        with pytest.raises(IndexError):
            dataset[index]
    assert len(list(dataset)) == 2


def test_an_empty_dataset_is_refused():
    with pytest.raises(ValueError, match='no samples'):
        SeededDataset([])
