"""Pictures of labelled samples: annotation, label, ignore map and prompt side by side."""

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from odm_mmocr.image_files import write_image
from odm_mmocr.rendering import Undrawable
from odm_mmocr.structures import ODMDataSample

from .attention import ink_overlay
from .drawing import SHIFT, add_caption, draw_polygon, scale_picture
from .sheets import prompt_panel

LABEL_COLUMNS = ('image', 'label on image', 'label', 'ignore map', 'prompt')
# BGR, of polygons; bright, since they stand on photographs.
POLYGON_COLOURS = dict(
    prompted=(60, 230, 60), dropped=(50, 50, 255), ignored=(190, 190, 190), undrawn=(0, 170, 255)
)


def label_row(
    image: np.ndarray,
    data_sample: ODMDataSample,
    faults: Sequence[Undrawable | None] | None = None,
    height: int = 320,
) -> list[np.ndarray]:
    """Draw what a training sees of an image, below a caption with its file name.

    Polygons are green where the word is prompted, red where it is not, grey where it is ignored
    and orange where it is prompted but cannot be drawn; a dot marks the first vertex, at which the
    text is to start.

    Args:
        image: uint8 (H, W, 3), BGR.
        data_sample: With `prompt`, `gt_instances` and `gt_destylized`.
        faults: For each of the N instances why its word is not in the label; None: it is.
        height: Of the pictures, without the caption, in pixels.

    Returns:
        A picture, uint8 (h, w, 3) BGR, for each of :data:`LABEL_COLUMNS`.
    """
    instances, maps = data_sample.gt_instances, data_sample.gt_destylized
    label, ignore = (m[0].cpu().numpy() for m in (maps.label, maps.ignore))
    faults = [None] * len(instances) if faults is None else list(faults)
    prompted = instances.prompted.tolist()
    overlay = ink_overlay(image, label / np.float32(255))
    scale = height / image.shape[0]
    size = (height, max(1, round(scale * image.shape[1])))
    maps = (image, overlay, label, 255 * ignore.astype(np.uint8))
    pictures = [scale_picture(picture, size) for picture in maps]
    for polygon, role in zip(
        instances.polygons, _roles(instances.ignored.tolist(), prompted, faults), strict=True
    ):
        _mark(pictures[0], np.reshape(polygon, (-1, 2)) * scale, POLYGON_COLOURS[role])
    undrawn = sum(fault is not None for fault in faults)
    captions = [
        Path(data_sample.metainfo.get('img_path') or '').name,
        f'drawn: {sum(prompted) - undrawn} of {sum(prompted)}',
        f'ink: {(label > 127).mean():.1%}',
        f'ignored: {ignore.mean():.1%}',
        f'words: {int(data_sample.prompt.mask.sum())}',
    ]
    pictures.append(prompt_panel(data_sample, pictures[0].shape[:2]))
    return [add_caption(*pair) for pair in zip(pictures, captions, strict=True)]


def write_pages(pages: Sequence[np.ndarray], out: str | os.PathLike) -> list[Path]:
    """Write pictures to one file, or to several that are numbered.

    Args:
        pages: Pictures uint8 (H, W, 3), BGR.
        out: A .png or .jpg file, to whose name a number is added where there are several pages; or
            a folder, for `labels_1.png` and so on.

    Returns:
        The files.

    Raises:
        OSError: A picture cannot be written under that name.
    """
    out = Path(out)
    if out.suffix:
        paths = [out.with_stem(f'{out.stem}_{i}') for i in range(1, len(pages) + 1)]
        paths = [out] if len(pages) == 1 else paths
    else:
        paths = [out / f'labels_{i}.png' for i in range(1, len(pages) + 1)]
    for path, page in zip(paths, pages, strict=True):
        write_image(path, page)
    return paths


def _roles(ignored: list[bool], prompted: list[bool], faults: list[Undrawable | None]) -> list[str]:
    roles = []
    for is_ignored, is_prompted, fault in zip(ignored, prompted, faults, strict=True):
        if is_ignored:
            roles.append('ignored')
        elif fault is not None:
            roles.append('undrawn')
        else:
            roles.append('prompted' if is_prompted else 'dropped')
    return roles


def _mark(picture: np.ndarray, points: np.ndarray, colour: tuple[int, int, int]) -> None:
    start = (np.clip(points[0], -1e4, 1e4) * 2**SHIFT).round().astype(int).tolist()
    # A dark seam, so that it shows on bright ground as well.
    for ink, width, radius in (((0, 0, 0), 2, 3), (colour, 1, 2)):
        draw_polygon(picture, points, ink, width)
        cv2.circle(picture, start, radius << SHIFT, ink, -1, cv2.LINE_AA, SHIFT)
