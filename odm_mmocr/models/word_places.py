"""Where the prompted words stand, as points at which image tokens can be asked about them."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.structures import InstanceData
from torch import Tensor

from odm_mmocr.rendering import split_polygon
from odm_mmocr.structures import ODMDataSample

from .losses import exchange

POINTS = 5


class WordPlaces(NamedTuple):
    """Places and words of a batch, of which each process has a part.

    The M words are those of all processes, numbered in the order of ranks; none is there twice.

    Attributes:
        points: float32 (B, N, POINTS, 2), x and y in pixels along the middle of each place; not
            a number where a sample has fewer than N places.
        target: int64 (B, N), index of the word that stands there, -1 for no place.
        samples: int64 (R,), for the words that come from this process, the sample whose prompt has
            the word. With one process R is M.
        slots: int64 (R,), its slot in that prompt.
        counts: R of each process.
    """

    points: Tensor
    target: Tensor
    samples: Tensor
    slots: Tensor
    counts: list[int]


def collect_places(data_samples: Sequence[ODMDataSample]) -> WordPlaces:
    """Find where words of a batch's prompts stand, and the words of all its prompts.

    An ignored instance is no place; one that its own sample's prompt leaves out is, if another
    sample's prompt has its word. With several processes, all must call this.

    Args:
        data_samples: B samples with ``prompt`` and ``gt_instances``.

    Returns:
        Places of the instances, and the M different words of all prompts, of all processes.
    """
    first = {}  # the word's first place among the prompts
    for sample_index, sample in enumerate(data_samples):
        for slot, text in enumerate(sample.prompt.texts):
            first.setdefault(text, (sample_index, slot))
    shares = deal_words(exchange(list(first)))
    numbers = {text: number for number, text in enumerate(chain(*shares))}
    places = [
        [
            (points, numbers[text])
            for polygon, text in _readable(sample.gt_instances)
            if text in numbers and (points := middle_points(polygon)) is not None
        ]
        for sample in data_samples
    ]
    count = max(map(len, places))
    points = np.full((len(places), count, POINTS, 2), np.nan, np.float32)
    target = np.full((len(places), count), -1)
    for index, of_sample in enumerate(places):
        for place, (along, number) in enumerate(of_sample):
            points[index, place], target[index, place] = along, number
    order = np.array([first[text] for text in shares[get_rank()]], int).reshape(-1, 2)
    return WordPlaces(
        *map(torch.from_numpy, (points, target, order[:, 0], order[:, 1])),
        counts=[len(share) for share in shares],
    )


def deal_words(words: Sequence[Sequence[str]]) -> list[list[str]]:
    """Leave each word to the first process that has it.

    Args:
        words: The different words of each process.

    Returns:
        The words that remain to each process, in their order.
    """
    taken = set()
    shares = []
    for of_process in words:
        shares.append([text for text in of_process if text not in taken])
        taken.update(of_process)
    return shares


def _readable(instances: InstanceData) -> Iterator[tuple[np.ndarray, str]]:
    """Polygon and text of the instances that are not ignored."""
    ignored = instances.get('ignored')
    skip = [False] * len(instances) if ignored is None else ignored.tolist()
    for polygon, text, skipped in zip(instances.polygons, instances.texts, skip, strict=True):
        if not skipped:
            yield polygon, text


def middle_points(polygon: Sequence[float]) -> np.ndarray | None:
    """Spread points along the line midway between top and bottom of a word.

    Args:
        polygon: 2n points, flat or (2n, 2), in pixels, clockwise from the top left corner of the
            first letter.

    Returns:
        float64 (POINTS, 2), or None for a polygon without two sides.
    """
    try:
        top, bottom = split_polygon(np.asarray(polygon))
    except ValueError:
        return None
    middle = (top + bottom) / 2  # (n, 2)
    position = (np.arange(POINTS) + 0.5) / POINTS * (len(middle) - 1)
    known = np.arange(len(middle))
    return np.stack([np.interp(position, known, middle[:, axis]) for axis in (0, 1)], 1)


def pool_places(tokens: Tensor, points: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Average a map over the points of each place, without those outside the image.

    Args:
        tokens: (B, C, h, w), covers the whole image.
        points: (B, N, P, 2), x and y in pixels; (0, 0) is the centre of the first pixel.
        size: Height and width of the image in pixels.

    Returns:
        (B, N, C), zero for a place without a point inside, and bool (B, N), False there.
    """
    height, width = size
    x, y = (2 * points + 1).unbind(-1)
    grid = torch.stack([x / width, y / height], -1) - 1  # from -1 to 1
    inside = (grid.abs() <= 1).all(-1)  # (B, N, P), False for what is not a number
    dtype = torch.promote_types(tokens.dtype, torch.float32)
    # As F.grid_sample(padding_mode='border'), whose gradient CUDA adds up in any order.
    columns, rows = (
        _linear_weights(position.to(dtype), cells)
        for position, cells in zip(grid.unbind(-1), tokens.shape[:1:-1])
    )  # (B, N, P, w), (B, N, P, h)
    shares = inside / inside.sum(2, keepdim=True).clamp(min=1)  # (B, N, P)
    with torch.autocast(tokens.device.type, enabled=False):
        weights = (rows * shares.unsqueeze(-1)).transpose(2, 3) @ columns  # (B, N, h, w)
        values = weights.flatten(2) @ tokens.to(dtype).flatten(2).transpose(1, 2)  # (B, N, C)
    return values.to(tokens.dtype), inside.any(2)


def _linear_weights(position: Tensor, cells: int) -> Tensor:
    """Share of each of ``cells``, whose edges are at -1 and 1, at a position: (..., cells)."""
    at = ((position.nan_to_num(0) + 1) * cells - 1) / 2
    distance = at.clamp(0, cells - 1).unsqueeze(-1) - torch.arange(cells, device=at.device)
    return (1 - distance.abs()).clamp(min=0)
