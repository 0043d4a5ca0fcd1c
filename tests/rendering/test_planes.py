import cv2
import numpy as np
import pytest

from odm_mmocr.rendering.planes import find_plane


def arc(points: int, start: float, end: float, outer: float, inner: float):
    angle = np.deg2rad(np.linspace(start, end, points))
    circle = np.stack((np.cos(angle), np.sin(angle)), -1)
    return outer * circle + 250, inner * circle + 250


def wave(points: int):
    x = np.linspace(40, 460, points)
    normal = np.stack((-0.8 * np.cos(x / 60), np.ones_like(x)), -1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    line = np.stack((x, 250 + 50 * np.sin(x / 60)), -1)
    return line - 20 * normal, line + 20 * normal


CURVES = {
    'arc': arc(7, 200, 340, 150, 110),
    'shallow': arc(10, 240, 300, 300, 250),
    'wave': wave(12),
}


def tilt(seed: int, strength: float) -> np.ndarray:
    corners = np.float32([[0, 0], [500, 0], [500, 500], [0, 500]])
    moved = corners + np.random.default_rng(seed).uniform(-strength, strength, (4, 2)) * 500
    return cv2.getPerspectiveTransform(corners, moved.astype(np.float32))


def project(homography: np.ndarray, points: np.ndarray) -> np.ndarray:
    return cv2.perspectiveTransform(points[None], homography)[0]


def spacing(homography: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Lengths of the cells of a polygon on a plane, as shares of the whole."""
    middle = (project(homography, top) + project(homography, bottom)) / 2
    steps = np.linalg.norm(np.diff(middle, axis=0), axis=1)
    return steps / steps.sum()


@pytest.mark.parametrize('name', CURVES)
@pytest.mark.parametrize('seed', range(4))
def test_what_a_camera_has_squeezed_is_evened_out(name, seed):
    """Cells of a tilted curve are as long, relative to each other, as before the tilt."""
    camera = tilt(seed, 0.12)
    top, bottom = CURVES[name]
    before = spacing(np.eye(3), top, bottom)
    top, bottom = project(camera, top), project(camera, bottom)
    squeezed = np.abs(spacing(np.eye(3), top, bottom) / before - 1).max()
    evened = np.abs(spacing(find_plane(top, bottom), top, bottom) / before - 1).max()
    assert squeezed > 0.03
    assert evened < 0.02


@pytest.mark.parametrize('name', CURVES)
def test_stretched_and_slanted_curves_too(name):
    top, bottom = CURVES[name]
    before = spacing(np.eye(3), top, bottom)
    affine = np.array([[1.3, 0.25, 10], [-0.1, 0.7, 40], [0, 0, 1]])
    top, bottom = project(affine, top), project(affine, bottom)
    np.testing.assert_allclose(spacing(find_plane(top, bottom), top, bottom), before, rtol=0.02)


@pytest.mark.parametrize('name', CURVES)
def test_careless_points_are_no_tilt(name):
    """Noise of 3 % of the height moves letters along by no more than a tenth of the word."""
    top, bottom = CURVES[name]
    noise = np.random.default_rng(0).normal(0, 1.3, (2, *top.shape))
    top, bottom = top + noise[0], bottom + noise[1]
    found = np.cumsum(spacing(find_plane(top, bottom), top, bottom))
    np.testing.assert_allclose(found, np.cumsum(spacing(np.eye(3), top, bottom)), atol=0.1)


@pytest.mark.parametrize('scale', [1e-2, 1, 1e3])
def test_scale_does_not_matter(scale):
    top, bottom = (project(tilt(1, 0.1), side) for side in CURVES['wave'])
    plane, scaled = find_plane(top, bottom), find_plane(scale * top, scale * bottom)
    expected, found = spacing(plane, top, bottom), spacing(scaled, scale * top, scale * bottom)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize('count', [2, 3, 4, 32])
def test_any_number_of_points(count):
    top, bottom = arc(count, 200, 340, 150, 100)
    plane = find_plane(top, bottom)
    depth = np.concatenate((top, bottom)) @ plane[2, :2] + plane[2, 2]
    assert np.isfinite(plane).all()
    assert depth.min() > 0


def test_a_polygon_that_ends_in_a_point():
    top, bottom = arc(6, 200, 340, 150, 100)
    bottom[-1] = top[-1]
    assert np.isfinite(find_plane(top, bottom)).all()
