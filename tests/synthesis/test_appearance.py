import numpy as np
import pytest

from odm_mmocr.synthesis.appearance import (
    Ground,
    Style,
    blend,
    look_behind,
    luma,
    paint_group,
    readable_colour,
    stands_out,
)
from odm_mmocr.synthesis.layout import Group, PlacedWord

INK = np.zeros((40, 60), np.uint8)
INK[10:30, 10:50] = 255


def test_luma_weighs_green_most():
    blue, green, red = (float(luma(np.eye(3, dtype=np.float32)[i] * 255)) for i in range(3))
    assert green > red > blue
    assert blue + green + red == pytest.approx(255)


@pytest.mark.parametrize('mean', [0, 60, 127, 128, 200, 255])
def test_a_readable_colour_is_found_on_any_ground(mean):
    rng = np.random.default_rng(0)
    reachable = max(mean, 255 - mean) - 12
    for needed in (40, 90, reachable):
        ground = Ground(float(mean), 0.0, float(min(needed, reachable)))
        for _ in range(20):
            colour = readable_colour([ground], rng)
            assert stands_out(colour, ground, 0.95)
            assert (colour >= 0).all()
            assert (colour <= 255).all()


def test_the_preferred_colour_is_taken_only_where_it_can_be_read():
    rng = np.random.default_rng(0)
    colour = np.float32((10, 20, 30))
    np.testing.assert_array_equal(readable_colour([Ground(200, 0, 60)], rng, colour), colour)
    assert (readable_colour([Ground(30, 0, 60)], rng, colour) != colour).any()


def test_restless_ground_and_thin_letters_ask_for_more():
    even = np.full((40, 60, 3), 90, np.uint8)
    restless = even + np.random.default_rng(0).integers(0, 60, even.shape, np.uint8)
    thin = np.zeros_like(INK)
    thin[10:30, 20] = thin[10:30, 40] = 255
    needed = [
        look_behind(*arguments, (0, 0), 40, alpha).needed
        for *arguments, alpha in (
            (even, INK, 1),
            (restless, INK, 1),
            (even, thin, 1),
            (even, INK, 0.6),
        )
    ]
    assert needed[0] == pytest.approx(40, rel=0.15)
    assert min(needed[1:]) > 1.15 * needed[0]


def test_blend_is_exact_and_leaves_out_what_lies_outside():
    image = np.full((20, 30, 3), 100, np.uint8)
    blend(image, np.full((10, 10), 255, np.uint8), (-5, 15), np.float32((0, 50, 200)), 0.5)
    np.testing.assert_allclose(image[15:, :5], np.broadcast_to((50, 75, 150), (5, 5, 3)), atol=1)
    assert (image[:15] == 100).all()
    assert (image[:, 5:] == 100).all()
    blend(image, INK, (200, 200), np.zeros(3), 1.0)


@pytest.mark.parametrize(
    'style',
    [
        Style(),
        Style(alpha=0.7, gradient=-0.5, worn=20.0),
        Style(outline=0.1, soft=0.9),
        Style(shadow=(0.1, 0.1, 0.05)),
        Style(depth=(0.1, 0.05)),
        Style(embedded=0.6),
        Style(glow=0.25),
        Style(board_alpha=0.8, board_border=0.08),
    ],
)
@pytest.mark.parametrize('board', [False, True])
def test_every_look_stands_out_and_stays_local(style, board):
    corner = (70, 50)
    polygon = np.float64(((80, 60), (120, 60), (120, 80), (80, 80)))
    outline = np.float64(((74, 54), (126, 54), (126, 86), (74, 86))) if board else None
    for seed, level in enumerate((5, 90, 130, 170, 250)):
        image = np.full((140, 200, 3), level, np.uint8)
        group = Group([PlacedWord(None, polygon, 20.0)], outline)
        rng = np.random.default_rng(seed)
        paint_group(image, group, [(INK, corner)], style, 50.0, rng)
        brightness = luma(image.astype(np.float32))
        inside = brightness[62:78, 82:118].mean()
        around = brightness[56:59, 78:122].mean()
        if not (style.glow or style.shadow or style.depth or style.outline) or board:
            assert abs(inside - around) > 25
        else:
            assert abs(inside - level) > 35
        assert (image[:35] == level).all()
        assert (image[:, 160:] == level).all()
