"""Parts of a data set that has no split of its own."""

import random


def draw(count: int, fraction: float, seed: int) -> list[int]:
    """Draw a fraction of the images by a seed.

    Args:
        count (int): Number of images.
        fraction (float): From 0 to 1. Where it is neither, at least one image is drawn and at least
            one is left.
        seed (int): The same seed draws the same images.

    Returns:
        list[int]: Indices of the images drawn, ascending.

    Raises:
        ValueError: If the fraction is none, or there are too few images for two parts.
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f'expected a fraction from 0 to 1, found {fraction}')
    if fraction in (0, 1):
        return list(range(int(fraction) * count))
    if count < 2:
        raise ValueError(f'cannot make two parts of {count} image{"s" * (count != 1)}')
    drawn = min(max(round(fraction * count), 1), count - 1)
    return sorted(random.Random(seed).sample(range(count), drawn))
