"""Data sets of configs, and what is inside those that wrap or join others."""

from collections.abc import Iterator, Mapping

from mmengine.dataset import Compose
from mmocr.registry import DATASETS
from torch.utils.data import Dataset


def build_dataset(config: Mapping, source: str) -> Dataset:
    """Build a data set as a user's config has it, options of a command line perhaps merged in.

    Args:
        config (Mapping): Config of the data set.
        source (str): What messages call the config, its file.

    Raises:
        ValueError: A setting is unknown or of another kind than the data set takes.
        Exception: What the data set itself raises, such as `FileNotFoundError`.
    """
    try:
        return DATASETS.build(config)
    except (AttributeError, TypeError) as error:
        raise ValueError(f'the data set of {source} cannot be built: {error}') from error


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
