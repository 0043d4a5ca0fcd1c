"""Image files from anybody: where they lie and how large they are, asked before they are decoded.

An annotation may name any file of the machine, and a file of a hundred bytes may claim a size that
no memory holds. Two environment variables move the limits, for training and for all tools alike:
``ODM_IMAGE_ROOTS`` and ``ODM_MAX_PIXELS``.
"""

import io
import os
import re
import stat
import warnings
from pathlib import PurePosixPath
from typing import IO, NamedTuple

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

ROOTS_VARIABLE = 'ODM_IMAGE_ROOTS'
PIXELS_VARIABLE = 'ODM_MAX_PIXELS'
# As MMOCR loads images: 8 bits, three channels, as they are stored whatever their EXIF orientation.
# That is where polygons of annotations are, in all of the package.
OWN_PIXELS = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
MAX_PIXELS = 100_000_000
LARGEST_LIMIT = 178_956_970  # above it Pillow itself refuses to read a header
# Of a file for each pixel that is allowed: four channels of 16 bits, uncompressed.
_MAX_BYTES_A_PIXEL = 8
# What OpenCV decodes too; the others would be opened for nothing.
_FORMATS = ('AVIF', 'BMP', 'DIB', 'GIF', 'JPEG', 'JPEG2000', 'PNG', 'PPM', 'SUN', 'TIFF', 'WEBP')
_ORIENTATION = 0x0112  # EXIF tag
_PNG_SIGNATURE = 8  # bytes
_PNG_FRAME = 12  # bytes around what is in a chunk
_MAX_CHUNK = 2**23  # bytes; what is cut off within less is left to OpenCV to find
_ADDRESS = re.compile(r'(^|/)\w+:/')

Source = str | os.PathLike | bytes


class ImageHeader(NamedTuple):
    """What a file says of itself before it is decoded.

    Attributes:
        width, height: Pixels, before the EXIF orientation is applied.
        format: Name that Pillow has for it, such as ``JPEG``.
        orientation: EXIF orientation, 1 to 8; None where there is none, and of TIFF, which OpenCV
            turns upright itself, whatever it is told.
    """

    width: int
    height: int
    format: str
    orientation: int | None

    @property
    def is_turned(self) -> bool:
        """Whether the orientation shows the image turned or mirrored against its own pixels."""
        return self.orientation in range(2, 9)


def max_pixels() -> int:
    """Most pixels of an image: 100 million, or what ``ODM_MAX_PIXELS`` says.

    Raises:
        ValueError: The variable holds no whole number from 1 to 178,956,970.
    """
    given = os.environ.get(PIXELS_VARIABLE)
    if not given:
        return MAX_PIXELS
    limit = int(given) if given.isdecimal() and len(given) < 12 else 0
    if not 1 <= limit <= LARGEST_LIMIT:
        raise ValueError(
            f'{PIXELS_VARIABLE}={given!r}: expected a whole number from 1 to {LARGEST_LIMIT:,}'
        )
    return limit


