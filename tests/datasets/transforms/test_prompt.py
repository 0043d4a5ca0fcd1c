"""Drop-Text, Noise-Text and texts that cannot be spelt."""

import numpy as np
import pytest

pytest.importorskip('mmocr')

from odm_mmocr.datasets import seeded
from odm_mmocr.datasets.transforms import DropText, IgnoreUnknownText, NoiseText, ensure_prompt

POLYGON = np.array([0, 0, 9, 0, 9, 5, 0, 5], np.float32)


@pytest.fixture(autouse=True)
def _fixed_draws():
    with seeded((0,)):
        yield


def scene(*texts: str, ignored: tuple[int, ...] = ()) -> dict:
    return {
        'img_path': 'scene.jpg',
        'gt_polygons': [POLYGON] * len(texts),
        'gt_texts': list(texts),
        'gt_ignored': np.isin(np.arange(len(texts)), ignored),
    }


def test_the_prompt_is_every_readable_text_once():
    results = ensure_prompt(scene('A', 'B', 'A', '###', ' ', 'b', ignored=(3,)))
    assert results['prompt_texts'] == ['A', 'B', 'b']
    assert results['prompt_noise'] == [False] * 3
    assert results['gt_prompted'].tolist() == [True, True, True, False, False, True]


def test_an_ignored_occurrence_of_a_prompted_text_is_not_prompted():
    results = ensure_prompt(scene('A', 'A', ignored=(1,)))
    assert results['gt_prompted'].tolist() == [True, False]


def test_words_beyond_max_words_are_dropped_at_random_and_keep_their_order():
    texts = [f'{n:02d}' for n in range(50)]
    chosen = [ensure_prompt(scene(*texts), max_words=10) for _ in range(2)]
    for results in chosen:
        assert len(results['prompt_texts']) == 10
        assert results['prompt_texts'] == sorted(results['prompt_texts'])
        prompted = [t for t, p in zip(texts, results['gt_prompted']) if p]
        assert prompted == results['prompt_texts']
    assert chosen[0]['prompt_texts'] != chosen[1]['prompt_texts']


def test_a_prompt_that_is_there_stays_and_says_which_instances_it_means():
    results = ensure_prompt({**scene('A', 'B', 'B', ignored=(2,)), 'prompt_texts': ['x', 'B']})
    assert results['prompt_texts'] == ['x', 'B']
    assert results['prompt_noise'] == [True, False]
    assert results['gt_prompted'].tolist() == [False, True, False]
    assert ensure_prompt(results, max_words=1)['prompt_texts'] == ['x', 'B']


def test_no_word_is_no_error():
    for transform in (ensure_prompt, DropText(), NoiseText((0, 0)), IgnoreUnknownText()):
        results = transform(scene())
        assert len(results['gt_ignored']) == 0
    assert ensure_prompt(scene())['gt_prompted'].dtype == bool


def test_words_are_dropped_by_string_and_stay_in_the_annotation():
    texts = ('A', 'B', 'A', 'C', 'B', 'A', '###')
    for _ in range(20):
        results = DropText(ratio=(0.5, 0.5))(scene(*texts, ignored=(6,)))
        assert results['gt_texts'] == list(texts)
        assert len(results['gt_polygons']) == 7
        assert 1 <= len(results['prompt_texts']) <= 2
        prompted = [text in results['prompt_texts'] for text in texts]
        assert results['gt_prompted'].tolist() == prompted
        assert not results['gt_prompted'][6]


@pytest.mark.parametrize('count', [3, 5, 20])
def test_the_share_of_dropped_words_is_kept_on_average(count):
    transform = DropText(ratio=(0.1, 0.3))
    texts = [f'w{n}' for n in range(count)]
    kept = [len(transform(scene(*texts))['prompt_texts']) for _ in range(600)]
    assert np.mean(kept) / count == pytest.approx(0.8, abs=0.03)
    assert len(set(kept)) > 1


def test_the_last_word_stays_unless_it_need_not():
    assert DropText(ratio=(1, 1))(scene('A'))['prompt_texts'] == ['A']
    results = DropText(ratio=(1, 1), min_words=0)(scene('A'))
    assert results['prompt_texts'] == []
    assert not results['gt_prompted'].any()


def test_noise_words_are_in_no_text_of_the_image():
    words = ['alpha', 'BETA', 'gamma', 'delta', 'epsilon']
    shown = ('Alpha', 'beta', 'GAMMA')
    transform = NoiseText(ratio=(1, 1), words=words)
    for _ in range(20):
        results = transform(scene(*shown, ignored=(1,)))
        assert results['prompt_texts'][:2] == ['Alpha', 'GAMMA']
        assert set(results['prompt_texts'][2:]) == {'delta', 'epsilon'}
        assert results['prompt_noise'] == [False, False, True, True]
        assert results['gt_prompted'].tolist() == [True, False, True]


@pytest.mark.parametrize('shown', ['Coffee!', 'COFFEE SHOP', 'tea, "coffee"', 'cafe\u0301 coffee'])
def test_noise_words_are_no_words_of_a_line(shown):
    transform = NoiseText(ratio=(1, 1), words=['coffee', '(Coffee)', 'tree'])
    assert transform(scene(shown))['prompt_texts'] == [
        transform(scene(shown))['gt_texts'][0],
        'tree',
    ]


