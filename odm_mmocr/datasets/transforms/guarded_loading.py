"""Loading of images that annotations of strangers name."""

import warnings

import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile as PlainLoadImageFromFile
from mmengine import fileio
from mmocr.datasets.transforms import LoadImageFromFile
from mmocr.registry import TRANSFORMS

from odm_mmocr.image_files import check_file, check_inside, read_header

from ..errors import InvalidAnnotation


@TRANSFORMS.register_module()
class GuardedLoadImageFromFile(LoadImageFromFile):
    """MMOCR's `LoadImageFromFile`, asking where an image lies and how large it is.

    `SeededDataset` puts it in the place of every stock `LoadImageFromFile`.

    Required Keys:

    - img_path

    Added Keys:

    - img (np.uint8): (H, W, 3), BGR.
    - img_shape, ori_shape (tuple[int, int])

    Args:
        root (str): Folder that images lie in, or an address of MMEngine's file backend; empty: the
            working directory. `ODM_IMAGE_ROOTS` allows further ones.
        kwargs: Of `LoadImageFromFile`, as they are there.
    """

    def __init__(self, root: str = '', **kwargs) -> None:
        super().__init__(**kwargs)
        self.root = root

    @classmethod
    def in_place_of(cls, loader: PlainLoadImageFromFile, root: str) -> 'GuardedLoadImageFromFile':
        """One with the settings of a stock transform."""
        guarded = cls(root)
        guarded.__dict__.update(loader.__dict__)
        return guarded

    def transform(self, results: dict) -> dict | None:
        """Load the image of `results`.

        Returns:
            dict: The results; None where `ignore_empty` is set and the image cannot be loaded.

        Raises:
            InvalidAnnotation: If the image lies outside `root`.
            OSError: If it cannot be read, is no image of a known format, is damaged, has too many
                pixels, or is smaller than `min_size`.
        """
        path = results['img_path']
        try:
            check_inside(path, self.root)
        except ValueError as error:
            raise InvalidAnnotation(f'annotated image {error}') from error
        try:
            image = self._load(path)
        except Exception as error:  # file backends raise what they like
            if not self.ignore_empty:
                raise
            warnings.warn(f'Failed to load {path} due to {error}', stacklevel=2)
            return None
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _load(self, path: str) -> np.ndarray:
        if self.file_client_args is not None:
            content = fileio.FileClient.infer_client(self.file_client_args, path).get(path)
        else:
            if self.backend_args is None and '://' not in path:
                check_file(path)
            content = fileio.get(path, backend_args=self.backend_args)
        try:
            read_header(bytes(content), path)
        except ValueError as error:  # the stock transform, too, knows one kind of broken file
            raise OSError(str(error)) from error
        image = mmcv.imfrombytes(content, self.color_type, backend=self.imdecode_backend)
        if image is None or min(image.shape[:2]) < getattr(self, 'min_size', 0):
            raise OSError(f'{path} is broken')
        return image

    def __repr__(self) -> str:
        return f'{super().__repr__()[:-1]}, root={self.root!r})'
