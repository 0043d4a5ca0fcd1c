import math

import numpy as np
import pytest
import torch

from odm_mmocr.evaluation import RetrievalMetric


def sample(image, text, words, noise=()):
    unit = [torch.tensor(v, dtype=torch.float32) for v in (image, text)]
    return dict(
        pred_features=dict(zip(('image', 'text'), (v / v.norm().clamp(min=1e-9) for v in unit))),
        prompt=dict(
            texts=[*words, *noise],
            shown=torch.tensor([True] * len(words) + [False] * len(noise) + [False]),
        ),
    )


def evaluate(samples, **settings):
    metric = RetrievalMetric(**settings)
    for one in samples:
        metric.process([], [one])
    return metric.evaluate(len(samples))


def direct(samples, k):
    """Recall by sorting, with the right one behind equals."""
    samples = [s for s in samples if s['prompt']['shown'].any()]
    keys = [
        frozenset(t for t, shown in zip(s['prompt']['texts'], s['prompt']['shown']) if shown)
        for s in samples
    ]
    texts = {}
    for key, one in zip(keys, samples):
        texts.setdefault(key, one['pred_features']['text'])
    images = [s['pred_features']['image'] for s in samples]
    i2t = []
    for key, image in zip(keys, images):
        order = sorted(texts, key=lambda other: (-float(image @ texts[other]), other == key))
        i2t.append(key in order[:k])
    t2i = []
    for key, text in texts.items():
        order = sorted(range(len(images)), key=lambda i: (-float(images[i] @ text), keys[i] == key))
        t2i.append(any(keys[i] == key for i in order[:k]))
    return np.mean(i2t), np.mean(t2i)


def test_figures_are_those_of_sorting():
    rng = np.random.default_rng(0)
    texts = {word: rng.normal(size=6) for word in 'abcdefgh'}
    samples = []
    for _ in range(30):
        words = sorted(rng.choice(list(texts), rng.integers(0, 3), replace=False))
        text = np.mean([texts[w] for w in words], 0) if words else np.zeros(6)
        samples.append(sample(text + 1.5 * rng.normal(size=6), text, words, noise=['z']))
    figures = evaluate(samples, ks=(1, 2, 5))
    for k in (1, 2, 5):
        i2t, t2i = direct(samples, k)
        assert figures[f'odm/i2t_recall@{k}'] == pytest.approx(i2t)
        assert figures[f'odm/t2i_recall@{k}'] == pytest.approx(t2i)
    assert 0.1 < figures['odm/i2t_recall@1'] < figures['odm/i2t_recall@5'] < 1


def test_order_and_repetition_of_words_make_no_other_text():
    samples = [
        sample([1, 0], [1, 0], ['a', 'b']),
        sample([1, 0], [1, 0], ['b', 'a']),
        sample([0, 1], [0, 1], ['c']),
    ]
    assert evaluate(samples, ks=(1,)) == {'odm/i2t_recall@1': 1, 'odm/t2i_recall@1': 1}


def test_constant_features_find_nothing():
    samples = [sample([1, 0], [1, 0], [word]) for word in 'abcd']
    assert evaluate(samples, ks=(1, 3)) == {
        'odm/i2t_recall@1': 0, 'odm/t2i_recall@1': 0,
        'odm/i2t_recall@3': 0, 'odm/t2i_recall@3': 0,
    }  # fmt: skip


def test_features_that_are_no_numbers_find_nothing():
    samples = [sample([math.nan, 0], [1, 0], [word]) for word in 'abcd']
    assert set(evaluate(samples, ks=(1, 3)).values()) == {0}


def test_a_choice_of_no_more_than_k_says_nothing():
    samples = [sample([1, 0], [1, 0], ['a']), sample([0, 1], [0, 1], ['b'])]
    assert set(evaluate(samples, ks=(1, 2))) == {'odm/i2t_recall@1', 'odm/t2i_recall@1'}
    assert evaluate([sample([1, 0], [0, 0], [], noise=['z'])]) == {}


def test_a_k_below_one_is_an_error():
    with pytest.raises(ValueError, match='ks'):
        RetrievalMetric(ks=(0, 5))
