"""What must hold for any word, polygon and view: labels proved by their geometry."""

import math

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from odm_mmocr.rendering.fonts import load_fonts
from odm_mmocr.rendering.labels import fill_polygons, render_label, render_words
from odm_mmocr.rendering.meshes import rectify
from odm_mmocr.rendering.strips import render_strip

SIZE = 640
SHAPE = (SIZE, SIZE)
CENTRE = np.array((SIZE / 2, SIZE / 2))
# The same examples each time: a run of continuous integration is no lottery.
thorough = settings(max_examples=60, deadline=None, derandomize=True)

words = st.text(
    'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', min_size=4, max_size=12
)
angles = st.floats(0, 360)


def turn(points: np.ndarray, angle: float) -> np.ndarray:
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return points @ np.array(((cos, sin), (-sin, cos)))


@st.composite
def quads(draw) -> np.ndarray:
    """Four points of a word in any rotation and in perspective, about the middle of the image."""
    length, height = draw(st.floats(180, 330)), draw(st.floats(24, 55))
    box = np.array(((-length, -height), (length, -height), (length, height), (-length, height))) / 2
    depth = 1 + box @ np.array(
        (draw(st.floats(-0.35, 0.35)) / (length / 2), draw(st.floats(-0.2, 0.2)) / (height / 2))
    )
    return turn(box / depth[:, None], draw(angles)) + CENTRE


@st.composite
def curves(draw) -> np.ndarray:
    """Arcs up to a near circle, either way up, and waves; 8 to 28 points."""
    count = draw(st.integers(4, 14))
    height = draw(st.floats(24, 50))
    if draw(st.booleans()):
        sweep = draw(st.floats(40, 330))
        count = max(count, math.ceil(sweep / 30))
        radius = min(160.0, max(1.2 * height, math.degrees(draw(st.floats(240, 380)) / sweep)))
        angle = np.radians(np.linspace(-90 - sweep / 2, -90 + sweep / 2, count))
        normal = np.stack((np.cos(angle), np.sin(angle)), -1)
        line = radius * normal
        if draw(st.booleans()):  # a smile
            line, normal = line * (1, -1), normal * (-1, 1)
    else:
        count = max(count, 8)
        swing = draw(st.floats(5, 40))
        x = np.linspace(-170, 170, count)
        line = np.stack((x, swing * np.sin(x / 60)), -1)
        normal = np.stack((swing / 60 * np.cos(x / 60), -np.ones(count)), -1)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    line = line - (line.max(0) + line.min(0)) / 2
    sides = line + normal * height / 2, line - normal * height / 2
    return turn(np.concatenate((sides[0], sides[1][::-1])), draw(angles)) + CENTRE


@st.composite
def views(draw) -> np.ndarray:
    """Homographies: rotation, scaling and stretching, slant, perspective."""
    angle = draw(angles)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    scale, stretch = draw(st.floats(0.7, 1.1)), draw(st.floats(0.8, 1.25))
    linear = scale * np.array(((cos, -sin), (sin, cos)))
    linear = np.array(((stretch, draw(st.floats(-0.2, 0.2))), (0, 1 / stretch))) @ linear
    homography = np.eye(3)
    homography[:2, :2] = linear
    homography[2, :2] = [draw(st.floats(-0.25, 0.25)) / (SIZE / 2) for _ in range(2)]
    shift = np.array(((1, 0, CENTRE[0]), (0, 1, CENTRE[1]), (0, 0, 1)))
    return shift @ homography @ np.linalg.inv(shift)


polygons = st.one_of(quads(), curves())


def iou(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first > 127, second > 127
    return (first & second).sum() / max((first | second).sum(), 1)


@given(words, polygons)
@thorough
def test_ink_lies_in_the_polygon(text, polygon):
    label, faults = render_words([polygon], [text], SHAPE)
    assert faults == [None]
    inside = label[fill_polygons([polygon], SHAPE)].sum(dtype=float)
    assert inside >= 0.99 * label.sum(dtype=float) > 0


@given(words, polygons)
@thorough
def test_ink_spans_the_word(text, polygon):
    """At least 90 % of its length, and of the height that its letters have in the font."""
    flat = rectify(render_label([polygon], [text], SHAPE), polygon, 60) > 64
    strip = render_strip(text, load_fonts(), 128).mask > 64
    columns, rows = np.flatnonzero(flat.any(0)), np.flatnonzero(flat.any(1))
    letters = np.flatnonzero(strip.any(1))
    assert np.ptp(columns) + 1 >= 0.9 * flat.shape[1]
    assert (np.ptp(rows) + 1) / len(flat) >= 0.9 * (np.ptp(letters) + 1) / len(strip)


@given(words, polygons, views())
@thorough
def test_label_and_view_commute(text, polygon, view):
    """The label of a moved word is the moved label of the word."""
    moved = cv2.perspectiveTransform(polygon[None], view)[0]
    fine = np.diag((2.0, 2.0, 1.0))  # both at twice the size, so that no pixel grid decides
    large = tuple(2 * side for side in SHAPE)
    expected = cv2.warpPerspective(
        render_label([2 * polygon], [text], large),
        fine @ view @ np.linalg.inv(fine),
        large,
        flags=cv2.INTER_LINEAR,
    )
    assert iou(render_label([2 * moved], [text], large), expected) >= 0.9


@given(st.lists(st.tuples(words, polygons), min_size=2, max_size=5), st.randoms())
@thorough
def test_order_of_words_does_not_matter(scene, random):
    label = render_label([polygon for _, polygon in scene], [text for text, _ in scene], SHAPE)
    random.shuffle(scene)
    again = render_label([polygon for _, polygon in scene], [text for text, _ in scene], SHAPE)
    np.testing.assert_array_equal(label, again)


@given(words, polygons, st.floats(-400, 400), st.floats(-400, 400))
@thorough
def test_a_word_partly_outside_is_drawn_in_part(text, polygon, x, y):
    """What is in view is the same as in a larger view, but for rounding."""
    polygon = polygon + (round(x), round(y))
    label, faults = render_words([polygon], [text], SHAPE)
    around = render_label([polygon + SIZE], [text], (3 * SIZE, 3 * SIZE))
    expected = around[SIZE : 2 * SIZE, SIZE : 2 * SIZE]
    assert faults == [None]
    difference = np.abs(label.astype(int) - expected)
    assert difference.sum() <= 0.02 * expected.sum(dtype=float) + 255


@given(words, polygons, st.booleans())
@thorough
def test_flipped_or_reversed_polygons_are_never_drawn_mirrored(text, polygon, flip):
    """Counterclockwise points, as MMOCR's flips leave them, are refused; not drawn in mirror
    writing."""
    wrong = polygon * (-1, 1) + (SIZE, 0) if flip else polygon[::-1]
    label, (fault,) = render_words([wrong], [text], SHAPE)
    assert 'mirrored' in str(fault) or 'crosses itself' in str(fault)
    assert not label.any()
