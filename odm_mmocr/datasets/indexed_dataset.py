"""MMOCR's data set for annotations that are too large for memory."""

import os
from collections.abc import Sequence

from mmengine.dataset import force_full_init
from mmocr.datasets import OCRDataset
from mmocr.registry import DATASETS

from .annotation_index import open_index, pick
from .remote_annotation import local_annotation


@DATASETS.register_module()
class IndexedOCRDataset(OCRDataset):
    """`OCRDataset` whose annotation stays in its file: for millions of images.

    It takes the arguments of `OCRDataset` and gives the same samples. Entries are read from the
    annotation when they are asked for, found by an index that is made at the first use (see
    :func:`~odm_mmocr.datasets.annotation_index.open_index`) and shared by all processes. The file
    has to stay as it is while it is in use; another one may be renamed into its place.

    Besides `OCRDataset`'s, whose keys may be in any order and whose `metainfo` may be missing, it
    reads JSON Lines: an entry a line in a file that is called `.jsonl`, of which the first may be
    `{"metainfo": {…}}`.

    `ann_file`, `data_root` and `data_prefix` may be addresses of MMEngine's file backends, such as
    `https://host/folder`. A remote annotation is copied to the cache
    (:func:`~odm_mmocr.datasets.remote_annotation.local_annotation`), images are not.

    Args:
        *args: As `OCRDataset` takes them.
        backend_args (dict, optional): File backend of `ann_file`, as
            `mmengine.fileio.get_file_backend` takes it; None: by its prefix. The backend of images
            is a setting of `LoadImageFromFile`.
        **kwargs: As `OCRDataset` takes them. `filter_cfg` is without effect, as it is there, and so
            is `serialize_data`, since there is nothing to hold.

    Raises:
        FileNotFoundError: There is no annotation.
        ValueError: It is malformed or has no entries; see
            :class:`~odm_mmocr.datasets.annotation_stream.AnnotationStream`. Or an entry lacks a key
            that `data_prefix` names.
        IndexError: `indices` has one that is beyond the entries.
        OSError: Index or copy cannot be written, or the annotation not be had.
    """

    def __init__(self, *args, backend_args: dict | None = None, **kwargs) -> None:
        self.backend_args = backend_args
        super().__init__(*args, **kwargs)

    def full_init(self) -> None:
        """Open the index, or make it; see the class."""
        if self._fully_initialized:
            return
        if not self.ann_file:
            raise ValueError(f'{type(self).__name__} needs an ann_file')
        self._index = open_index(local_annotation(str(self.ann_file), self.backend_args))
        for key, value in self._index.metainfo.items():
            self._metainfo.setdefault(key, value)
        for key in self.data_prefix:
            entry = self._index.first_without(key)
            if entry is not None:
                raise ValueError(
                    f'{self.ann_file}: entry {entry} has no "{key}", to which data_prefix is to be '
                    'added'
                )
        self._rows = range(len(self._index))
        if self._indices is not None:
            self._rows = pick(self._rows, self._indices)
        self._fully_initialized = True

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """The annotation of a sample.

        Raises:
            IndexError: If there is no such sample.
            ValueError: If the annotation file was changed, or an entry has no path.
        """
        number = range(len(self._rows))[idx]
        info = self.parse_data_info(self._index[int(self._rows[number])])
        info['sample_idx'] = number
        return info

    def parse_data_info(self, raw_data_info: dict) -> dict:
        """Put `data_prefix` before the paths of an entry."""
        for key, prefix in self.data_prefix.items():
            path = raw_data_info[key]
            if not isinstance(path, str):
                raise ValueError(f'{self.ann_file}: expected a path as "{key}", found {path!r}')
            raw_data_info[key] = _join(prefix, path)
        return raw_data_info

    @force_full_init
    def get_subset(self, indices: int | Sequence[int]) -> 'IndexedOCRDataset':
        """A data set of some of the samples; see `BaseDataset.get_subset`."""
        subset = self._copy_without_annotation(memo={})
        subset.get_subset_(indices)
        return subset

    @force_full_init
    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Leave some of the samples alone in this data set; see `BaseDataset.get_subset_`."""
        self._rows = pick(self._rows, indices)

    @force_full_init
    def __len__(self) -> int:
        return len(self._rows)

    def _join_prefix(self) -> None:
        # MMEngine's takes no address whose backend cannot join paths, as that of HTTP.
        self.ann_file = _join(self.data_root, self.ann_file)
        for key, prefix in self.data_prefix.items():
            if not isinstance(prefix, str):
                raise TypeError(f'expected a path as prefix of "{key}", found {prefix!r}')
            self.data_prefix[key] = _join(self.data_root, prefix)


def _join(root: str | None, path: str) -> str:
    if not root or '://' in path or os.path.isabs(path):
        return path
    if '://' in root:
        return f'{root.rstrip("/")}/{path}'
    return os.path.join(root, path)
