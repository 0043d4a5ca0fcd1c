import numpy as np
import pytest

from odm_mmocr.synthesis.camera import light_unevenly, photograph


@pytest.fixture
def image():
    stripes = np.zeros((90, 130, 3), np.uint8)
    stripes[:, ::8] = stripes[:, 1::8] = stripes[:, 2::8] = stripes[:, 3::8] = 255
    return stripes // 2 + 40


def test_strength_zero_changes_nothing(image):
    assert photograph(image, 0.0, 20.0, np.random.default_rng(0)) is image


def test_the_same_generator_gives_the_same_photograph(image):
    for seed in range(30):
        once = photograph(image.copy(), 1.0, 20.0, np.random.default_rng(seed))
        again = photograph(image.copy(), 1.0, 20.0, np.random.default_rng(seed))
        assert once.shape == image.shape
        assert once.dtype == np.uint8
        np.testing.assert_array_equal(once, again)


def test_fine_detail_survives_for_small_text(image):
    """Stripes of four pixels, as of letters 20 pixels high, keep a good part of their contrast."""

    def contrast(picture):
        rows = picture.astype(np.float32).mean((0, 2))
        return rows[1::8].mean() + rows[2::8].mean() - rows[5::8].mean() - rows[6::8].mean()

    kept = [
        contrast(photograph(image.copy(), 1.0, 20.0, np.random.default_rng(seed))) / contrast(image)
        for seed in range(60)
    ]
    assert min(kept) > 0.3
    assert np.median(kept) > 0.8


def test_uneven_light_is_smooth_and_mild():
    grey = np.full((120, 200, 3), 120, np.uint8)
    for seed in range(20):
        lit = light_unevenly(grey, 1.0, np.random.default_rng(seed)).astype(int)
        assert lit.min() > 20
        assert np.abs(np.diff(lit, axis=0)).max() < 30
        assert (lit[..., 0] == lit[..., 2]).all()
