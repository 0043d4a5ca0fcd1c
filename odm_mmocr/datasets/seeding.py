"""A random state of its own for every sample."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import imgaug
import numpy as np
import torch


class SampleIndex(int):
    """An index into a data set that also says in which epoch it is drawn.

    It is an `int` everywhere else, and keeps its epoch through the arithmetic by which
    `ConcatDataset` and `RepeatDataset` pass an index on.

    Args:
        index (int): Index of the sample.
        epoch (int): Epoch, 0 or more. Defaults to 0.
    """

    epoch: int

    def __new__(cls, index: int, epoch: int = 0) -> 'SampleIndex':
        self = super().__new__(cls, index)
        self.epoch = epoch
        return self

    def __getnewargs__(self) -> tuple[int, int]:
        return int(self), self.epoch

    def __sub__(self, other: int) -> 'SampleIndex':
        return SampleIndex(int(self) - other, self.epoch)

    def __mod__(self, other: int) -> 'SampleIndex':
        return SampleIndex(int(self) % other, self.epoch)

    def __repr__(self) -> str:
        return f'{type(self).__name__}({int(self)}, epoch={self.epoch})'


@contextmanager
def seeded(seed_sequence: Sequence[int]) -> Iterator[None]:
    """Seed every global generator that transforms draw from, and restore them all afterwards.

    These are `random`, numpy, torch (on the CPU) and imgaug. The imgaug augmenters without a seed
    share its global generator as long as worker processes are forked, which is the default on
    Linux; in spawned ones each augmenter has a copy that cannot be reached from here.

    Args:
        seed_sequence (Sequence[int]): Integers of 0 or more, such as (seed, epoch, index). Equal
            sequences give equal states, different ones of one length independent states.
    """
    words = [int(word) for word in np.random.SeedSequence(seed_sequence).generate_state(4)]
    imgaug_generator = imgaug.random.get_global_rng()
    states = (
        random.getstate(),
        np.random.get_state(),
        torch.get_rng_state(),
        imgaug_generator.state,
    )
    random.seed(words[0])
    np.random.seed(words[1])
    torch.default_generator.manual_seed(words[2])  # torch.manual_seed would touch CUDA's as well
    imgaug.random.seed(words[3])
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        imgaug_generator.state = states[3]
