"""Property tests of RenderDestylizedLabel."""

import pickle

import numpy as np
import pytest
import torch

pytest.importorskip('mmocr')

from odm_mmocr.datasets import SeededDataset
from odm_mmocr.datasets.errors import InvalidAnnotation
from odm_mmocr.datasets.transforms.destylize import RenderDestylizedLabel
from odm_mmocr.datasets.transforms.warp_scene import WarpScene, warp_image
from odm_mmocr.rendering import fill_polygons, render_label
from odm_mmocr.rendering.fonts import default_font_path
from odm_mmocr.synthesis import SceneSynthesizer

SHAPE = (120, 300)


def box(x: int, y: int, width: int = 100, height: int = 30) -> np.ndarray:
    return np.array([x, y, x + width, y, x + width, y + height, x, y + height], np.float32)


def sample(**changes) -> dict:
    """A scene with a readable word, an ignored one, one that no font covers and a second word."""
    results = {
        'img': np.zeros((*SHAPE, 3), np.uint8),
        'img_shape': SHAPE,
        'img_path': 'scene.jpg',
        'gt_polygons': [box(5, 5), box(150, 5), box(5, 70), box(150, 70)],
        'gt_texts': ['Alpha', '###', '汉字', 'Beta'],
        'gt_ignored': np.array([False, True, False, False]),
    }
    return {**results, **changes}


def test_every_readable_text_is_the_prompt_by_default():
    results = RenderDestylizedLabel()(sample())
    expected = render_label([box(5, 5), box(150, 70)], ['Alpha', 'Beta'], SHAPE)
    assert results['gt_destylized'].dtype == np.uint8
    np.testing.assert_array_equal(results['gt_destylized'], expected)
    assert results['gt_prompted'].tolist() == [True, False, True, True]


def test_unreadable_and_undrawable_words_are_ignored():
    transform = RenderDestylizedLabel()
    ignore = transform(sample())['gt_destylized_ignore']
    assert ignore.dtype == bool
    np.testing.assert_array_equal(ignore, fill_polygons([box(150, 5), box(5, 70)], SHAPE))
    assert transform.faults == {'no font for the text': 1}


def test_boxes_will_do_where_there_are_no_polygons():
    """As level quadrilaterals, also through a warp."""
    scene = sample()
    boxes = np.array([p[[0, 1, 4, 5]] for p in scene['gt_polygons']])
    without = sample(gt_bboxes=boxes)
    del without['gt_polygons']
    expected = RenderDestylizedLabel()(sample())['gt_destylized']
    np.testing.assert_array_equal(RenderDestylizedLabel()(dict(without))['gt_destylized'], expected)
    labels = []
    for results in (sample(), dict(without)):
        np.random.seed(3)
        results = RenderDestylizedLabel()(WarpScene(scale=(200, 200))(results))
        labels.append(results['gt_destylized'])
    np.testing.assert_array_equal(*labels)
    assert labels[0].any()


def test_instances_without_text_are_ignored():
    ignore = RenderDestylizedLabel()(sample(gt_texts=['Alpha', '###', '  ', 'Beta']))
    assert ignore['gt_destylized_ignore'][85, 50]


def test_prompted_ink_is_never_ignored():
    polygons = [box(5, 5), box(5, 5), box(5, 70), box(150, 70)]
    results = RenderDestylizedLabel()(sample(gt_polygons=polygons))
    assert (results['gt_destylized'] > 0).any()
    assert not (results['gt_destylized_ignore'] & (results['gt_destylized'] > 0)).any()
    assert results['gt_destylized_ignore'].any()


def test_dropped_words_have_a_label_of_their_own_and_are_background():
    prompt = {
        'prompt_texts': ['Beta'],
        'prompt_noise': [False],
        'gt_prompted': np.array([False, False, False, True]),
    }
    results = RenderDestylizedLabel(with_dropped=True)(sample(**prompt))
    only_beta = render_label([box(150, 70)], ['Beta'], SHAPE)
    only_alpha = render_label([box(5, 5)], ['Alpha'], SHAPE)
    np.testing.assert_array_equal(results['gt_destylized'], only_beta)
    np.testing.assert_array_equal(results['gt_destylized_dropped'], only_alpha)
    assert not results['gt_destylized_ignore'][5:35, 5:105].any()
    assert 'gt_destylized_dropped' not in RenderDestylizedLabel()(sample(**prompt))


