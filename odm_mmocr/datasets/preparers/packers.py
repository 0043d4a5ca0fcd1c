"""Parsed annotations to MMOCR's format."""

import os

from mmocr.datasets.preparers.packers import TextSpottingPacker
from mmocr.registry import DATA_PACKERS

from odm_mmocr.image_files import ImageHeader, read_header

OPTIONAL = ('char_polygons', 'score')


@DATA_PACKERS.register_module()
class HeaderTextSpottingPacker(TextSpottingPacker):
    """MMOCR's `TextSpottingPacker`, reading the image size from the file's header alone."""

    def pack_instance(self, sample: tuple[str, list[dict]], bbox_label: int = 0) -> dict:
        """Pack the annotation of one image.

        Args:
            sample (tuple[str, list[dict]]): Path of the image, and instances with `poly` (flat
                list of x, y in pixels), `text` and `ignore`, and perhaps `char_polygons` (list of
                8 float for each character) and `score`.
            bbox_label (int): Label of all instances. Defaults to 0.

        Returns:
            dict: `img_path` relative to `data_root`, `height`, `width`, `instances`.

        Raises:
            OSError: If the file is not an image.
        """
        path, instances = sample
        return self.pack(path, image_size(path), instances, bbox_label)

    def pack(
        self, path: str, size: tuple[int, int], instances: list[dict], bbox_label: int = 0
    ) -> dict:
        """As :meth:`pack_instance`, of an image whose width and height are known."""
        width, height = size
        return {
            'img_path': os.path.relpath(path, self.data_root),
            'height': height,
            'width': width,
            'instances': [
                {
                    'polygon': instance['poly'],
                    'bbox': _bounds(instance['poly']),
                    'bbox_label': bbox_label,
                    'ignore': instance['ignore'],
                    'text': instance['text'],
                    **{key: instance[key] for key in OPTIONAL if key in instance},
                }
                for instance in instances
            ],
        }


def image_size(path: str | os.PathLike) -> tuple[int, int]:
    """Width and height of an image as it is loaded, whatever its EXIF orientation.

    Raises:
        OSError: As :func:`image_header`.
    """
    header = image_header(path)
    return header.width, header.height


def image_header(path: str | os.PathLike) -> ImageHeader:
    """What an image file says of itself.

    Raises:
        OSError: If the file is not there, is not an image, or has too many pixels
            (:func:`.max_pixels`).
    """
    try:
        return read_header(path)
    except ValueError as error:
        raise OSError(str(error)) from error


def _bounds(polygon: list[float]) -> list[float]:
    return [min(polygon[::2]), min(polygon[1::2]), max(polygon[::2]), max(polygon[1::2])]
