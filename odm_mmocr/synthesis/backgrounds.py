"""Backgrounds without text: photographs from a folder or from scikit-image, and textures."""

import logging
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from odm_mmocr.image_files import read_header
from odm_mmocr.rendering.caching import MemoryBoundedCache
from odm_mmocr.synthesis.parts import background_part, check_part, keep_part
from odm_mmocr.synthesis.textures import TEXTURES, tint

PHOTO_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
# Of the images inside the scikit-image wheel those without text (astronaut, coins, motorcycle, page
# and logo show some). The grey ones are surfaces and are coloured.
SKIMAGE_PHOTOS = (
    'camera.png',
    'chelsea.png',
    'coffee.png',
    'hubble_deep_field.jpg',
    'ihc.png',
    'retina.jpg',
    'rocket.jpg',
)
SKIMAGE_SURFACES = ('brick.png', 'grass.png', 'gravel.png', 'moon.png')
CACHE_BYTES = 96 * 2**20
HUGE = 12e6  # pixels from which a photograph is decoded at half its size

logger = logging.getLogger(__name__)


class Backgrounds:
    """Draws backgrounds of one size.

    Args:
        folder: photographs without text, searched with sub-folders. None: textures, and the
            photographs of scikit-image where it is installed.
        size: (width, height) in pixels.
        texture_share: share (0 to 1) of procedural textures. None: 0 with a folder, otherwise 0.5,
            or 1 where no photograph is installed.
        part: 'train' or 'test' for the photographs of this part only, see
            :func:`~odm_mmocr.synthesis.parts.background_part`; None: all. Textures are made anew
            each time and belong to both.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: the folder has no image that can be decoded, or none of the part.
    """

    def __init__(
        self,
        folder: str | Path | None,
        size: tuple[int, int],
        texture_share: float | None = None,
        part: str | None = None,
    ):
        self.size = size
        self.built_in = folder is None
        if folder is None:
            self.files = _of_part(_skimage_photos(), part)
            share = 0.5 if self.files else 1.0
        else:
            photos = _find_photos(Path(folder))
            self.files = _of_part(photos, part)
            if not self.files:
                raise ValueError(
                    f'none of the {len(photos)} photographs of {str(folder)!r} belongs to the part '
                    f'{part!r}: photographs are split by hash; give more of them'
                )
            share = 0.0
        self.texture_share = share if texture_share is None else texture_share
        if not 0 <= self.texture_share <= 1:
            raise ValueError(f'texture_share is {texture_share}, expected a share from 0 to 1')
        if not self.files:
            self.texture_share = 1.0
        self._cache = MemoryBoundedCache(CACHE_BYTES)

    def __getstate__(self) -> dict:
        return {**self.__dict__, '_cache': MemoryBoundedCache(CACHE_BYTES)}

    def __call__(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a background: uint8 (H, W, 3), BGR, which belongs to the caller."""
        if rng.random() < self.texture_share:
            return TEXTURES[rng.integers(len(TEXTURES))](self.size, rng)
        photo = self._photo(int(rng.integers(len(self.files))))
        if photo.ndim == 2:
            return tint(self._crop(photo, rng), rng)
        return _vary_colours(self._crop(photo, rng), rng)

    def _photo(self, index: int) -> np.ndarray:
        for path in self.files[index:] + self.files[:index]:
            photo = self._cache.get(path)
            if photo is None:
                photo = self._load(path)
            if photo is not None:
                return photo
        raise ValueError(f'none of the {len(self.files)} background photographs can be decoded')

    def _load(self, path: Path) -> np.ndarray | None:
        photo = _decode(path, grey=self.built_in and path.name in SKIMAGE_SURFACES)
        if photo is None:
            logger.warning('background %s cannot be decoded; the next one is taken', path)
            return None
        # Crops are at most about half as wide as the photograph: more pixels would never be seen.
        scale = 2 * max(self.size[0] / photo.shape[1], self.size[1] / photo.shape[0])
        if scale < 1:
            photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        self._cache.put(path, photo, photo.nbytes)
        return photo

    def _crop(self, photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = photo.shape[:2]
        stretch = np.exp(rng.uniform(-0.15, 0.15))
        fit = min(width / self.size[0], height / (self.size[1] * stretch))
        # Small photographs are not enlarged further by cropping them: they would be a blur.
        fit *= rng.uniform(np.clip(1 / fit, 0.45, 0.9), 1)
        w = max(1, min(width, round(self.size[0] * fit)))
        h = max(1, min(height, round(self.size[1] * stretch * fit)))
        x, y = rng.integers(width - w + 1), rng.integers(height - h + 1)
        shrinking = w > self.size[0]
        crop = cv2.resize(
            photo[y : y + h, x : x + w],
            self.size,
            interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR,
        )
        return cv2.flip(crop, 1) if rng.random() < 0.5 else crop


def _vary_colours(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change exposure and white balance by one look-up table a channel."""
    levels = np.linspace(0, 1, 256)[:, None]
    gamma, gain = np.exp(rng.uniform(-0.35, 0.35)), np.exp(rng.uniform(-0.12, 0.12, 3))
    table = np.clip(255 * gain * levels**gamma, 0, 255).astype(np.uint8)
    return cv2.LUT(image, table.reshape(1, 256, 3))


def _decode(path: Path, grey: bool = False) -> np.ndarray | None:
    """Read a photograph as uint8 (H, W, 3), BGR, or (H, W); None if it is not one."""
    flags = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR
    try:
        header = read_header(path)
        if header.format == 'PNG':  # OpenCV warns of colour profiles on every read
            with Image.open(path) as image:
                if not image.mode.startswith('I'):  # of 16 bits: Pillow clips, OpenCV scales
                    pixels = np.asarray(image.convert('L' if grey else 'RGB'))
                    return pixels if grey else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        if header.width * header.height > HUGE and not grey:
            flags = cv2.IMREAD_REDUCED_COLOR_2
        return cv2.imdecode(np.fromfile(path, np.uint8), flags)
    except (OSError, SyntaxError, ValueError, cv2.error):
        return None


def _find_photos(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(
            f'background folder {str(folder)!r} does not exist; give a folder of photographs '
            'without text, or None for built-in backgrounds'
        )
    files = sorted(path for path in folder.rglob('*') if path.suffix.lower() in PHOTO_SUFFIXES)
    if not any(_decode(path) is not None for path in files):
        raise ValueError(
            f'background folder {str(folder)!r} has {len(files)} files with an image suffix '
            f'({", ".join(PHOTO_SUFFIXES)}), none of which can be decoded; give a folder of '
            'photographs without text, or None for built-in backgrounds'
        )
    return files


def _of_part(photos: list[Path], part: str | None) -> list[Path]:
    return keep_part(photos, check_part(part), lambda path: background_part(path.name))


def _skimage_photos() -> list[Path]:
    spec = find_spec('skimage')  # located, not imported: that takes a second
    if spec is None or not spec.origin:
        return []
    folder = Path(spec.origin).parent / 'data'
    return [
        folder / name for name in SKIMAGE_PHOTOS + SKIMAGE_SURFACES if (folder / name).is_file()
    ]