def test_shape_falls_back_on_the_image():
    results = sample()
    del results['img_shape']
    assert RenderDestylizedLabel()(results)['gt_destylized'].shape == SHAPE


def test_scene_without_words():
    empty = sample(gt_polygons=[], gt_texts=[], gt_ignored=np.zeros(0, bool))
    results = RenderDestylizedLabel(with_dropped=True)(empty)
    for key in ('gt_destylized', 'gt_destylized_ignore', 'gt_destylized_dropped'):
        assert results[key].shape == SHAPE
        assert not results[key].any()


def test_bad_polygons_are_survived_and_counted():
    polygons = [np.full(8, np.nan, np.float32), box(150, 5), np.zeros(6, np.float32), box(150, 70)]
    transform = RenderDestylizedLabel()
    label = transform(sample(gt_polygons=polygons))['gt_destylized']
    np.testing.assert_array_equal(label, render_label([box(150, 70)], ['Beta'], SHAPE))
    assert transform.faults == {'unusable polygon': 2}


@pytest.mark.parametrize('extra', [[np.nan, np.nan], [np.inf, 0], [np.nan]])
def test_ink_is_not_ignored_beside_points_that_are_not_finite(extra):
    around = np.float32([*box(0, 0, 120, 60), *extra])
    results = RenderDestylizedLabel()(sample(gt_polygons=[box(5, 5), around, *[box(150, 70)] * 2]))
    label, ignore = results['gt_destylized'], results['gt_destylized_ignore']
    assert ignore[50, 60] and label[:60].any()
    assert not (ignore & (label > 0)).any()


def test_polygons_of_any_layout():
    scene = sample(gt_polygons=[box(5, 5), box(100, 5), box(5, 70), box(150, 70)])
    expected = RenderDestylizedLabel()(dict(scene))
    for layout in (lambda p: p.reshape(4, 2), lambda p: p.tolist()):
        results = RenderDestylizedLabel()(
            dict(scene, gt_polygons=[layout(p) for p in scene['gt_polygons']])
        )
        for key in ('gt_destylized', 'gt_destylized_ignore'):
            np.testing.assert_array_equal(results[key], expected[key])


@pytest.fixture
def log(monkeypatch):
    lines = []
    monkeypatch.setattr(
        'odm_mmocr.datasets.transforms.destylize.print_log', lambda line, **_: lines.append(line)
    )
    monkeypatch.setattr(RenderDestylizedLabel, '_logged', {})
    return lines


def test_each_fault_is_said_once_and_counted_always(log):
    transform = RenderDestylizedLabel()
    for _ in range(3):
        results = transform(sample())
    assert transform.faults.total() == 3
    assert len(log) == 1
    assert 'scene.jpg, instance 2' in log[0]
    assert ascii('汉字') in log[0]
    ((kind, where, report),) = results['label_faults']
    assert kind == 'no font for the text'
    assert where == 'scene.jpg, instance 2'
    assert report in log[0]
    assert 'label_faults' not in transform(sample(gt_texts=['Alpha', '###', 'C', 'Beta']))


def test_a_data_set_of_faults_does_not_flood_the_log(log):
    transform = RenderDestylizedLabel()
    for i in range(100):
        transform(sample(img_path=f'{i}.jpg'))
    assert transform.faults.total() == 100
    assert len(log) == 20
    assert 'not logged' in log[-1]


