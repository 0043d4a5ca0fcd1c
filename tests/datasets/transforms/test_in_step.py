"""On real images: every key of an instance stays with its polygon, and reading order is kept."""

import cv2
import numpy as np
import pytest

pytest.importorskip('mmocr')

from mmocr.registry import TRANSFORMS

from odm_mmocr.datasets import seeded
from odm_mmocr.datasets.transforms.warp_scene import warp_points
from odm_mmocr.datasets.vocabulary import as_drawn

OURS = [
    {'type': 'WarpScene'},
    {'type': 'TorchVisionWrapper', 'op': 'ColorJitter', 'brightness': 0.3},
    {'type': 'IgnoreUnknownText'},
    {
        'type': 'RandomChoice',
        'transforms': [[{'type': 'DropText'}], [{'type': 'NoiseText'}]],
    },
    {'type': 'RenderDestylizedLabel', 'with_dropped': True},
]

STOCK = [
    {'type': 'Resize', 'scale': (512, 512)},
    {'type': 'RandomRotate', 'max_angle': 30},
    {'type': 'TextDetRandomCrop', 'target_size': (512, 512)},
    {'type': 'TextDetRandomCropFlip', 'crop_ratio': 1.0},
    {'type': 'RandomFlip', 'prob': 1.0, 'direction': 'horizontal'},
    {'type': 'ImgAugWrapper', 'args': [{'cls': 'Affine', 'rotate': [-10, 10]}]},
]


def load(dataset, index: int) -> dict:
    """A sample whose texts begin with the number of their instance, with scores and quads."""
    results = dataset[index]
    count = len(results['gt_texts'])
    results['gt_texts'] = [f'{i}#{text}' for i, text in enumerate(results['gt_texts'])]
    results['gt_scores'] = np.linspace(0, 1, count, dtype=np.float32)
    results['gt_char_polygons'] = [p.reshape(1, 4, 2).copy() for p in results['gt_polygons']]
    return results


def find_faults(before: list[np.ndarray], polygons: list[np.ndarray], texts: list[str]) -> set[str]:
    """What is wrong with polygons and their numbered texts after a transform.

    Over the whole image one homography must bring every vertex to the vertex of the same place in
    the order, and it must not mirror.
    """
    if len(polygons) != len(texts):
        return {'lengths'}
    numbers = [int(text.split('#')[0]) for text in texts]
    if any(before[n].shape != polygon.shape for n, polygon in zip(numbers, polygons)):
        return {'vertices'}
    if not polygons:
        return set()
    old = np.concatenate([before[n] for n in numbers]).reshape(-1, 2)
    new = np.concatenate(polygons).reshape(-1, 2)
    homography, _ = cv2.findHomography(old, new)
    if homography is None or np.abs(warp_points(old, homography) - new).max() > 1:
        return {'mapping'}
    depths = homography[2, :2] @ old.T + homography[2, 2]
    return {'mirrored'} if (np.linalg.det(homography) / depths**3 < 0).any() else set()


@pytest.fixture
def samples(icdar2015_test):
    """The first 25 images with at least three words."""
    chosen = (i for i in range(250) if len(icdar2015_test.get_data_info(i)['instances']) >= 3)
    return [load(icdar2015_test, index) for index, _ in zip(chosen, range(25))]


def check_in_step(sample: dict, seed: int, transforms: list, pack) -> int:
    """Run a sample through our transforms and compare every instance; returns the prompted ones."""
    before = [polygon.copy() for polygon in sample['gt_polygons']]
    texts, scores = list(map(as_drawn, sample['gt_texts'])), sample['gt_scores'].copy()
    ignored = sample['gt_ignored'].copy()
    with seeded((0, seed)):
        for transform in transforms:
            sample = transform(sample)
    packed = pack(sample)['data_samples']
    instances, prompt = packed.gt_instances, packed.prompt

    assert not find_faults(before, instances.polygons, instances.texts)
    assert instances.texts == texts
    np.testing.assert_array_equal(instances.scores, scores)
    assert (instances.ignored.numpy() >= ignored).all()
    for old, new, characters in zip(before, instances.polygons, instances.char_polygons):
        expected = warp_points(old.reshape(-1, 2), packed.homography)
        np.testing.assert_allclose(new.reshape(-1, 2), expected, atol=1e-2)
        np.testing.assert_allclose(characters[0], expected, atol=1e-2)

    shown = [text for text, is_shown in zip(prompt.texts, prompt.shown) if is_shown]
    noise = prompt.texts[len(shown) :]
    assert set(shown) == {t for t, p in zip(instances.texts, instances.prompted) if p}
    assert not instances.prompted[instances.ignored].any()
    assert not {word.casefold() for word in noise} & {text.casefold() for text in texts}
    for polygon, is_prompted in zip(instances.polygons, instances.prompted):
        # Ink of a prompted word stands in its own polygon, wherever that is in view.
        x, y = polygon.reshape(-1, 2).mean(axis=0).astype(int)
        height, width = packed.gt_destylized.shape
        if is_prompted and 0 <= x < width and 0 <= y < height:
            inside = np.zeros((height, width), np.uint8)
            cv2.fillPoly(inside, [polygon.reshape(-1, 2).round().astype(int)], 1)
            assert packed.gt_destylized.label[0].numpy()[inside > 0].any()
    return int(instances.prompted.sum())


@pytest.fixture(scope='module')
def ours():
    return [TRANSFORMS.build(config) for config in OURS], TRANSFORMS.build(
        {'type': 'PackODMInputs'}
    )


def test_our_pipeline_keeps_everything_in_step(samples, ours):
    prompted = sum(check_in_step(sample, i, *ours) for i, sample in enumerate(samples))
    assert prompted > 25


@pytest.mark.parametrize('config', STOCK, ids=lambda config: config['type'])
def test_stock_geometry_does_not(samples, config):
    """Why the pipelines use WarpScene: if one of these passes, it may be used as well."""
    transform = TRANSFORMS.build(config)
    faulty = 0
    for index, sample in enumerate(samples):
        before = [polygon.copy() for polygon in sample['gt_polygons']]
        with seeded((0, index)):
            results = transform(sample)
        # Where no polygon is left, some return None.
        faulty += results is None or bool(
            find_faults(before, results['gt_polygons'], results['gt_texts'])
        )
    assert faulty > len(samples) / 4


@pytest.mark.slow
def test_our_pipeline_keeps_everything_in_step_on_all_training_images(
    shared_data, tmp_path, load_pipeline, ours
):
    from mmocr.datasets import OCRDataset

    from odm_mmocr.datasets.preparers import prepare_icdar2015

    folder = shared_data / 'icdar2015'
    prepare_icdar2015({'train': (folder / 'train_images', folder / 'train_gt')}, tmp_path)
    dataset = OCRDataset(
        ann_file='textspotting_train.json', data_root=str(tmp_path), pipeline=load_pipeline
    )
    assert len(dataset) == 1000
    prompted = sum(check_in_step(load(dataset, i), i, *ours) for i in range(len(dataset)))
    assert prompted > 1000
