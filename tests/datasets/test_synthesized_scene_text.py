import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmocr.registry import DATASETS
from torch.utils.data import DataLoader

from odm_mmocr.datasets.seeding import SampleIndex
from odm_mmocr.datasets.synthesized_scene_text import SynthesizedSceneText

LOADING = [
    dict(type='LoadImageFromNDArray'),
    dict(
        type='LoadOCRAnnotations',
        with_polygon=True,
        with_bbox=True,
        with_label=True,
        with_text=True,
    ),
]


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmocr')


def make(pipeline=LOADING, **settings) -> SynthesizedSceneText:
    settings = dict(epoch_length=8, seed=3, size=(128, 96)) | settings
    return DATASETS.build(dict(type='SynthesizedSceneText', pipeline=pipeline, **settings))


def assert_same(one: dict, two: dict) -> None:
    np.testing.assert_array_equal(one['img'], two['img'])
    assert one['gt_texts'] == two['gt_texts']
    assert one['img_path'] == two['img_path']
    for first, second in zip(one['gt_polygons'], two['gt_polygons']):
        np.testing.assert_array_equal(first, second)


def test_the_stock_loaders_accept_it():
    dataset = make(with_glyphs=True)
    assert len(dataset) == 8
    for index in range(8):
        sample = dataset[index]
        count = len(sample['gt_texts'])
        assert sample['img'].shape == (96, 128, 3)
        assert sample['img_shape'] == sample['ori_shape'] == (96, 128)
        assert sample['img_path'] == f'synthesized/3-0-{index}.png'
        assert len(sample['gt_polygons']) == count >= 1
        assert sample['gt_bboxes'].shape == (count, 4)
        assert sample['gt_bboxes_labels'].tolist() == [0] * count
        assert not sample['gt_ignored'].any()
        assert len(sample['gt_char_polygons']) == count
        assert sample['gt_glyphs'].shape == (96, 128)
        for polygon, box in zip(sample['gt_polygons'], sample['gt_bboxes']):
            points = np.asarray(polygon).reshape(-1, 2)
            np.testing.assert_allclose([*points.min(0), *points.max(0)], box, rtol=1e-6)


def test_an_image_depends_on_seed_epoch_and_index():
    dataset = make()
    samples = [
        dataset[0],
        dataset[1],
        dataset[SampleIndex(0, epoch=1)],
        dataset[SampleIndex(1, epoch=1)],
        make(seed=4)[0],
    ]
    for i, one in enumerate(samples):
        for two in samples[:i]:
            assert (one['img'] != two['img']).any()
    assert_same(dataset[SampleIndex(1, epoch=1)], samples[3])
    assert_same(dataset[-8], samples[0])


@pytest.mark.parametrize('workers', [1, 2])
def test_workers_make_the_same_images(workers):
    dataset = make()
    indices = [SampleIndex(i, epoch=2) for i in (5, 0, 3, 7)]
    alone = [dataset[i] for i in indices]
    loader = DataLoader(
        dataset, sampler=indices, batch_size=None, num_workers=workers, collate_fn=lambda x: x
    )
    for one, two in zip(alone, loader, strict=True):
        assert_same(one, two)


@pytest.mark.slow
def test_a_process_of_its_own_makes_the_same_image(tmp_path):
    """Nothing depends on hash seeds, caches or the order of imports."""
    path = tmp_path / 'image.npy'
    command = (
        'import sys, numpy; from odm_mmocr.datasets import SynthesizedSceneText; '
        'dataset = SynthesizedSceneText(epoch_length=8, seed=3, size=(128, 96)); '
        'numpy.save(sys.argv[1], dataset.get_data_info(2)["img"])'
    )
    environment = dict(os.environ, PYTHONHASHSEED='1')
    subprocess.run([sys.executable, '-c', command, path], check=True, env=environment)
    np.testing.assert_array_equal(np.load(path), make()[2]['img'])


def test_it_can_be_pickled():
    dataset = make()
    dataset[0]
    assert_same(pickle.loads(pickle.dumps(dataset))[0], dataset[0])


def test_an_image_that_the_pipeline_gives_up_on_is_replaced_by_another():
    class Reject:
        seen = 0

        def __call__(self, results):
            self.seen += 1
            return None if self.seen % 3 else results

    sample, again = (make([*LOADING, Reject()])[0] for _ in range(2))
    assert_same(sample, again)
    assert (sample['img'] != make()[0]['img']).any()
    with pytest.raises(RuntimeError, match='returned None for 1 image'):
        make([*LOADING, Reject()], test_mode=True)[0]


def test_wrong_settings_are_refused_when_built(tmp_path):
    with pytest.raises(ValueError, match='epoch_length is 0'):
        make(epoch_length=0)
    with pytest.raises(FileNotFoundError, match='nowhere'):
        make(backgrounds=str(tmp_path / 'nowhere'))
    with pytest.raises(IndexError, match='index 8 of 8'):
        make()[8]
