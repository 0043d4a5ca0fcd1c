"""Images that look alike, by a hash of what they look like."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

HASH_BITS = 64
_SIDE = 32  # pixels, of the picture that is transformed
_LOW = 8  # frequencies along each axis


def perceptual_hash(image: np.ndarray) -> int:
    """Hash of what an image looks like: the same at other sizes and qualities.

    The picture is made grey, shrunk to 32x32 and transformed into frequencies (DCT); of the 8x8
    lowest each bit says whether one is above their median (pHash, Zauner 2010).

    Args:
        image: uint8 (H, W, 3), BGR.

    Returns:
        64 bits, as an int.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32))[:_LOW, :_LOW].ravel()
    low[0] = np.median(low[1:])  # the mean brightness says nothing
    bits = low > np.median(low[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), 'big')


def find_near_duplicates(hashes: Sequence[int], max_distance: int) -> list[int | None]:
    """Find images that look like an earlier one.

    Args:
        hashes: Of :func:`perceptual_hash`.
        max_distance: Most bits that may differ, 0 to 16.

    Returns:
        For each the index of the first earlier one that is no duplicate itself and differs in at
        most so many bits; None where there is none.

    Raises:
        ValueError: The distance is out of range.
    """
    if not 0 <= max_distance <= 16:
        raise ValueError(f'max_distance must be 0 to 16 bits of {HASH_BITS}, not {max_distance}')
    # Of more parts than bits may differ at least one is equal: only those are compared.
    count = max_distance + 1
    bounds = [HASH_BITS * i // count for i in range(count + 1)]
    tables: list[dict[int, list[int]]] = [defaultdict(list) for _ in range(count)]
    found: list[int | None] = []
    for index, value in enumerate(hashes):
        parts = [(value >> low) & ((1 << (high - low)) - 1) for low, high in pairwise(bounds)]
        near = [
            other
            for table, part in zip(tables, parts)
            for other in table.get(part, ())
            if (hashes[other] ^ value).bit_count() <= max_distance
        ]
        found.append(min(near) if near else None)
        if not near:
            for table, part in zip(tables, parts):
                table[part].append(index)
    return found
