"""What is inside data sets that wrap or join others."""

from collections.abc import Iterator

from mmengine.dataset import Compose
from torch.utils.data import Dataset


def walk_datasets(dataset: Dataset) -> Iterator[Dataset]:
    """Yield a data set and all those that it wraps or joins, outermost first.

    Args:
        dataset (Dataset): Any data set of MMOCR, or a wrapper such as `SeededDataset`,
            `ConcatDataset` and `RepeatDataset`.
    """
    yield dataset
    for part in getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]:
        if part is not None:
            yield from walk_datasets(part)


def find_pipelines(dataset: Dataset) -> list[Compose]:
    """Find the pipelines of a data set and of all those that it wraps or joins.

    Args:
        dataset (Dataset): As :func:`walk_datasets` takes it.

    Returns:
        list[Compose]: Each pipeline once, also where several data sets share it.
    """
    found = [getattr(part, 'pipeline', None) for part in walk_datasets(dataset)]
    return list({id(p): p for p in found if isinstance(p, Compose)}.values())
