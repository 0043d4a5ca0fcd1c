"""Several data sets in one, at set ratios."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from mmocr.registry import DATASETS
from torch.utils.data import Dataset

from .seeding import SampleIndex


@DATASETS.register_module()
class MixedDataset(Dataset):
    """Several data sets of any sizes, mixed at set ratios, for training.

    Each epoch has the same number of samples of a data set, its ratio to within a sample, in an
    order of its own. Over all epochs a data set is walked through evenly: each of its samples comes
    once, in random order, before any comes again. Its sample is asked for by a `SampleIndex` whose
    epoch counts the passes through that data set, so that synthesized images are new in each.

    All of this depends on (seed, epoch, index) alone, the epoch being that of the `SampleIndex` by
    which the mixture is asked: samples can be drawn in any order and by any number of workers. A
    plain int means epoch 0. As the mixture is shuffled already, its sampler need not shuffle.

    For validation, `ConcatDataset` is the one to use: it gives each sample once, and figures of
    each data set with `MultiDatasetsEvaluator`.

    Args:
        datasets (Sequence[Dataset or dict]): The data sets or their configs.
        ratios (Sequence[float]): Share of each, 0 or more; they need not add up to 1. A data set of
            ratio 0 is not built, so that its files may be missing.
        epoch_length (int): Samples of an epoch, of all data sets together. Defaults to 10000.
        seed (int): Seed, 0 or more. Defaults to 0.

    Raises:
        ValueError: If there is not one ratio for each data set, a ratio is negative or no number,
            all are 0, one is so small that an epoch has no sample of its data set, a data set is
            empty, or another setting is out of range.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset | dict],
        ratios: Sequence[float],
        epoch_length: int = 10000,
        seed: int = 0,
    ) -> None:
        if epoch_length < 1 or seed < 0:
            raise ValueError(
                f'epoch_length is {epoch_length} and seed {seed}; expected at least 1 and 0'
            )
        if len(datasets) != len(ratios):
            raise ValueError(
                f'{len(datasets)} data sets but {len(ratios)} ratios; give one for each, 0 for a '
                'data set to leave out'
            )
        if not all(0 <= ratio < float('inf') for ratio in ratios) or not any(ratios):
            raise ValueError(
                f'ratios are {list(ratios)}; expected numbers of 0 or more, one of them above 0'
            )
        counts = share_out(epoch_length, [ratio for ratio in ratios if ratio])
        if not all(counts):
            raise ValueError(
                f'ratios {list(ratios)} leave a data set without a sample in an epoch of '
                f'{epoch_length}; make epoch_length larger, or its ratio 0'
            )
        self.datasets = [
            _build(dataset, number) if isinstance(dataset, dict) else dataset
            for number, (dataset, ratio) in enumerate(zip(datasets, ratios))
            if ratio
        ]
        self.counts = tuple(counts)
        self.epoch_length = epoch_length
        self.seed = seed
        self.full_init()
        for dataset in self.datasets:
            if not len(dataset):
                name = getattr(dataset, 'ann_file', '') or type(dataset).__name__
                raise ValueError(f'{name} has no samples; give it the ratio 0')

    def full_init(self) -> None:
        """Load the annotations, where a data set loads them lazily."""
        for dataset in self.datasets:
            if hasattr(dataset, 'full_init'):
                dataset.full_init()

    @property
    def metainfo(self) -> dict:
        """Metainfo of the first data set, empty where it has none."""
        return getattr(self.datasets[0], 'metainfo', {})

    @property
    def test_mode(self) -> bool:
        """Whether any of the data sets is for testing."""
        return any(getattr(dataset, 'test_mode', False) for dataset in self.datasets)

    def locate(self, index: int) -> tuple[Dataset, SampleIndex]:
        """Find out where a sample comes from.

        Args:
            index (int): Index, or `SampleIndex` with the epoch.

        Returns:
            tuple: The data set, and the index in it with the pass through it as its epoch.

        Raises:
            IndexError: If the index is beyond the epoch.
        """
        if not 0 <= index < self.epoch_length:
            raise IndexError(f'sample {int(index)} of {self.epoch_length}')
        epoch = getattr(index, 'epoch', 0)
        sources, ranks = _arrange(self.counts, self.seed, epoch)
        source = int(sources[index])
        dataset = self.datasets[source]
        taken = epoch * self.counts[source] + int(ranks[index])
        walk, place = divmod(taken, len(dataset))
        order = _permute(len(dataset), self.seed, source, walk)
        return dataset, SampleIndex(int(order[place]), walk)

    def get_data_info(self, index: int) -> dict:
        """The annotation of a sample, as its data set holds it."""
        dataset, inner = self.locate(index)
        return dataset.get_data_info(inner)

    def __len__(self) -> int:
        return self.epoch_length

    def __getitem__(self, index: int) -> Any:
        """Load sample `index` (a `SampleIndex`, or an int for epoch 0).

        Raises:
            IndexError: If the index is beyond the epoch.
        """
        dataset, inner = self.locate(index)
        return dataset[inner]


def share_out(total: int, ratios: Sequence[float]) -> list[int]:
    """Divide a number into whole parts by the method of the largest remainder.

    Args:
        total (int): What to divide, 0 or more.
        ratios (Sequence[float]): Share of each part, above 0.

    Returns:
        list[int]: The parts; their sum is `total`. Of equal remainders the first is the larger.
    """
    # By the largest first: the sum of large ratios could be infinite.
    exact = np.array(ratios, float) / max(ratios)
    exact *= total / exact.sum()
    parts = np.floor(exact).astype(int)
    # Rounded, so that remainders which are equal but for the last digit are equal.
    order = np.argsort(-(exact - parts).round(9), kind='stable')
    parts[order[: total - parts.sum()]] += 1
    return parts.tolist()


def _build(config: dict, number: int) -> Dataset:
    try:
        return DATASETS.build(config)
    except ValueError as error:
        # MMEngine says of a file without samples no more than that it cannot join no arrays.
        name = config.get('ann_file') or config['type']
        raise ValueError(
            f'data set {number} of the mixture ({name}) cannot be built: {error}. If it has no '
            'samples, give it the ratio 0'
        ) from error


# Neighbouring samples ask for the same arrays; no sample needs more than one of each.
@lru_cache(maxsize=4)
def _arrange(counts: tuple[int, ...], seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """For each place of an epoch its data set, and how many of that stand before it."""
    sources = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    sources = np.random.default_rng((seed, epoch, 1)).permutation(sources)
    ranks = np.empty(len(sources), np.int64)
    for source, count in enumerate(counts):
        ranks[sources == source] = np.arange(count)
    return sources, ranks


@lru_cache(maxsize=8)
def _permute(size: int, seed: int, source: int, walk: int) -> np.ndarray:
    """The order of a pass through a data set."""
    return np.random.default_rng((seed, walk, 2 + source)).permutation(size)
