"""Packing: dtypes, shapes and what may be missing."""

import numpy as np
import pytest
import torch

pytest.importorskip('mmocr')

from odm_mmocr.datasets.transforms import PackODMInputs
from odm_mmocr.structures import ODMDataSample

POLYGON = np.array([0, 0, 9, 0, 9, 5, 0, 5], np.float32)
IMAGE = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)


def scene(**changes) -> dict:
    results = {
        'img': IMAGE,
        'img_path': 'scene.jpg',
        'img_shape': (20, 30),
        'gt_polygons': [POLYGON] * 3,
        'gt_bboxes': np.zeros((3, 4), np.float32),
        'gt_bboxes_labels': np.zeros(3, np.int64),
        'gt_texts': ['A', 'B', '###'],
        'gt_ignored': np.array([False, False, True]),
    }
    return {**results, **changes}


def test_image_and_prompt():
    packed = PackODMInputs(max_words=5)(scene())
    assert torch.equal(packed['inputs'], torch.from_numpy(IMAGE.transpose(2, 0, 1).copy()))
    sample = packed['data_samples']
    assert isinstance(sample, ODMDataSample)
    assert sample.img_path == 'scene.jpg'
    assert sample.img_shape == (20, 30)
    assert sample.prompt.texts == ['A', 'B']
    assert sample.prompt.tokens.shape == (5, 25)
    assert sample.prompt.tokens.dtype == torch.int64
    assert sample.prompt.mask.tolist() == sample.prompt.shown.tolist() == [True] * 2 + [False] * 3
    assert sample.gt_instances.prompted.tolist() == [True, True, False]
    assert sample.gt_instances.ignored.tolist() == [False, False, True]
    assert 'gt_destylized' not in sample


def test_noise_words_are_masked_in_but_not_shown():
    prompt = {'prompt_texts': ['A', 'x', 'y'], 'prompt_noise': [False, True, True]}
    prompted = np.array([True, False, False])
    sample = PackODMInputs(max_words=4)(scene(**prompt, gt_prompted=prompted))['data_samples']
    assert sample.prompt.mask.tolist() == [True, True, True, False]
    assert sample.prompt.shown.tolist() == [True, False, False, False]


def test_per_instance_keys_and_label_maps():
    quads = [np.zeros((n, 4, 2), np.float32) for n in (1, 1, 3)]
    label = np.full((20, 30), 7, np.uint8)
    results = scene(
        gt_scores=np.array([0.5, 0.25, 1], np.float32),
        gt_char_polygons=quads,
        gt_destylized=label,
        gt_destylized_ignore=label > 9,
        gt_destylized_dropped=label // 7,
        gt_destylized_weight=label * 10,
    )
    sample = PackODMInputs()(results)['data_samples']
    assert sample.gt_instances.scores.tolist() == [0.5, 0.25, 1]
    assert [len(q) for q in sample.gt_instances.char_polygons] == [1, 1, 3]
    assert sample.gt_destylized.label.shape == sample.gt_destylized.ignore.shape == (1, 20, 30)
    assert sample.gt_destylized.label.dtype == sample.gt_destylized.dropped.dtype == torch.uint8
    assert sample.gt_destylized.ignore.dtype == torch.bool
    assert sample.gt_destylized.dropped.unique().tolist() == [1]
    assert sample.gt_destylized.weight.dtype == torch.uint8
    assert sample.gt_destylized.weight.unique().tolist() == [70]


def test_an_image_with_a_given_prompt_needs_no_annotation():
    packed = PackODMInputs()({'img': IMAGE, 'prompt_texts': ['EXIT']})
    sample = packed['data_samples']
    assert sample.prompt.shown.sum() == 1
    assert 'gt_instances' not in sample
    with pytest.raises(ValueError, match='gt_polygons'):
        PackODMInputs()({'img': IMAGE})


def test_an_image_without_words_can_be_packed():
    empty = {'gt_polygons': [], 'gt_texts': [], 'gt_ignored': np.zeros(0, bool)}
    boxes = {'gt_bboxes': np.zeros((0, 4), np.float32), 'gt_bboxes_labels': np.zeros(0, np.int64)}
    sample = PackODMInputs()(scene(**empty, **boxes))['data_samples']
    assert len(sample.gt_instances) == 0
    assert not sample.prompt.mask.any()


def test_images_of_other_layouts():
    for image in (IMAGE[:, ::-1], IMAGE[..., ::-1]):
        packed = PackODMInputs()(scene(img=image))
        assert packed['inputs'].is_contiguous()
        assert (packed['inputs'].numpy() == image.transpose(2, 0, 1)).all()
    assert PackODMInputs()(scene(img=IMAGE[..., 0]))['inputs'].shape == (3, 20, 30)


def test_too_many_words_and_keys_out_of_step_are_refused():
    with pytest.raises(ValueError, match='max_words=2'):
        PackODMInputs(max_words=2)(scene(prompt_texts=['a', 'b', 'c']))
    with pytest.raises(ValueError, match='out of step'):
        PackODMInputs()(scene(prompt_texts=['A'], gt_texts=['A']))