def test_words_of_punctuation_alone_can_be_noise():
    results = NoiseText(ratio=(1, 1), words=['&', '!!'])(scene('!!', 'A'))
    assert results['prompt_texts'] == ['!!', 'A', '&']


@pytest.mark.parametrize('other', ['STOP ', '\u200bSTOP', 'STOP\ufeff'])
def test_what_looks_the_same_is_one_word(other):
    results = ensure_prompt(scene('STOP', other, '\u200b'))
    assert results['prompt_texts'] == ['STOP']
    assert results['gt_prompted'].tolist() == [True, True, False]
    for _ in range(5):
        results = DropText(ratio=(0.5, 0.5))(scene('STOP', other, 'GO'))
        first, second, _ = results['gt_prompted'].tolist()
        assert first == second == ('STOP' in results['prompt_texts'])


def test_composed_and_decomposed_letters_are_one_word():
    results = ensure_prompt(scene('café', 'cafe\u0301'))
    assert results['prompt_texts'] == ['café'] and results['gt_prompted'].all()
    assert results['gt_texts'] == ['café'] * 2  # models look words up in them
    results = ensure_prompt({**scene('café'), 'prompt_texts': ['cafe\u0301']})
    assert results['prompt_noise'] == [False] and results['gt_prompted'].all()


def test_a_text_too_long_to_be_drawn_is_no_error():
    assert ensure_prompt(scene('a ' * 10_000))['gt_prompted'].tolist() == [True]


def test_noise_of_the_built_in_words_differs_from_draw_to_draw():
    transform = NoiseText(ratio=(1, 1))
    texts = [f'q{n}x' for n in range(8)]
    draws = [tuple(transform(scene(*texts))['prompt_texts'][8:]) for _ in range(5)]
    assert all(len(set(draw)) == 8 for draw in draws)
    assert len(set(draws)) == 5


def test_noise_leaves_the_prompt_within_max_words():
    texts = [f'w{n}' for n in range(7)]
    results = NoiseText(ratio=(1, 1), max_words=9)(scene(*texts))
    assert len(results['prompt_texts']) == 9
    results = NoiseText(ratio=(1, 1), max_words=5)(scene(*texts))
    assert sum(results['prompt_noise']) == 0


def test_an_image_that_shows_every_word_gets_no_noise():
    results = NoiseText(ratio=(1, 1), words=['a', 'b'])(scene('A', 'B'))
    assert results['prompt_texts'] == ['A', 'B']


def test_dropping_keeps_noise_and_noise_follows_what_was_dropped():
    noise, drop = NoiseText(ratio=(1, 1), words=['x', 'a']), DropText(ratio=(0.5, 0.5))
    results = drop(noise(scene('A', 'B')))
    assert results['prompt_texts'][1:] == ['x']
    assert results['prompt_noise'] == [False, True]
    for _ in range(10):
        results = noise(drop(scene('A', 'B')))
        assert 'a' not in results['prompt_texts']  # dropped, but in the image


def test_texts_that_cannot_be_spelt_are_ignored_and_not_prompted():
    results = scene('Café', '漢字A', '漢字', 'B', ignored=(3,))
    flags = IgnoreUnknownText(min_known=0.5)(results)['gt_ignored']
    assert flags.tolist() == [False, True, True, True]
    assert ensure_prompt(results)['prompt_texts'] == ['Café']
    results = IgnoreUnknownText(min_known=1)(scene('Café', 'B'))
    assert results['gt_ignored'].tolist() == [True, False]
    results = IgnoreUnknownText('漢字')(scene('漢字', 'B'))
    assert results['gt_ignored'].tolist() == [False, True]


@pytest.mark.parametrize('key', ['gt_texts', 'gt_polygons', 'gt_ignored'])
def test_a_missing_annotation_is_named(key):
    results = scene('A')
    del results[key]
    with pytest.raises(ValueError, match=rf"scene\.jpg.*'{key}'.*LoadOCRAnnotations"):
        ensure_prompt(results)


def test_annotations_out_of_step_are_refused():
    results = scene('A', 'B')
    results['gt_polygons'] = results['gt_polygons'][:1]
    with pytest.raises(ValueError, match=r'scene\.jpg: 1 polygons, 2 texts.*WarpScene'):
        DropText()(results)


def test_bad_settings(tmp_path):
    for transform in (DropText, NoiseText):
        for ratio in ((0.3, 0.1), (-0.1, 0.1), (0.5, 1.5)):
            with pytest.raises(ValueError, match='ratio'):
                transform(ratio)
        with pytest.raises(ValueError, match='max_words'):
            transform(max_words=0)
    with pytest.raises(ValueError, match='min_words'):
        DropText(min_words=-1)
    with pytest.raises(ValueError, match='min_known'):
        IgnoreUnknownText(min_known=0)
    with pytest.raises(FileNotFoundError, match=r'words\.txt'):
        NoiseText(words=str(tmp_path / 'words.txt'))
    with pytest.raises(ValueError):
        NoiseText(words=[])
