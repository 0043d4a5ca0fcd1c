"""Known geometry is measured as what it is, whatever happens to the colours."""

import cv2
import numpy as np
import pytest

from odm_mmocr.evaluation.pixel_maps import (
    Unmeasurable,
    decode,
    encode,
    measure,
)
from odm_mmocr.rendering.meshes import warp_points

SHAPE = 350, 610  # height and width; not of the period of the code
QUAD = np.array([(200.0, 120.0), (290, 130), (288, 160), (198, 150)])


def homography(angle=20, scale=0.8, tilt=4e-4) -> np.ndarray:
    """Rotation and scale about the centre of the image, and perspective; before to after."""
    matrix = np.vstack((cv2.getRotationMatrix2D((305, 175), angle, scale), (0, 0, 1)))
    return np.array([[1, 0, 0], [0, 1, 0], [tilt, 0, 1]]) @ matrix


def warp(matrix, size=(500, 400), border=(90, 127, 127), flags=cv2.INTER_LINEAR):
    return lambda picture: cv2.warpPerspective(
        picture, matrix, size, flags=flags, borderValue=border
    )


def error(pixels, matrix, polygon=QUAD) -> float:
    """Largest error of the places of a polygon's points, in pixels of the image before."""
    measured = pixels.around(warp_points(polygon, matrix))
    return np.abs(warp_points(warp_points(polygon, matrix), measured) - polygon).max()


@pytest.mark.parametrize('length', [1, 2, 50, 610, 4000])
def test_the_code_tells_every_coordinate_at_any_contrast(length):
    x = np.arange(length)
    rounded = np.rint(127.5 + 127.5 * encode(length)) / 127.5 - 1
    for contrast in (1.0, 0.4):
        found, strength = decode(contrast * rounded, length)
        np.testing.assert_allclose(found, x, atol=0.3)
        np.testing.assert_allclose(strength, contrast, atol=0.01)


@pytest.mark.parametrize('channels', [3, None])
def test_a_homography_is_measured_to_a_fraction_of_a_pixel(channels):
    image = np.zeros(SHAPE if channels is None else (*SHAPE, 3), np.uint8)
    matrix = homography()
    border = 127 if channels is None else (90, 127, 127)
    pixels = measure(warp(matrix, border=border), image)
    assert pixels.shape == (400, 500)
    assert error(pixels, matrix) < 0.3
    nearest = measure(warp(matrix, border=border, flags=cv2.INTER_NEAREST), image)
    assert error(nearest, matrix) < 0.5


def test_pixels_that_stay_are_told_from_those_that_do_not():
    image = np.zeros((*SHAPE, 3), np.uint8)
    assert measure(lambda picture: picture // 3 + 50, image).is_identity
    shifted = np.eye(3)
    shifted[0, 2] = 1
    assert not measure(warp(shifted, SHAPE[::-1]), image).is_identity


@pytest.mark.parametrize(
    'colours',
    [
        lambda picture: np.clip(0.6 * picture + 40, 0, 255).astype(np.uint8),
        lambda picture: cv2.GaussianBlur(picture, (0, 0), 2),
        lambda picture: cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), 8),
        lambda picture: np.ascontiguousarray(picture[..., ::-1]),
    ],
    ids=['contrast', 'blur', 'grey', 'swapped channels'],
)
def test_colours_do_not_matter(colours):
    matrix = homography()
    geometry = warp(matrix)
    pixels = measure(lambda picture: colours(geometry(picture)), np.zeros((*SHAPE, 3), np.uint8))
    assert error(pixels, matrix) < 0.6


def test_a_part_that_goes_elsewhere_is_followed():
    def flip_part(picture):
        picture = picture.copy()
        picture[100:200, 150:350] = picture[100:200, 150:350][:, ::-1].copy()
        return picture

    pixels = measure(flip_part, np.zeros((*SHAPE, 3), np.uint8), may_be_identity=False)
    np.testing.assert_allclose(pixels.dominant, np.eye(3), atol=0.1)
    flipped = QUAD * (-1, 1) + (499, 0)
    np.testing.assert_allclose(warp_points(flipped, pixels.around(flipped)), QUAD, atol=0.3)
    away = QUAD + (250, 100)
    np.testing.assert_allclose(warp_points(away, pixels.around(away)), away, atol=0.3)


def test_a_map_that_is_not_simple_is_not_made_up():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    x += 25 * np.sin(y / 4)
    pixels = measure(
        lambda picture: cv2.remap(picture, x, y, cv2.INTER_LINEAR),
        np.zeros((*SHAPE, 3), np.uint8),
    )
    assert pixels.around(QUAD) is None


def test_what_cannot_be_measured_is_an_error():
    image = np.zeros((*SHAPE, 3), np.uint8)
    noise = np.random.default_rng(0)
    with pytest.raises(Unmeasurable, match='nothing of the image'):
        measure(np.zeros_like, image)
    with pytest.raises(Unmeasurable, match='colours'):
        measure(lambda p: noise.integers(0, 256, p.shape).astype(np.uint8), image)
