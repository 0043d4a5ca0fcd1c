"""Images that a user hands over: files, folders and arrays, checked and brought to one form."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from odm_mmocr.image_files import decode_image, read_header
from odm_mmocr.pseudo_label.labeller import MIN_SIDE
from odm_mmocr.pseudo_label.sources import SUFFIXES

JPEG = b'\xff\xd8'

ImageSource = str | os.PathLike | np.ndarray


@dataclass(frozen=True)
class InputImage:
    """An image that is not loaded yet.

    Attributes:
        source: A file, or an array as :func:`to_bgr` takes it.
        name: Stem for the files written about it; no two images of a list share one.
        label: What messages call it.
    """

    source: Path | np.ndarray
    name: str
    label: str

    def fault(self) -> str | None:
        """Say what is wrong with it as far as can be seen without decoding; None: nothing."""
        if isinstance(self.source, np.ndarray):
            return _array_fault(self.source, self.label)
        if not self.source.exists():
            return f'{self.label} does not exist'
        if not self.source.is_file():
            return f'{self.label} is no file'
        if not os.access(self.source, os.R_OK):
            return f'{self.label} may not be read: permission denied'
        if not self.source.stat().st_size:
            return f'{self.label} is empty (0 bytes)'
        try:
            read_header(self.source, self.label)
        except (OSError, ValueError) as error:
            return str(error)
        return None

    def load(self) -> np.ndarray:
        """Decode it.

        JPEGs are turned upright as their EXIF data say; see :func:`to_bgr` for the rest.

        Returns:
            uint8 (H, W, 3), BGR.

        Raises:
            OSError: The file cannot be read.
            ValueError: It is damaged, no image, smaller than 8 pixels, larger than
                :func:`.max_pixels`, or of a type that :func:`to_bgr` does not take.
        """
        if isinstance(self.source, np.ndarray):
            image = self.source
        else:
            image = self._decode()
        image = to_bgr(image, self.label)
        height, width = image.shape[:2]
        if min(height, width) < MIN_SIDE:
            raise ValueError(
                f'{self.label} is {width}x{height} pixels; expected at least '
                f'{MIN_SIDE}x{MIN_SIDE}, no word can be read in less'
            )
        return image

    def _decode(self) -> np.ndarray:
        if fault := self.fault():
            raise ValueError(fault)
        data = np.fromfile(self.source, np.uint8)
        # Other formats may have transparency or 16 bits, which IMREAD_COLOR drops.
        is_jpeg = data[:2].tobytes() == JPEG
        flags = cv2.IMREAD_COLOR if is_jpeg else cv2.IMREAD_UNCHANGED
        return decode_image(data, flags, self.label)


def list_inputs(inputs: ImageSource | Sequence[ImageSource]) -> list[InputImage]:
    """List the images that a user means.

    Args:
        inputs: A file, a folder (the images in it, sorted by name, without those of folders in it),
            an array uint8 (H, W) or (H, W, 3) BGR, or a list of these.

    Returns:
        The images, in the order given.

    Raises:
        FileNotFoundError: A folder holds no images.
        ValueError: A URL, something that is neither path nor array, or nothing at all.
    """
    if not isinstance(inputs, list | tuple):
        inputs = [inputs]
    sources: list[Path | np.ndarray] = []
    for number, source in enumerate(inputs):
        if isinstance(source, np.ndarray):
            sources.append(source)
        elif isinstance(source, str | os.PathLike):
            sources += _files(os.fspath(source))
        else:
            raise ValueError(
                f'input {number} is a {type(source).__name__}; expected a path, a folder or a '
                'numpy array uint8 (H, W) or (H, W, 3) in BGR order'
            )
    if not sources:
        raise ValueError('there are no inputs; give a file, a folder, an array, or a list of them')
    stems = [f'array_{i}' if isinstance(s, np.ndarray) else s.stem for i, s in enumerate(sources)]
    return [
        InputImage(source, name, name if isinstance(source, np.ndarray) else str(source))
        for source, name in zip(sources, unique_names(stems), strict=True)
    ]


def check_inputs(images: Sequence[InputImage], skip_bad: bool = False) -> dict[int, str]:
    """Find what cannot be read before the first image is, without decoding any.

    Args:
        images: From :func:`list_inputs`.
        skip_bad: Whether images that cannot be read are left out instead.

    Returns:
        What is wrong, by the image's place in the list.

    Raises:
        FileNotFoundError: The only fault is a file that is not there.
        ValueError: Images are faulty and not to be skipped; the message names the first three.
    """
    faults = {i: fault for i, image in enumerate(images) if (fault := image.fault())}
    if faults and not skip_bad:
        first = '; '.join(list(faults.values())[:3])
        if len(images) == 1:
            missing = isinstance(images[0].source, Path) and not images[0].source.exists()
            raise (FileNotFoundError if missing else ValueError)(first)
        raise ValueError(
            f'{len(faults)} of {len(images)} inputs cannot be read: {first}'
            f'{"; …" if len(faults) > 3 else ""}. Remove them, or skip them with skip_bad'
        )
    return faults


def to_bgr(image: np.ndarray, label: str) -> np.ndarray:
    """Bring an array to 8 bits and three channels.

    Of 16 bits, 65535 becomes 255. Transparent parts become white, as viewers show them: what stands
    behind them is often black, as the letters are.

    Args:
        image: uint8 or uint16, (H, W), (H, W, 1), (H, W, 3) BGR or (H, W, 4) BGRA.
        label: What messages call it.

    Returns:
        uint8 (H, W, 3), BGR.

    Raises:
        ValueError: It is of another type or shape, or empty.
    """
    if fault := _array_fault(image, label):
        raise ValueError(fault)
    if image.dtype == np.uint16:
        image = cv2.convertScaleAbs(image, alpha=1 / 257)
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels == 1:
        return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_GRAY2BGR)
    if channels == 4:
        opacity = image[..., 3:].astype(np.uint16)
        darkness = (255 - image[..., :3]) * opacity  # at most 65025
        return 255 - (darkness // 255).astype(np.uint8)
    return np.ascontiguousarray(image)


def fit(image: np.ndarray, longer_side: int) -> np.ndarray:
    """Resize an image, aspect ratio kept.

    Args:
        image: uint8 (H, W, 3).
        longer_side: Of the result, in pixels.

    Returns:
        uint8 (h, w, 3); the image itself where it has that size.
    """
    height, width = image.shape[:2]
    factor = longer_side / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if size == (width, height):
        return image
    return resize(image, size)


def resize(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize to (width, height): averaged where it shrinks, else interpolated linearly."""
    shrinks = size[0] < picture.shape[1] or size[1] < picture.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(picture, size, interpolation=method)


