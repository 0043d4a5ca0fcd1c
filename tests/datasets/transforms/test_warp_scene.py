"""One homography moves image and annotation."""

import cv2
import numpy as np
import pytest
from shapely import geometry

pytest.importorskip('mmocr')

from mmocr.registry import TRANSFORMS

from odm_mmocr.datasets import seeded
from odm_mmocr.datasets.transforms import DropText, WarpScene
from odm_mmocr.datasets.transforms.warp_scene import area_inside, warp_image, warp_points

WIDTH, HEIGHT = 300, 200


def quad(x: float, y: float, width: float = 40, height: float = 20) -> np.ndarray:
    return np.array([x, y, x + width, y, x + width, y + height, x, y + height], np.float32)


def scene(*polygons: np.ndarray, image: np.ndarray | None = None) -> dict:
    return {
        'img': np.zeros((HEIGHT, WIDTH, 3), np.uint8) if image is None else image,
        'img_path': 'scene.jpg',
        'gt_polygons': list(polygons),
        'gt_texts': [f'word{i}' for i in range(len(polygons))],
        'gt_ignored': np.zeros(len(polygons), bool),
    }


def signed_area(polygon: np.ndarray) -> float:
    x, y = polygon.reshape(-1, 2).T.astype(float)
    return (x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def test_without_augmentation_the_whole_image_is_fitted_in():
    image = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    results = WarpScene((150, 150), augment=False)(scene(quad(10, 20), image=image))
    assert results['img'].shape == (150, 150, 3)
    assert results['img_shape'] == (150, 150)
    assert (results['img'][:100] == 200).all()
    assert (results['img'][100:] == (104, 116, 124)).all()
    # Pixel centres: the first pixel of the result covers pixels 0 and 1.
    np.testing.assert_allclose(results['gt_polygons'][0], (quad(10, 20) + 0.5) / 2 - 0.5)
    assert results['scale_factor'] == (0.5, 0.5)
    tall = WarpScene((64, 32), augment=False)(scene(image=image.transpose(1, 0, 2)))
    assert tall['img'].shape == (32, 64, 3)


@pytest.mark.parametrize('shape', [(120, 260), (300, 90)])
def test_image_and_annotation_move_together(shape):
    """Discs drawn at the vertices are found again at the warped vertices."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    polygons = [quad(30, 30, 110, 60), quad(190, 110, 90, 60)]  # far apart
    for x, y in np.concatenate(polygons).reshape(-1, 2):
        cv2.circle(image, (int(x), int(y)), 4, (255, 255, 255), -1)
    transform = WarpScene(shape[::-1], crop=(0.6, 1), rotation=45, distort_prob=1, border=(0, 0, 0))
    found = 0
    for seed in range(15):
        with seeded((seed,)):
            results = transform(scene(*polygons, image=image.copy()))
        bright = results['img'][..., 0].astype(float)
        for x, y in np.concatenate(results['gt_polygons']).reshape(-1, 2):
            reach = 8
            if reach < x < shape[1] - reach and reach < y < shape[0] - reach:
                left, top = int(x) - reach, int(y) - reach
                patch = bright[top : top + 2 * reach + 1, left : left + 2 * reach + 1]
                rows, columns = np.indices(patch.shape)
                centroid = [(columns * patch).sum(), (rows * patch).sum()] / patch.sum()
                assert np.abs(centroid + [left, top] - [x, y]).max() < 1
                found += 1
    assert found > 40


def test_homography_maps_points_of_the_loaded_image_even_through_two_warps():
    with seeded((1,)):
        results = WarpScene()(WarpScene((400, 300))(scene(quad(100, 80))))
    mapped = warp_points(quad(100, 80).reshape(4, 2), results['homography'])
    np.testing.assert_allclose(results['gt_polygons'][0].reshape(4, 2), mapped, atol=1e-2)


def test_every_key_stays_in_step_and_boxes_bound_the_polygons():
    polygons = [quad(10 * n, 8 * n) for n in range(12)]
    results = scene(*polygons)
    results['gt_scores'] = np.arange(12, dtype=np.float32)
    results['gt_char_polygons'] = [p.reshape(1, 4, 2) for p in polygons]
    with seeded((0,)):
        results = WarpScene(distort_prob=1)(results)
    assert results['gt_texts'] == [f'word{i}' for i in range(12)]
    assert results['gt_scores'].tolist() == list(range(12))
    for before, after, characters, box in zip(
        polygons, results['gt_polygons'], results['gt_char_polygons'], results['gt_bboxes']
    ):
        expected = warp_points(before.reshape(4, 2), results['homography'])
        np.testing.assert_allclose(after.reshape(4, 2), expected, atol=1e-3)
        np.testing.assert_allclose(characters[0], expected, atol=1e-3)
        np.testing.assert_allclose(box, [*expected.min(axis=0), *expected.max(axis=0)], atol=1e-3)
        assert after.dtype == characters.dtype == box.dtype == np.float32


def test_nothing_is_mirrored_by_the_strongest_perspective():
    """Points behind the horizon would come back mirrored, even into the view."""
    polygons = [quad(x, y) for x in range(0, 260, 50) for y in range(0, 180, 40)]
    transform = WarpScene(crop=(0.1, 0.1), perspective=0.5, shear=60, rotation=180, distort_prob=1)
    for seed in range(30):
        with seeded((seed,)):
            results = transform(scene(*polygons))
        assert all(signed_area(polygon) > 0 for polygon in results['gt_polygons'])


def test_a_chosen_word_is_in_view():
    def seen(keep_word_prob: float, seed: int) -> bool:
        with seeded((seed,)):
            transform = WarpScene(crop=(0.3, 0.5), keep_word_prob=keep_word_prob)
            return not transform(scene(quad(255, 175)))['gt_ignored'][0]

    kept = [seen(1, seed) for seed in range(60)]
    free = [seen(0, seed) for seed in range(60)]
    assert np.mean(kept) > 0.9  # a turned view need not reach into the corner
    assert np.mean(free) < 0.5


def test_an_ignored_word_attracts_no_view():
    def view(**changes) -> np.ndarray:
        with seeded((3,)):
            return WarpScene(keep_word_prob=1)({**scene(quad(255, 175)), **changes})['homography']

    assert not np.allclose(view(), view(gt_ignored=np.array([True])))


def test_the_view_stays_within_the_image_where_it_is_smaller():
    image = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    for seed in range(10):
        with seeded((seed,)):
            transform = WarpScene((90, 90), crop=(0.3, 0.5), distort_prob=0, border=(0, 0, 0))
            assert transform(scene(image=image))['img'].min() == 255


def test_words_out_of_view_or_too_low_become_ignored():
    transform = WarpScene((150, 100), augment=False, min_text_height=4)  # half the size
    inside, outside, half_out = quad(20, 20), quad(-90, 20), quad(-30, 60)
    low, lowest = quad(100, 20, 40, 8.4), quad(100, 60, 40, 7.6)
    results = transform(scene(inside, outside, half_out, low, lowest))
    assert results['gt_ignored'].tolist() == [False, True, True, False, True]
    assert len(results['gt_polygons']) == 5
    np.testing.assert_allclose(results['gt_polygons'][1][:2], [-45.25, 9.75])  # not clipped
    results = WarpScene((150, 100), augment=False, min_inside=0.2)(scene(half_out))
    assert not results['gt_ignored'][0]


def test_flags_set_before_stay_and_the_input_is_not_changed():
    results = scene(quad(20, 20))
    flags = results['gt_ignored'] = np.array([True])
    assert WarpScene(augment=False)(results)['gt_ignored'].tolist() == [True]
    results = scene(quad(-90, 20))
    flags = results['gt_ignored']
    WarpScene(augment=False)(results)
    assert flags.tolist() == [False]


def test_area_inside_agrees_with_shapely():
    view = geometry.box(-0.5, -0.5, 99.5, 59.5)
    rng = np.random.default_rng(0)
    partly = 0
    for _ in range(200):
        # Star-shaped, mostly concave polygons around a point in or near the view.
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(4, 12)))
        radii = rng.uniform(5, 60, len(angles))
        points = (
            rng.uniform(-30, 120, 2)
            + np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]
        )
        shape = geometry.Polygon(points)
        if not shape.is_valid or shape.area < 1:
            continue
        expected = shape.intersection(view).area / shape.area
        assert area_inside(points, (100, 60)) == pytest.approx(expected, abs=1e-6)
        partly += 0 < expected < 1
    assert partly > 40
    assert area_inside(np.array([[1, 1], [5, 5], [9, 9], [5, 5.0]]), (100, 60)) == 0


@pytest.mark.parametrize('factor', [0.5, 0.4, 0.15, 0.05])
def test_shrinking_does_not_alias(factor):
    """Stripes finer than the pixels of the result come out as nearly even grey."""
    image = np.zeros((400, 400), np.uint8)
    image[:, ::2] = 255
    result = warp_image(image, np.diag([factor, factor, 1]), (20, 20), (0, 0, 0))
    # The mean over a pixel of the result, which is as good as it gets, leaves up to 30.
    assert np.abs(result[2:-2, 2:-2].astype(int) - 127).max() < 40


def test_enlarging_and_moving_keep_values():
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    shift = np.array([[1, 0, -7], [0, 1, -3], [0, 0, 1.0]])
    np.testing.assert_array_equal(warp_image(image, shift, (20, 10), (0, 0, 0)), image[3:13, 7:27])


def test_odd_polygons_no_words_and_no_annotation():
    pentagon = np.array([10, 10, 60, 10, 60, 40, 30, 50, 10, 40], np.float32)
    results = WarpScene(augment=False)(scene(pentagon))
    assert results['gt_polygons'][0].shape == (10,)
    assert not results['gt_ignored'][0]
    results = WarpScene()(scene())
    assert results['gt_bboxes'].shape == (0, 4)
    assert results['gt_ignored'].shape == (0,)
    results = WarpScene()({'img': scene()['img']})
    assert set(results) == {'img', 'img_shape', 'homography'}


@pytest.mark.parametrize('augment', [False, True])
@pytest.mark.parametrize('ignored', [False, True])
@pytest.mark.parametrize(
    'points',
    [[], [5, 5], [5, 5, 50, 20], [0, 0, 90, 0, 90, 40, np.nan, 40], [1e20, 0, 2e20, 9] * 2],
)
def test_what_is_no_polygon_is_ignored(points, ignored, augment):
    results = scene(quad(100, 50), np.array(points, np.float32))
    results['gt_ignored'][1] = ignored
    with np.errstate(all='ignore'):
        results = WarpScene(augment=augment, crop=(1.0, 1.0), keep_word_prob=1.0)(results)
    assert results['gt_ignored'].tolist() == [False, True]
    assert len(results['gt_polygons'][1]) == len(points)
    assert results['gt_bboxes'].shape == (2, 4)


def test_half_a_point_is_named():
    results = scene(quad(100, 50), np.array([1, 2, 3], np.float32))
    with pytest.raises(ValueError, match=r'scene\.jpg, instance 1: polygon of 3 numbers'):
        WarpScene()(results)


def test_a_pipeline_with_stock_colour_jitter_is_reproducible():
    jitter = TRANSFORMS.build(
        {'type': 'TorchVisionWrapper', 'op': 'ColorJitter', 'brightness': 0.5, 'saturation': 0.5}
    )
    image = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)

    def run(seed: int) -> dict:
        with seeded((seed,)):
            return jitter(WarpScene()(scene(quad(20, 20), image=image)))

    first, again, other = run(0), run(0), run(1)
    np.testing.assert_array_equal(first['img'], again['img'])
    np.testing.assert_array_equal(first['gt_polygons'][0], again['gt_polygons'][0])
    assert (first['img'] != other['img']).any()
    WarpScene()(first)  # what the jitter leaves can be warped again


@pytest.mark.parametrize(
    ('argument', 'value'),
    [
        ('scale', (512,)),
        ('scale', (512, 0)),
        ('scale', (512.0, 512)),
        ('crop', (0.5, 0.2)),
        ('crop', (0, 1)),
        ('stretch', (1, 1, 1)),
        ('rotation', -5),
        ('shear', 90),
        ('perspective', 0.6),
        ('distort_prob', 1.5),
        ('keep_word_prob', -0.1),
        ('min_inside', 2),
        ('min_text_height', -1),
        ('border', (0, 0)),
        ('border', (0, 0, 300)),
    ],
)
def test_arguments_out_of_range_are_named(argument, value):
    with pytest.raises(ValueError, match=f'WarpScene: {argument}='):
        WarpScene(**{argument: value})


def test_wrong_order_and_keys_out_of_step_are_named():
    with pytest.raises(ValueError, match=r"scene\.jpg.*'gt_prompted'.*before"):
        WarpScene()(DropText()(scene(quad(1, 1))))
    with pytest.raises(ValueError, match=r'scene\.jpg: 1 polygons, 0 texts'):
        WarpScene()({**scene(quad(1, 1)), 'gt_texts': []})