def test_faults_can_stop_a_training():
    """Not the loading of one sample, which the data set would replace by another."""
    transform = RenderDestylizedLabel(on_invalid='raise')
    with pytest.raises(InvalidAnnotation, match='instance 2.*no font'):
        transform(sample())
    small = sample(gt_texts=['Alpha', '###', '', 'Beta'])
    small['gt_polygons'][0] = np.float32([5, 5, 105, 5, 105, 5.9, 5, 5.9])
    assert transform(small)['label_faults'][0][0] == 'polygon below a pixel'  # scaled, no mistake
    transform(sample(gt_texts=['Alpha', '###', '', 'Beta']))  # ignored and empty are no faults

    class Scenes(torch.utils.data.Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return transform(sample())

    with pytest.raises(InvalidAnnotation):
        SeededDataset(Scenes())[0]
    with pytest.raises(ValueError, match="'warn'"):
        RenderDestylizedLabel(on_invalid='warn')


def test_glyphs_go_into_the_boxes_of_their_characters(log):
    """Unevenly spaced ones: the letters of the word stand apart."""
    quads = [box(5, 5, 20, 30), box(60, 5, 30, 30)]
    quads = [np.stack([quad.reshape(4, 2) for quad in quads])]
    scene = {
        'gt_polygons': [box(5, 5)],
        'gt_texts': ['AB'],
        'gt_ignored': np.array([False]),
    }
    label = RenderDestylizedLabel()(sample(**scene, gt_char_polygons=quads))['gt_destylized']
    assert label[:, 5:25].any()
    assert label[:, 60:90].any()
    assert not label[:, 26:60].any()
    whole = render_label([box(5, 5)], ['AB'], SHAPE)
    spared = RenderDestylizedLabel(use_char_polygons=False)
    np.testing.assert_array_equal(
        spared(sample(**scene, gt_char_polygons=quads))['gt_destylized'], whole
    )
    transform = RenderDestylizedLabel()
    results = transform(sample(**scene, gt_char_polygons=[quads[0][:1]]))
    np.testing.assert_array_equal(results['gt_destylized'], whole)
    assert not results['gt_destylized_ignore'].any()
    assert transform.faults == {'unusable character boxes': 1}
    with pytest.raises(ValueError, match='character boxes are out of step'):
        transform(sample(**scene, gt_char_polygons=[]))


@pytest.mark.parametrize(
    'count', [20, pytest.param(500, marks=pytest.mark.slow)], ids=['some', 'many']
)
def test_fuzzed_scenes(count, fuzz, log):
    """Of 20 instances each: every fault is counted, and outside of labels nothing is ignored that
    can be drawn."""
    rng = np.random.default_rng(count)
    transform, strict = RenderDestylizedLabel(), RenderDestylizedLabel(on_invalid='raise')
    for number in range(count):
        polygons, texts, _ = zip(*(fuzz(rng) for _ in range(20)))
        scene = dict(
            gt_polygons=list(polygons),
            gt_texts=list(texts),
            gt_ignored=rng.random(20) < 0.2,
            img_path=f'{number}.jpg',
        )
        before = transform.faults.total()
        results = transform(sample(**scene))
        assert results['gt_destylized'].shape == results['gt_destylized_ignore'].shape == SHAPE
        assert not (results['gt_destylized_ignore'] & (results['gt_destylized'] > 0)).any()
        found = len(results.get('label_faults', ()))
        assert transform.faults.total() - before == found
        if found:
            with pytest.raises(InvalidAnnotation, match=rf'{number}\.jpg, instance \d+'):
                strict(sample(**scene))
    assert transform.faults.total() > 5 * count


def weigh(power: float = 1.0, **changes) -> dict:
    return RenderDestylizedLabel(score_power=power)(sample(**changes))


def test_prompted_words_weigh_by_their_score():
    prompt = dict(prompt_texts=['Alpha'], gt_prompted=np.array([True, False, False, False]))
    for power in (0.5, 1.0, 2.0):
        scores = np.array([0.6, 0.1, 0.1, 0.2], np.float32)
        weight = weigh(power, gt_scores=scores, **prompt)['gt_destylized_weight']
        assert weight.dtype == np.uint8
        word = fill_polygons([box(5, 5)], SHAPE)
        assert (weight[word] == round(255 * 0.6**power)).all()
        # Neither what nobody can read nor a word that is to have no ink.
        assert (weight[~word] == 255).all()


def test_the_least_sure_of_overlapping_words_weighs():
    polygons = [box(5, 5), box(150, 5), box(150, 70), box(60, 10)]
    for scores in ([0.4, 1, 1, 0.8], [0.8, 1, 1, 0.4]):
        changes = dict(gt_polygons=polygons, gt_scores=np.float32(scores))
        weight = weigh(**changes)['gt_destylized_weight']
        assert weight[20, 30] == round(255 * scores[0])
        assert weight[20, 80] == 102
        assert weight[20, 130] == round(255 * scores[3])


def test_sure_words_weigh_like_everything_else():
    assert (weigh(gt_scores=np.ones(4, np.float32))['gt_destylized_weight'] == 255).all()
    unsure = weigh(gt_scores=np.zeros(4, np.float32))['gt_destylized_weight']
    np.testing.assert_array_equal(
        unsure == 0, fill_polygons([box(5, 5), box(5, 70), box(150, 70)], SHAPE)
    )


def test_no_weights_without_scores_or_power():
    assert 'gt_destylized_weight' not in weigh()
    assert 'gt_destylized_weight' not in weigh(0.0, gt_scores=np.zeros(4, np.float32))


@pytest.mark.parametrize('power', [-1.0, float('nan'), float('inf')])
def test_power_out_of_range(power):
    with pytest.raises(ValueError, match='score_power'):
        RenderDestylizedLabel(score_power=power)


def test_errors_are_raised_where_they_enter(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nowhere\.ttf'):
        RenderDestylizedLabel(fonts='nowhere.ttf')
    no_font = tmp_path / 'no.ttf'
    no_font.write_text('text')
    with pytest.raises(ValueError, match=r'no\.ttf'):
        RenderDestylizedLabel(fonts=[str(no_font)])
    with pytest.raises(ValueError, match='out of step'):
        RenderDestylizedLabel()(sample(gt_texts=['Alpha']))
    with pytest.raises(ValueError, match='gt_texts'):
        RenderDestylizedLabel()({'gt_polygons': [], 'gt_ignored': []})
    with pytest.raises(ValueError, match='4 polygons but 3 prompt flags'):
        RenderDestylizedLabel()(sample(gt_prompted=np.ones(3, bool), prompt_texts=[]))
    with pytest.raises(ValueError, match='4 polygons but 3 scores'):
        weigh(gt_scores=np.ones(3, np.float32))


def test_copies_for_workers_draw_the_same():
    transform = RenderDestylizedLabel(with_dropped=True)
    copy = pickle.loads(pickle.dumps(transform))
    for key in ('gt_destylized', 'gt_destylized_ignore', 'gt_destylized_dropped'):
        np.testing.assert_array_equal(transform(sample())[key], copy(sample())[key])


def test_glyphs_follow_their_boxes_through_a_warp():
    """On synthesized scenes in the font of the label: it meets the letters that WarpScene moves."""
    font = default_font_path()
    scenes = SceneSynthesizer(size=(384, 384), fonts=font, with_glyphs=True, curved=0.3)
    warp, render = WarpScene(scale=(448, 448), crop=(0.8, 1.0)), RenderDestylizedLabel(font)
    for index in range(6):
        np.random.seed(index)
        scene = scenes(np.random.default_rng(index))
        count = len(scene.texts)
        results = warp(
            dict(
                img=scene.image,
                gt_polygons=[polygon.ravel() for polygon in scene.polygons],
                gt_texts=scene.texts,
                gt_ignored=np.zeros(count, bool),
                gt_char_polygons=scene.character_quads,
            )
        )
        results['gt_ignored'][:] = False
        label = render(results)['gt_destylized'] > 127
        letters = warp_image(scene.glyph_mask(), results['homography'], (448, 448), 0) > 127
        assert (label & letters).sum() >= 0.8 * (label | letters).sum()
