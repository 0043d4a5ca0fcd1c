import pickle

import cv2
import numpy as np
import pytest

from odm_mmocr.rendering import render_label, split_polygon
from odm_mmocr.rendering.fonts import default_font_path
from odm_mmocr.synthesis import Scene, SceneSynthesizer

DEMO_WORDS = [
    'open',
    'closed',
    'sale',
    'exit',
    'taxi',
    'hotel',
    'coffee',
    'police',
    'bank',
    'museum',
]


def make(count: int = 20, seed: int = 0, **settings) -> list[Scene]:
    synthesizer = SceneSynthesizer(**settings)
    return [synthesizer(np.random.default_rng((seed, 0, i))) for i in range(count)]


def filled(polygon: np.ndarray, shape: tuple[int, int], grow: int = 0) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    points = np.round(polygon * 16).astype(np.int32)
    cv2.fillPoly(mask, [points], 1, shift=4)
    return cv2.dilate(mask, np.ones((2 * grow + 1,) * 2, np.uint8)) if grow else mask


def heights(scene: Scene) -> list[float]:
    rungs = (split_polygon(polygon) for polygon in scene.polygons)
    return [float(np.hypot(*(bottom - top).T).mean()) for top, bottom in rungs]


def full(patch: np.ndarray, corner: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    scene = Scene(np.zeros((*shape, 3), np.uint8), glyphs=[(patch, corner)])
    return scene.glyph_mask()


@pytest.fixture(scope='module')
def scenes():
    return make(30, size=(320, 256), words_per_image=(6, 6), with_glyphs=True, degradation=0)


def test_lists_match_and_have_the_documented_types(scenes):
    for scene in scenes:
        assert scene.image.shape == (256, 320, 3)
        assert scene.image.dtype == np.uint8
        assert len(scene.texts) == len(scene.polygons) == len(scene.character_quads)
        for text, polygon, quads in zip(scene.texts, scene.polygons, scene.character_quads):
            assert quads.shape == (len(text), 4, 2)
            assert polygon.ndim == 2
            assert len(polygon) % 2 == 0
            assert len(polygon) >= 4
            assert polygon.dtype == quads.dtype == np.float32
            assert (polygon.min(0) >= 0).all()
            assert (polygon.max(0) <= (319, 255)).all()


def test_ink_lies_within_its_polygon_and_reaches_all_its_sides(scenes):
    for scene in scenes:
        shape = scene.image.shape[:2]
        for polygon, glyph in zip(scene.polygons, scene.glyphs):
            ink = full(*glyph, shape)
            assert ink.max() > 60
            assert ink[filled(polygon, shape, grow=1) == 0].max() == 0
            if len(polygon) > 4:
                continue
            unit = np.float32([(0, 0), (1, 0), (1, 1), (0, 1)])
            to_unit = cv2.getPerspectiveTransform(polygon, unit)
            y, x = np.nonzero(ink > 40)
            across = cv2.perspectiveTransform(np.float32([np.stack((x, y), 1)]), to_unit)[0]
            height = np.hypot(*(polygon[3] - polygon[0]))
            slack = 0.08 + 1.5 / height
            assert across[:, 1].min() < slack or across[:, 1].max() > 1 - slack


def test_words_do_not_overlap(scenes):
    for scene in scenes:
        shape = scene.image.shape[:2]
        inner = [cv2.erode(filled(p, shape), np.ones((3, 3), np.uint8)) for p in scene.polygons]
        assert sum(inner).max() == 1
        ink = [full(*glyph, shape) > 60 for glyph in scene.glyphs]
        assert sum(mask.astype(int) for mask in ink).max() == 1


def test_letters_can_be_told_from_the_background(scenes):
    differences = []
    for scene in scenes:
        grey = cv2.cvtColor(scene.image, cv2.COLOR_BGR2GRAY).astype(float)
        shape = grey.shape
        for polygon, glyph in zip(scene.polygons, scene.glyphs):
            ink = full(*glyph, shape)
            solid = ink >= 0.8 * ink.max()
            ground = (filled(polygon, shape) == 1) & (ink == 0)
            if ground.any():
                differences.append(abs(grey[solid].mean() - grey[ground].mean()))
    assert np.median(differences) > 60
    assert np.mean(np.array(differences) > 25) > 0.95


def test_reading_order_starts_at_the_top_left_of_the_first_letter():
    """T has its ink above, and is wider inked than the full stop at the end."""
    settings = dict(size=(256, 256), words=['TTTT.'], fonts=default_font_path(), curved=0.5)
    turned = curved = 0
    for scene in make(30, words_per_image=(2, 3), with_glyphs=True, **settings):
        for polygon, quads, glyph in zip(scene.polygons, scene.character_quads, scene.glyphs):
            x, y = polygon.T
            assert (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() > 0, 'not clockwise'
            ink = full(*glyph, (256, 256)).astype(float)
            by_letter = [ink[filled(quad, (256, 256)) == 1].sum() for quad in quads]
            assert min(by_letter[:4]) > 1.8 * by_letter[4]
            top, bottom = split_polygon(polygon)
            middle = (top + bottom) / 2
            upper = filled(np.concatenate((top, middle[::-1])), (256, 256)) == 1
            lower = filled(np.concatenate((middle, bottom[::-1])), (256, 256)) == 1
            assert ink[upper].sum() > 1.2 * ink[lower].sum()
            turned += abs(polygon[1, 1] - polygon[0, 1]) > abs(polygon[1, 0] - polygon[0, 0])
            curved += len(polygon) > 4
    assert turned > 0
    assert curved > 5


def test_character_boxes_hold_their_letters():
    for scene in make(10, words=['ixo'], with_glyphs=True, curved=0.3, fonts=default_font_path()):
        shape = scene.image.shape[:2]
        for quads, glyph in zip(scene.character_quads, scene.glyphs):
            ink = full(*glyph, shape)
            widths = [np.hypot(*(quad[1] - quad[0])) for quad in quads]
            assert widths[0] < min(widths[1:])
            union = np.maximum.reduce([filled(quad, shape, grow=1) for quad in quads])
            assert ink[union == 0].sum() < 0.02 * ink.sum()


def test_curved_words_have_more_points():
    scenes = make(10, curved=1.0, blocks=0.0, max_rotation=0.0)
    points = [len(polygon) for scene in scenes for polygon in scene.polygons]
    assert np.mean(np.array(points) >= 8) > 0.8
    assert all(len(p) == 4 for scene in make(10, curved=0.0) for p in scene.polygons)


def turn_of(polygon: np.ndarray) -> float:
    """Angle, in radians, between the first and the last piece of the upper side, followed along."""
    pieces = np.diff(split_polygon(polygon)[0], axis=0)
    angles = np.unwrap(np.arctan2(pieces[:, 1], pieces[:, 0]))
    return float(abs(angles[-1] - angles[0]))


def test_arcs_are_lines_of_several_words_bent_strongly():
    settings = dict(curved=0.0, words_per_image=(3, 3), words=DEMO_WORDS, perspective=0.0)
    scenes = make(20, arcs=1.0, **settings)
    turns = [sum(map(turn_of, scene.polygons)) for scene in scenes]
    assert np.median(turns) > 1.2
    assert max(turns) > 2.5
    assert all(len(p) == 4 for scene in make(10, **settings) for p in scene.polygons)


def test_scenes_of_the_parts_share_no_word():
    texts = [
        {text for scene in make(15, part=part) for text in scene.texts}
        for part in ('train', 'test')
    ]
    assert not texts[0] & texts[1]


def test_a_quick_demo_gets_readable_words_and_its_vocabulary_only():
    scenes = make(60, size=(128, 128), words=DEMO_WORDS, words_per_image=(2, 2))
    assert all(len(scene.texts) == 2 for scene in scenes)
    assert {text for scene in scenes for text in scene.texts} == set(DEMO_WORDS)
    assert min(h for scene in scenes for h in heights(scene)) > 13.8


def test_sizes_and_numbers_of_words():
    for scene in make(2, size=(1280, 720), words_per_image=(20, 20)):
        assert scene.image.shape == (720, 1280, 3)
        assert len(scene.texts) >= 18
        assert min(heights(scene)) > 9.8
    numbers = {len(scene.texts) for scene in make(40, words_per_image=(1, 3), size=(160, 96))}
    assert numbers == {1, 2, 3}
    assert all(len(scene.texts) >= 1 for scene in make(10, size=(64, 64), words_per_image=(9, 9)))


def test_some_words_are_small_and_some_large():
    found = np.array([h for scene in make(30) for h in heights(scene)])
    assert (found < 16).mean() > 0.1
    assert (found > 40).mean() > 0.1


def test_settings_of_hardness_can_be_switched_off():
    plain = dict(vertical=0.0, perspective=0.0, max_rotation=0.0, curved=0.0)
    for scene in make(10, words=DEMO_WORDS, **plain):
        for polygon in scene.polygons:
            edges = np.roll(polygon, -1, 0) - polygon
            assert np.abs(edges[0::2, 1]).max() < 1e-3  # level
            assert np.abs(edges[1::2, 0]).max() < 1e-3  # upright
    settings = dict(plain, vertical=1.0, words=['museum'], words_per_image=(1, 1))
    turned = make(10, size=(512, 512), **settings)
    extents = np.array([np.ptp(scene.polygons[0], 0) for scene in turned])
    assert (extents[:, 1] > 2 * extents[:, 0]).all()


def test_letters_without_effects_are_of_one_colour(tmp_path):
    cv2.imwrite(str(tmp_path / 'grey.png'), np.full((400, 400, 3), 90, np.uint8))
    settings = dict(boards=0.0, degradation=0.0, with_glyphs=True, text_height=(30, 60))
    settings.update(backgrounds=tmp_path, texture_share=0.0, words=DEMO_WORDS)

    def colours(effects):
        inside, outside = [], []
        for scene in make(8, effects=effects, **settings):
            apart = cv2.dilate(scene.glyph_mask(), np.ones((3, 3), np.uint8)) == 0
            outside.append(len(np.unique(scene.image[apart], axis=0)))
            for mask, (x, y) in scene.glyphs:
                patch = scene.image[y : y + mask.shape[0], x : x + mask.shape[1]]
                core = cv2.erode(mask, np.ones((3, 3), np.uint8)) == 255
                inside.append(len(np.unique(patch[core], axis=0)))
        return max(inside), max(outside)

    assert colours(0.0) == (1, 1)
    assert min(colours(1.0)) > 20


def test_glyph_masks_cost_nothing_unless_asked_for(scenes):
    with_masks = make(2, size=(320, 256), words_per_image=(6, 6), degradation=0)
    for scene, reference in zip(with_masks, scenes):
        assert scene.glyphs == []
        np.testing.assert_array_equal(scene.image, reference.image)
    mask = scenes[0].glyph_mask()
    assert mask.shape == (256, 320)
    assert mask.max() > 200


def test_a_pickled_synthesizer_makes_the_same_scenes(shared_data):
    synthesizer = SceneSynthesizer((200, 150), backgrounds=shared_data / 'backgrounds')
    for i in range(5):
        synthesizer(np.random.default_rng(100 + i))
    copy = pickle.loads(pickle.dumps(synthesizer))
    for i in range(10):
        one, two = (made(np.random.default_rng(i)) for made in (synthesizer, copy))
        assert one.texts == two.texts
        np.testing.assert_array_equal(one.image, two.image)
        np.testing.assert_array_equal(np.concatenate(one.polygons), np.concatenate(two.polygons))


@pytest.mark.parametrize(
    ('settings', 'error', 'message'),
    [
        (dict(words='nowhere.txt'), FileNotFoundError, r'nowhere\.txt'),
        (dict(words=[]), ValueError, 'empty'),
        (dict(words=['书店', 'open'], fonts=default_font_path()), ValueError, '书店'),
        (dict(words=['x' * 99], size=(128, 128)), ValueError, 'too long'),
        (dict(fonts='nowhere.ttf'), FileNotFoundError, r'nowhere\.ttf'),
        (dict(backgrounds='nowhere'), FileNotFoundError, 'nowhere'),
        (dict(size=(32, 512)), ValueError, 'size'),
        (dict(words_per_image=(0, 3)), ValueError, 'words_per_image'),
        (dict(words_per_image=(4, 3)), ValueError, 'words_per_image'),
        (dict(text_height=(2, 30)), ValueError, 'text_height'),
        (dict(curved=1.5), ValueError, 'curved is 1.5'),
        (dict(arcs=1.5), ValueError, 'arcs is 1.5'),
        (dict(part='val'), ValueError, "part is 'val'"),
        (dict(degradation=-1), ValueError, 'degradation'),
        (dict(vertical=2), ValueError, 'vertical'),
        (dict(perspective=1.1), ValueError, 'perspective'),
        (dict(effects=-0.1), ValueError, 'effects'),
        (dict(max_rotation=-5), ValueError, 'max_rotation is -5'),
        (dict(max_rotation=float('nan')), ValueError, 'max_rotation is nan'),
        (dict(contrast=-500), ValueError, 'contrast'),
        (dict(texture_share=3), ValueError, 'texture_share'),
    ],
)
def test_bad_settings_are_refused_when_built(settings, error, message):
    with pytest.raises(error, match=message):
        SceneSynthesizer(**settings)


PLAIN = dict(max_rotation=0, perspective=0, vertical=0, curved=0)


@pytest.mark.parametrize('with_boxes', [False, True], ids=['polygons', 'boxes'])
@pytest.mark.parametrize(
    'geometry',
    [PLAIN, PLAIN | dict(max_rotation=180), PLAIN | dict(perspective=1), PLAIN | dict(curved=1)],
    ids=['straight', 'rotated', 'perspective', 'curved'],
)
def test_labels_in_the_same_font_meet_the_letters(geometry, with_boxes):
    """Word by word: drawn from polygon and text alone, and with the boxes of the characters."""
    shape, fonts = (384, 384), default_font_path()
    words = 0
    for scene in make(6, with_glyphs=True, size=shape, fonts=fonts, **geometry):
        for text, polygon, quads, (patch, (x, y)) in zip(
            scene.texts, scene.polygons, scene.character_quads, scene.glyphs, strict=True
        ):
            letters = np.zeros(shape, np.uint8)
            letters[y : y + patch.shape[0], x : x + patch.shape[1]] = patch
            label = render_label([polygon], [text], shape, fonts, [quads] if with_boxes else None)
            both, either = (letters > 127) & (label > 127), (letters > 127) | (label > 127)
            assert both.sum() >= 0.8 * either.sum(), text
            words += 1
    assert words > 10