def check_file(path: str | os.PathLike) -> None:
    """Check that a file can be read whole: reading a pipe waits for ever, a device never ends.

    Raises:
        OSError: It is not there, is no regular file, or is too long for an image of the most pixels
            that are allowed.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise FileNotFoundError(f'{os.fspath(path)} does not exist') from None
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f'{path} is no regular file; expected an image file')
    longest = _MAX_BYTES_A_PIXEL * max_pixels()
    if status.st_size > longest:
        raise OSError(
            f'{path} has {status.st_size:,} bytes; expected an image file of at most {longest:,} '
            f'({PIXELS_VARIABLE} moves the limit)'
        )


def read_header(source: Source, name: str | None = None) -> ImageHeader:
    """Read what an image file says of itself, and refuse it where it is too large.

    Args:
        source: Path of the file, or its content.
        name: What messages call it; None: its path.

    Returns:
        The header.

    Raises:
        OSError: The file cannot be read, see :func:`check_file`.
        ValueError: It is empty, no image of a known format, damaged, or of more than
            :func:`max_pixels`.
    """
    if isinstance(source, bytes):
        name = name or 'the image'
        if not source:
            raise ValueError(f'{name} is empty (0 bytes)')
        source = io.BytesIO(source)
    else:
        name = name or os.fspath(source)
        check_file(source)
    limit = max_pixels()
    try:
        with warnings.catch_warnings():
            # The limit here is what counts, be it above or below the one of this warning.
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            with Image.open(source, formats=_known_formats()) as image:
                width, height = image.size
                if image.format == 'PNG':
                    _check_chunks(image.fp)
                # Asking a PNG for EXIF data that it has not before its pixels would decode these.
                asked = 'exif' in image.info if image.format == 'PNG' else image.format != 'TIFF'
                if asked and width * height <= limit:
                    orientation = image.getexif().get(_ORIENTATION)
                else:
                    orientation = None
                header = ImageHeader(width, height, image.format, orientation)
    except UnidentifiedImageError:
        formats = ', '.join(_FORMATS)
        raise ValueError(f'{name} is cut off or no image of a known format ({formats})') from None
    except Image.DecompressionBombError as error:
        raise ValueError(f'{name} is too large: {error}') from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise ValueError(f'{name} is damaged: {error}') from error
    except Exception as error:  # Pillow raises what it likes on damaged headers
        raise ValueError(
            f'{name} is damaged or cut off: {type(error).__name__}: {error}'
        ) from error
    if width * height > limit:
        raise ValueError(
            f'{name} has {width}x{height} pixels; expected at most {limit:,} in all: make it '
            f'smaller, or set {PIXELS_VARIABLE}, to {LARGEST_LIMIT:,} at most'
        )
    return header


def read_image(path: str | os.PathLike, name: str | None = None) -> np.ndarray:
    """Read and decode an image file whose header has been read first.

    Args:
        path: The file.
        name: What messages call it; None: its path.

    Returns:
        Its own pixels (:data:`OWN_PIXELS`), uint8 (H, W, 3), BGR.

    Raises:
        OSError, ValueError: As :func:`read_header`, or the pixels are damaged.
    """
    name = name or os.fspath(path)
    read_header(path, name)
    return decode_image(np.fromfile(path, np.uint8), OWN_PIXELS, name)


def decode_image(data: np.ndarray, flags: int, name: str) -> np.ndarray:
    """Decode the content of a file whose header :func:`read_header` has found to be in order.

    Args:
        data: uint8 (bytes,).
        flags: Of ``cv2.imdecode``.
        name: What messages call it.

    Raises:
        ValueError: It cannot be decoded.
    """
    try:
        image = cv2.imdecode(data, flags)
    except cv2.error as error:
        raise ValueError(f'{name} cannot be decoded: {error.err}') from error
    if image is None:
        raise ValueError(
            f'{name} ({data.size:,} bytes) is cut off or damaged: OpenCV cannot decode it; copy '
            'or convert it again'
        )
    return image


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write a picture.

    Args:
        path: The file, whose suffix says the format; its folder is made where needed.
        image: uint8 (H, W, 3), BGR, or (H, W).

    Raises:
        OSError: It cannot be written there, or there is no format of that suffix.
    """
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    try:
        written = cv2.imwrite(os.fspath(path), image)
    except cv2.error:  # of the suffix
        written = False
    if not written:
        raise OSError(f'{path} cannot be written; is it a .png or .jpg?')


def is_inside(path: str | os.PathLike, root: str | os.PathLike) -> bool:
    """Whether a file lies in a folder, or in one of ``ODM_IMAGE_ROOTS``; links are followed.

    Args:
        path: The file, which need not be there; or an address, where the folder is one.
        root: The folder; empty: the working directory.
    """
    path, root = os.fspath(path), os.fspath(root)
    if '://' in root:
        rest = path.removeprefix(root.rstrip('/') + '/')
        return rest != path and '..' not in PurePosixPath(rest).parts
    # The address of another machine may stand behind a folder, and lose a slash there.
    if _ADDRESS.search(path) or '\0' in path:
        return False
    real = os.path.realpath(path)
    roots = os.environ.get(ROOTS_VARIABLE, '').split(os.pathsep)
    folders = (root or os.curdir, *filter(None, roots))
    return any(real.startswith(os.path.join(os.path.realpath(f), '')) for f in folders)


def check_inside(path: str | os.PathLike, root: str | os.PathLike) -> None:
    """Refuse a file outside a folder, see :func:`is_inside`.

    Raises:
        ValueError: It lies elsewhere; the message says how to allow it.
    """
    if not is_inside(path, root):
        raise ValueError(
            f'{os.fspath(path)!r} leads out of the folder {os.fspath(root) or os.curdir!r}; name '
            f'files in it, or allow the folder of the file: {ROOTS_VARIABLE}=FOLDER (several '
            f'separated by {os.pathsep!r})'
        )


def _check_chunks(file: IO[bytes]) -> None:
    """Refuse a PNG with a part that is longer than the file: OpenCV 4.11 takes memory for it."""
    place, end = file.tell(), file.seek(0, os.SEEK_END)
    position = _PNG_SIGNATURE
    while position + _PNG_FRAME <= end:
        file.seek(position)
        length = int.from_bytes(file.read(4), 'big')
        position += _PNG_FRAME + length
        if position > end and length > _MAX_CHUNK:
            raise ValueError(f'a chunk of {length:,} bytes in a file of {end:,}: it is cut off')
    file.seek(place)


def _known_formats() -> list[str]:
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]