def unique_names(names: Sequence[str]) -> list[str]:
    """Number names that stand several times: a, b, a becomes a, b, a_2; case does not count."""
    taken = {name.casefold() for name in names}
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        key = name.casefold()
        seen[key] += 1
        if seen[key] > 1:
            while (numbered := f'{name}_{seen[key]}').casefold() in taken:
                seen[key] += 1
            taken.add(numbered.casefold())
            name = numbered
        unique.append(name)
    return unique


def _files(path: str) -> list[Path]:
    if '://' in path:
        raise ValueError(f'{path} is a URL; nothing is downloaded here, give the file')
    file = Path(path).expanduser()
    if not file.is_dir():
        return [file]
    files = sorted(
        p
        for p in file.iterdir()
        if p.suffix.lower() in SUFFIXES and p.is_file() and not p.name.startswith('.')
    )
    if not files:
        raise FileNotFoundError(
            f'the folder {file} holds no images ({", ".join(SUFFIXES)}); folders in it are not '
            'searched'
        )
    return files


def _array_fault(image: np.ndarray, label: str) -> str | None:
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        expected = 'expected (H, W), (H, W, 3) BGR or (H, W, 4) BGRA'
        return f'{label} has shape {image.shape}; {expected}'
    if not image.size:
        return f'{label} has shape {image.shape}: there are no pixels'
    if image.dtype not in (np.uint8, np.uint16):
        holds = ' with NaN' if image.dtype.kind == 'f' and np.isnan(image).any() else ''
        return (
            f'{label} is {image.dtype}{holds}; expected uint8 from 0 to 255 (or uint16): a float '
            'image from 0 to 1 becomes that by (255 * image).round().astype(np.uint8)'
        )
    return None
