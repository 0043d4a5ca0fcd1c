"""Parsed annotations to MMOCR's format."""

import os

from mmocr.datasets.preparers.packers import TextSpottingPacker
from mmocr.registry import DATA_PACKERS
from mmocr.utils import poly2bbox
from PIL import Image

ORIENTATION = 0x0112  # EXIF tag
TURNED_BY_A_QUARTER = (5, 6, 7, 8)


@DATA_PACKERS.register_module()
class HeaderTextSpottingPacker(TextSpottingPacker):
    """MMOCR's `TextSpottingPacker`, reading the image size from the file's header alone."""

    def pack_instance(self, sample: tuple[str, list[dict]], bbox_label: int = 0) -> dict:
        """Pack the annotation of one image.

        Args:
            sample (tuple[str, list[dict]]): Path of the image, and instances with `poly` (flat
                list of x, y in pixels), `text` and `ignore`.
            bbox_label (int): Label of all instances. Defaults to 0.

        Returns:
            dict: `img_path` relative to `data_root`, `height`, `width`, `instances`.

        Raises:
            OSError: If the file is not an image.
        """
        path, instances = sample
        width, height = image_size(path)
        return {
            'img_path': os.path.relpath(path, self.data_root),
            'height': height,
            'width': width,
            'instances': [
                {
                    'polygon': instance['poly'],
                    'bbox': poly2bbox(instance['poly']).tolist(),
                    'bbox_label': bbox_label,
                    'ignore': instance['ignore'],
                    'text': instance['text'],
                }
                for instance in instances
            ],
        }


def image_size(path: str | os.PathLike) -> tuple[int, int]:
    """Width and height of an image as it is loaded, its EXIF orientation applied."""
    with Image.open(path) as image:
        turned = image.getexif().get(ORIENTATION) in TURNED_BY_A_QUARTER
        return image.size[::-1] if turned else image.size
