"""A wrapper that gives samples their own random state and survives bad ones."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from mmcv.transforms import LoadImageFromFile as PlainLoadImageFromFile
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement
from mmocr.datasets.transforms import LoadImageFromFile, LoadOCRAnnotations
from mmocr.registry import DATASETS
from torch.utils.data import Dataset

from .errors import InvalidAnnotation
from .pipelines import walk_datasets
from .seeding import SampleIndex, seeded
from .transforms import GuardedLoadImageFromFile

_LOADERS = (LoadImageFromFile, PlainLoadImageFromFile)
# What MMEngine also loads as an annotation, by objects of any class.
_UNSAFE = ('pkl', 'pickle', 'yaml', 'yml')


@DATASETS.register_module()
class SeededDataset(Dataset):
    """Any data set, with the random state of each sample fixed by (seed, epoch, index).

    The samples are the same with any number of worker processes, and do not depend on those drawn
    before. A sample that cannot be loaded or transformed is, in training, logged with its file,
    once a process, and replaced by another that (seed, epoch, index) determines as well; the
    metainfo `skipped` (list of str) of the replacement's `data_samples` says what was skipped and
    why. In testing it is an error.

    The metainfo `drawn` of the `data_samples` is (index, epoch): by these the same sample can be
    had again.

    Args:
        dataset (Dataset or dict): The data set or its config.
        seed (int): Seed, 0 or more. Defaults to 0.
        max_skips (int): Most samples to skip in a row before giving up. Defaults to 20.

    Raises:
        ValueError: If the annotations lack a key that the pipeline's `LoadOCRAnnotations` is asked
            to load (they are of another task) or are pickle or YAML, which could run code, the data
            set is empty, or a setting is out of range.
    """

    def __init__(self, dataset: Dataset | dict, seed: int = 0, max_skips: int = 20) -> None:
        if seed < 0 or max_skips < 0:
            raise ValueError(f'seed ({seed}) and max_skips ({max_skips}) must be 0 or more')
        if isinstance(dataset, dict):
            _refuse_code(dataset)
            dataset = DATASETS.build(dataset)
        self.dataset = dataset
        self.seed = seed
        self.max_skips = max_skips
        self.full_init()
        if not len(self.dataset):
            raise ValueError(f'{_name(self.dataset)} has no samples')
        for part in _parts(self.dataset):
            # It would draw a replacement for what a transform gives up on, and tell nobody.
            part.max_refetch = 0
            _check_annotations(part)
            _guard_loading(part)
        self.test_mode = any(
            getattr(part, 'test_mode', False) for part in walk_datasets(self.dataset)
        )
        self._logged = set()

    def full_init(self) -> None:
        """Load the annotations, where the data set loads them lazily."""
        if hasattr(self.dataset, 'full_init'):
            self.dataset.full_init()

    @property
    def metainfo(self) -> dict:
        """Metainfo of the data set, empty where it has none."""
        return getattr(self.dataset, 'metainfo', {})

    def get_data_info(self, index: int) -> dict:
        """The annotation of a sample, as the data set holds it."""
        return self.dataset.get_data_info(index)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict:
        """Load sample `index` (a `SampleIndex`, or an int for epoch 0).

        Raises:
            IndexError: If there is no such sample.
            InvalidAnnotation: If a transform was told to stop at wrong annotations and met one, or
                an annotation names an image outside the folder of images.
            RuntimeError: If it cannot be loaded in testing, or if, in training, `max_skips`
                replacements cannot be loaded either. It names the file.
        """
        if not 0 <= index < len(self):
            raise IndexError(f'sample {int(index)} of {len(self)}')
        epoch = getattr(index, 'epoch', 0)
        skipped = []
        chosen = SampleIndex(index, epoch)
        for attempt in range(self.max_skips + 1):
            try:
                with seeded((self.seed, epoch, int(index), attempt)):
                    sample = self.dataset[chosen]
            except InvalidAnnotation:
                raise
            except Exception as error:
                reason = f'{self._file(chosen)}: {type(error).__name__}: {error}'
                if self.test_mode:
                    raise RuntimeError(f'cannot load {reason}') from error
                self._log(chosen, reason)
                skipped.append(reason)
                failure = error
            else:
                return _note(sample, skipped, (int(index), epoch))
            rng = np.random.default_rng((self.seed, epoch, int(index), attempt))
            chosen = SampleIndex(rng.integers(len(self)), epoch)
        raise RuntimeError(
            f'{len(skipped)} samples of {_name(self.dataset)} in a row cannot be loaded '
            f'(max_skips={self.max_skips}); check the files and the pipeline. The last one: '
            f'{skipped[-1]}'
        ) from failure

    def _file(self, index: int) -> str:
        try:
            return str(self.dataset.get_data_info(index)['img_path'])
        except Exception:  # for the message only: it must not hide the error that it describes
            return f'sample {index} of {_name(self.dataset)}'

    def _log(self, index: int, reason: str) -> None:
        if index not in self._logged:
            self._logged.add(index)
            print_log(f'skipped a bad sample: {reason}', logger='current', level=logging.WARNING)


def _parts(dataset: Dataset) -> Iterator[BaseDataset]:
    """The data sets of annotation files among them."""
    return (part for part in walk_datasets(dataset) if isinstance(part, BaseDataset))


def _name(dataset: Dataset) -> str:
    file = getattr(dataset, 'ann_file', '')
    return f'{type(dataset).__name__}({file})' if file else type(dataset).__name__


def _check_annotations(dataset: BaseDataset) -> None:
    """Check that the first instance has what the pipeline is asked to load."""
    loaders = [t for t in dataset.pipeline.transforms if isinstance(t, LoadOCRAnnotations)]
    wanted = {
        key
        for loader in loaders
        for key, asked in (
            ('bbox', loader.with_bbox),
            ('bbox_label', loader.with_label),
            ('polygon', loader.with_polygon),
            ('ignore', loader.with_ignore),
            ('text', loader.with_text),
        )
        if asked
    }
    if not wanted or not dataset.ann_file:
        return
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        if not info.get('instances'):
            continue
        missing = sorted(wanted - info['instances'][0].keys())
        if missing:
            task = dataset.metainfo.get('task_name', 'unknown')
            raise ValueError(
                f'{dataset.ann_file} is of another task ({task}): its instances have no {missing}, '
                'which LoadOCRAnnotations is to load. Expected are text-spotting annotations '
                'with polygon, bbox, bbox_label, ignore and text, as prepare_dataset.py writes them'
            )
        return


def _guard_loading(dataset: BaseDataset) -> None:
    root = dataset.data_prefix.get('img_path') or dataset.data_root or ''
    dataset.pipeline.transforms = [
        GuardedLoadImageFromFile.in_place_of(t, root) if type(t) in _LOADERS else t
        for t in dataset.pipeline.transforms
    ]


def _refuse_code(config: Any) -> None:
    """MMEngine loads an annotation as its suffix says, and some kinds run the code in them."""
    if isinstance(config, Mapping):
        file = config.get('ann_file')
        if isinstance(file, str) and file.rpartition('.')[2] in _UNSAFE:
            raise ValueError(
                f'ann_file={file!r} could run code on loading, as pickles and YAML do; give the '
                'annotation as JSON'
            )
        config = [config[key] for key in ('dataset', 'datasets') if key in config]
    if isinstance(config, list | tuple):
        for part in config:
            _refuse_code(part)


def _note(sample: dict, skipped: list[str], drawn: tuple[int, int]) -> dict:
    data_sample = sample.get('data_samples') if isinstance(sample, dict) else None
    if isinstance(data_sample, BaseDataElement):
        data_sample.set_metainfo(dict(drawn=drawn))
        if skipped:
            data_sample.set_metainfo(dict(skipped=skipped))
    return sample
