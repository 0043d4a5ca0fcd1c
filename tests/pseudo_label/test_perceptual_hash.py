"""Images that look alike have like hashes, and are found."""

import cv2
import numpy as np
import pytest

from odm_mmocr.pseudo_label import find_near_duplicates, perceptual_hash


def photograph(seed, size=(320, 240)):
    """Soft patches of light, as photographs have them."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(0, 256, (9, 12, 3), np.uint8)
    return cv2.resize(patches, size, interpolation=cv2.INTER_CUBIC)


def distance(one, other):
    return (perceptual_hash(one) ^ perceptual_hash(other)).bit_count()


@pytest.mark.parametrize('seed', range(4))
def test_the_same_at_other_sizes_and_qualities(seed):
    image = photograph(seed)
    for factor in (0.4, 0.7, 2):
        assert distance(image, cv2.resize(image, None, fx=factor, fy=factor)) <= 4
    for quality in (90, 30):
        content = cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
        assert distance(image, cv2.imdecode(content, cv2.IMREAD_COLOR)) <= 4
    assert distance(image, cv2.convertScaleAbs(image, alpha=0.8, beta=10)) <= 4


def test_other_images_have_other_hashes():
    hashes = [perceptual_hash(photograph(seed)) for seed in range(40)]
    apart = [(a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(apart) > 8 and 28 < np.mean(apart) < 36
    assert distance(photograph(0), photograph(0)[:, ::-1].copy()) > 8


@pytest.mark.parametrize('shape', [(8, 8, 3), (1, 500, 3), (2000, 9, 3)])
def test_images_of_any_shape_have_one(shape):
    value = perceptual_hash(np.full(shape, 200, np.uint8))
    assert isinstance(value, int) and 0 <= value < 2**64


def brute_force(hashes, most):
    found = []
    for index, value in enumerate(hashes):
        near = [
            i for i in range(index) if found[i] is None and (hashes[i] ^ value).bit_count() <= most
        ]
        found.append(min(near, default=None))
    return found


@pytest.mark.parametrize('most', [0, 1, 3, 4, 9, 16])
def test_near_duplicates_are_those_of_a_search_through_all(most):
    rng = np.random.default_rng(most)
    hashes = [int(value) for value in rng.integers(0, 2**63, 150, np.uint64)]
    for _ in range(250):  # planted at distances up to and above the bound, chains among them
        value = hashes[rng.integers(len(hashes))]
        for bit in rng.choice(64, rng.integers(most + 3), replace=False):
            value ^= 1 << int(bit)
        hashes.append(value)
    order = rng.permutation(len(hashes))
    hashes = [hashes[i] for i in order]
    found = find_near_duplicates(hashes, most)
    assert found == brute_force(hashes, most)
    assert any(first is not None for first in found)


def test_no_images_have_no_duplicates():
    assert find_near_duplicates([], 4) == []
    assert find_near_duplicates([0, 2**64 - 1], 16) == [None, None]


@pytest.mark.parametrize('most', [-1, 17])
def test_distances_out_of_range(most):
    with pytest.raises(ValueError, match='0 to 16'):
        find_near_duplicates([1, 2], most)
