"""A random state of its own for every training step."""

import random

import numpy as np
import torch


def seed_step(seed: int, rank: int, iteration: int) -> None:
    """Seed what a model may draw from in a step (dropout, drop path, …).

    As the state depends on nothing that came before, a run that resumes draws as the unbroken one
    would have. The data have random states of their own (:class:`SeededDataset`).

    Args:
        seed: Of the run, 0 or more.
        rank: Of the process; each draws differently.
        iteration: Number of the step, from 0.
    """
    words = np.random.SeedSequence((seed, rank, iteration)).generate_state(4)
    first, second, third, fourth = (int(word) for word in words)
    random.seed(first)
    np.random.seed(second)
    torch.default_generator.manual_seed(third)
    if torch.cuda.is_available():
        torch.cuda.manual_seed(fourth)
