"""Scores and boxes of characters of an annotation reach the pipeline in step with its words."""

import json

import numpy as np
import pytest

pytest.importorskip('mmocr')

from mmocr.registry import DATASETS

from odm_mmocr.datasets import SeededDataset
from odm_mmocr.datasets.transforms import LoadCharPolygons, LoadTextScores, WarpScene


def load(*instances: dict) -> dict:
    return LoadTextScores()({'img_path': 'scene.jpg', 'instances': list(instances)})


def test_words_without_a_score_are_sure():
    scores = load({'text': 'a', 'score': 0.25}, {'text': 'b'}, {'text': 'c', 'score': 0})[
        'gt_scores'
    ]
    assert scores.dtype == np.float32
    assert scores.tolist() == [0.25, 1, 0]
    assert load()['gt_scores'].shape == (0,)


@pytest.mark.parametrize('score', [-0.1, 1.5, 99, float('nan'), '0.5', None, True, [1]])
def test_what_is_no_score_is_named_with_file_and_instance(score):
    with pytest.raises(ValueError, match=r'scene\.jpg, instance 1: the score is .*from 0 to 1'):
        load({'score': 1}, {'score': score})


@pytest.fixture
def scored(write_dataset, load_pipeline):
    """Function from scores, those of each image's two words, to a data set with a pipeline."""

    def build(scores, *transforms):
        ann_file = write_dataset(count=len(scores))
        annotation = json.loads(ann_file.read_text())
        for info, pair in zip(annotation['data_list'], scores, strict=True):
            for instance, score in zip(info['instances'], pair, strict=True):
                instance['score'] = score
        ann_file.write_text(json.dumps(annotation))
        return DATASETS.build(
            {
                'type': 'OCRDataset',
                'ann_file': str(ann_file),
                'data_root': str(ann_file.parent),
                'pipeline': [*load_pipeline, {'type': 'LoadTextScores'}, *transforms],
            }
        )

    return build


def test_scores_stay_in_step_from_the_file_to_the_sample(scored):
    dataset = scored([(0.5, 0.75)], {'type': 'WarpScene', 'scale': (64, 64), 'min_inside': 1.0})
    results = dataset[0]
    # Wherever the view is, no instance is taken out.
    for seed in range(5):
        np.random.seed(seed)
        results = WarpScene(scale=(64, 64))(results)
        assert len(results['gt_polygons']) == 2
    assert results['gt_texts'] == ['one', 'two']
    assert results['gt_scores'].tolist() == [0.5, 0.75]


def test_an_image_with_a_wrong_score_is_skipped_and_named(scored):
    scores = [(0.5, 0.5), (0.5, 50), (0.5, 0.5)]
    dataset = SeededDataset(scored(scores, {'type': 'PackODMInputs'}))
    sample = dataset[1]['data_samples']
    assert 'image_1.png, instance 1' in sample.skipped[0]
    assert sample.gt_instances.scores.tolist() == [0.5, 0.5]


def test_boxes_of_characters_of_each_word():
    box = [1, 2, 3, 2, 3, 4, 1, 4]
    instances = [{'char_polygons': [box, [2.5 * value for value in box]]}, {'text': 'b'}]
    first, second = LoadCharPolygons()({'img_path': 'scene.jpg', 'instances': instances})[
        'gt_char_polygons'
    ]
    assert first.dtype == np.float32
    assert first.shape == (2, 4, 2)
    assert first[1].tolist() == [[2.5, 5], [7.5, 5], [7.5, 10], [2.5, 10]]
    assert second.shape == (0, 4, 2)


@pytest.mark.parametrize('boxes', [[[1, 2, 3]], 'box', [[1] * 7 + ['x']], [[1] * 8, [1] * 6], None])
def test_what_are_no_boxes_is_named_with_file_and_instance(boxes):
    instances = [{}, {'char_polygons': boxes}]
    with pytest.raises(ValueError, match=r'scene\.jpg, instance 1: expected eight numbers'):
        LoadCharPolygons()({'img_path': 'scene.jpg', 'instances': instances})


def test_boxes_of_characters_are_warped_with_their_words(write_dataset, load_pipeline):
    ann_file = write_dataset(count=1)
    annotation = json.loads(ann_file.read_text())
    for info in annotation['data_list']:
        for instance in info['instances']:
            instance['char_polygons'] = [instance['polygon'][:8]]
    ann_file.write_text(json.dumps(annotation))
    dataset = DATASETS.build(
        {
            'type': 'OCRDataset',
            'ann_file': str(ann_file),
            'data_root': str(ann_file.parent),
            'pipeline': [
                *load_pipeline,
                {'type': 'LoadCharPolygons'},
                {'type': 'WarpScene', 'scale': (64, 64)},
            ],
        }
    )
    results = dataset[0]
    for polygon, boxes in zip(results['gt_polygons'], results['gt_char_polygons'], strict=True):
        np.testing.assert_allclose(boxes[0].ravel(), np.ravel(polygon)[:8], atol=1e-3)
