"""Global generators are seeded and restored; an index keeps its epoch."""

import pickle
import random
from contextlib import suppress

import numpy as np
import pytest
import torch

pytest.importorskip('mmocr')

import imgaug
from imgaug import augmenters

from odm_mmocr.datasets import SampleIndex, seeded

AUGMENTER = augmenters.Affine(rotate=(-90, 90))
IMAGE = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)


def draw() -> list:
    return [
        random.random(),
        np.random.rand(),
        torch.rand(1).item(),
        imgaug.random.get_global_rng().integers(0, 1 << 30),
        int(AUGMENTER(image=IMAGE).astype(int).sum()),
    ]


def test_equal_sequences_give_equal_draws_from_every_generator():
    with seeded((0, 1, 2)):
        first = draw()
    draw()
    with seeded((0, 1, 2)):
        assert draw() == first
    with seeded((0, 1, 3)):
        assert all(a != b for a, b in zip(draw(), first))


def test_generators_go_on_as_if_nothing_had_been():
    with seeded((7, 7, 7)):
        expected = [draw(), draw()]
    with seeded((7, 7, 7)):
        got = [draw()]
        with suppress(ZeroDivisionError), seeded((1, 1, 1)):
            draw()
            raise ZeroDivisionError
        got.append(draw())
    assert got == expected


def test_index_is_an_int_with_an_epoch():
    index = SampleIndex(5, epoch=3)
    assert index == 5
    assert [10, 11, 12, 13, 14, 15][index] == 15
    for copy in (pickle.loads(pickle.dumps(index)), index - 0, index % 10):
        assert (copy, copy.epoch) == (5, 3)
    assert (index - 2).epoch == (index % 2).epoch == 3
    assert SampleIndex(5).epoch == 0
