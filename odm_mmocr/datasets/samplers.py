"""The order of the samples in training."""

from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from mmocr.registry import DATA_SAMPLERS
from torch.utils.data import Sampler

from .seeding import SampleIndex


@DATA_SAMPLERS.register_module()
class SeededInfiniteSampler(Sampler):
    """An endless stream of `SampleIndex`, one permutation of the data set after the other.

    The permutation of an epoch depends on (seed, epoch) alone, so that any position of the stream
    can be reached at once. All ranks deal the same stream out among themselves like cards: over all
    of them every sample stands in an epoch exactly once, nothing is padded or left out. Where the
    number of samples is no multiple of the ranks', some ranks take one sample more of an epoch than
    others; over the epochs this evens out.

    Args:
        dataset (Sized): The data set.
        shuffle (bool): Whether to permute. Defaults to True.
        seed (int, optional): Seed, the same on all ranks. Defaults to None: a random one that the
            ranks agree on.

    Raises:
        ValueError: If the data set is empty.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: int | None = None) -> None:
        self.size = len(dataset)
        if not self.size:
            raise ValueError(f'{type(dataset).__name__} has no samples to draw from')
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.rank, self.world_size = get_dist_info()
        self.position = 0

    def seek(self, position: int) -> None:
        """Start the next iteration after `position` samples of this rank, without drawing them."""
        if position < 0:
            raise ValueError(f'position must be 0 or more, not {position}')
        self.position = position

    def __iter__(self) -> Iterator[SampleIndex]:
        # The place of this rank's next sample in the stream of all ranks.
        epoch, offset = divmod(self.position * self.world_size + self.rank, self.size)
        while True:
            order = self._order(epoch)
            for index in order[offset :: self.world_size]:
                yield SampleIndex(index, epoch)
            taken = -(-(self.size - offset) // self.world_size)
            skipped, offset = divmod(offset + taken * self.world_size, self.size)
            epoch += skipped

    def __len__(self) -> int:
        """Samples of an epoch over all ranks; the stream itself never ends."""
        return self.size

    def _order(self, epoch: int) -> np.ndarray:
        if not self.shuffle:
            return np.arange(self.size)
        return np.random.default_rng((self.seed, epoch)).permutation(self.size)
