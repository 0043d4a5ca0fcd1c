"""From images to records of what an OCR engine reads in them."""

from collections.abc import Callable, Sequence

import numpy as np

from odm_mmocr.image_files import OWN_PIXELS, decode_image, read_header
from odm_mmocr.rendering import UnusablePolygon, split_polygon

from .engines import OCREngine
from .perceptual_hash import perceptual_hash
from .read_back import LabelReader
from .sources import ImageSource
from .words import ReadWord, split_line

MIN_SIDE = 8  # pixels; no word can be read in less
MIN_AREA = 4  # square pixels of a polygon
# Quarters of a turn to the left by which an image must be turned to stand upright.
_TURNS = {3: 2, 6: 3, 8: 1}

Task = Sequence  # number and name of an image


class Labeller:
    """Reads images and says what is in them, one record for each, whatever happens.

    It can be sent to other processes; the engine is made where it is first needed.

    Args:
        source: Where the images come from.
        make_engine: Function without arguments that makes the OCR engine, or a reader of records
            with a method ``look_up(name)`` (:class:`~.RecordedReadings`).
        split: Whether lines are cut into words at their blanks.
        read_back: Whether to draw the label of each word and read it.
    """

    def __init__(
        self,
        source: ImageSource,
        make_engine: Callable[[], OCREngine],
        split: bool = True,
        read_back: bool = False,
    ):
        self.source = source
        self.make_engine = make_engine
        self.split = split
        self.read_back = read_back
        self._engine = None
        self._label_reader = None

    def __getstate__(self) -> dict:
        return dict(self.__dict__, _engine=None, _label_reader=None)  # networks do not travel

    def prepare(self) -> None:
        """Make the engine now.

        Raises:
            Exception: Whatever the engine raises.
        """
        if self._engine is None:
            self._engine = self.make_engine()
        if self.read_back and self._label_reader is None:
            self._label_reader = LabelReader()

    def __call__(self, tasks: Sequence[Task]) -> list[dict]:
        """Read images.

        Args:
            tasks: Number and name of each.

        Returns:
            A record of each, ready for JSON: ``index``, ``img_path``, and ``error`` (str) or
            ``height``, ``width``, ``hash`` (16 hexadecimal digits), ``words`` and, where there are
            any, ``invalid`` (list of str: what was wrong with words that are left out). A word has
            ``text``, ``polygon`` (flat, pixels of the file as MMOCR's detectors load it, that is
            without regard to its EXIF orientation), ``score``, ``detection_score`` where known and
            ``read_back`` where asked for.
        """
        self.prepare()
        records = [dict(index=index, img_path=name) for index, name in tasks]
        images = {}
        for place, record in enumerate(records):
            try:
                images[place] = decode(self.source.read(record['img_path']))
            except Exception as error:  # backends and decoders raise what they like
                record['error'] = describe(error)
        for place, read in self._read(tasks, {p: image for p, (image, _) in images.items()}):
            if isinstance(read, Exception):
                records[place]['error'] = f'the OCR engine has failed: {describe(read)}'
            else:
                records[place] |= self._describe(*images[place], read)
        return records

    def _describe(self, image: np.ndarray, turns: int, read: Sequence) -> dict:
        """What a record says of an image that was read."""
        own_shape = _shape(image, turns)
        # What others have recorded is of the image as the file has it.
        shape, turns = (own_shape, 0) if self._recorded else (image.shape[:2], turns)
        words, invalid = self._check(read, shape)
        entries = [self._record(word, shape, turns) for word in words]
        if self._label_reader is not None:
            for entry, text in zip(entries, self._label_reader(words, shape)):
                entry['read_back'] = text
        height, width = own_shape
        record = dict(
            height=height, width=width, hash=f'{perceptual_hash(image):016x}', words=entries
        )
        if invalid:
            record['invalid'] = invalid
        return record

    def _check(self, read: Sequence, shape: tuple[int, int]) -> tuple[list[ReadWord], list[str]]:
        """The words of an image, and what is wrong with those that are left out."""
        words, invalid = [], []
        for number, word in enumerate(read):
            try:
                check_word(word, shape)
                pieces = (split_line(word) if self.split else None) or [word]
            except ValueError as error:
                invalid.append(f'word {number}: {error}')
                continue
            for piece in pieces:
                try:
                    check_word(piece, shape)
                    words.append(piece)
                except ValueError as error:  # of a line that is half outside, or too dense
                    invalid.append(f'word {number}: {error}')
        return words, invalid

    @property
    def _recorded(self) -> bool:
        return hasattr(self._engine, 'look_up')

    def _read(self, tasks: Sequence[Task], images: dict[int, np.ndarray]) -> list[tuple]:
        """Place of each image, and what the engine reads in it, or the error it raises there."""
        if self._recorded:
            return [(place, _attempt(self._engine.look_up, tasks[place][1])) for place in images]
        if len(images) > 1 and hasattr(self._engine, 'read_batch'):
            batch = _attempt(self._engine.read_batch, list(images.values()))
            lists = not isinstance(batch, Exception) and all(map(_is_list, batch))
            if lists and len(batch) == len(images):
                return list(zip(images, batch))
        # One by one, also to find the image that a batch failed at.
        return [(place, _attempt(self._engine, image)) for place, image in images.items()]

    @staticmethod
    def _record(word: ReadWord, shape: tuple[int, int], turns: int) -> dict:
        polygon = turn_back(np.reshape(word.polygon, (-1, 2)), shape, turns).ravel()
        record = dict(
            text=word.text.strip(),
            polygon=[round(float(value), 2) for value in polygon],
            score=round(float(word.score), 4),
        )
        if word.detection is not None:
            record['detection_score'] = round(float(word.detection), 4)
        return record


def decode(content: bytes) -> tuple[np.ndarray, int]:
    """Decode an image and turn it upright.

    Args:
        content: Of its file.

    Returns:
        uint8 (H, W, 3), BGR, and by how many quarters it was turned to the left.

    Raises:
        ValueError: It is empty, damaged, no image, or has a side below 8 pixels or too many pixels
            (:func:`.max_pixels`).
    """
    header = read_header(content, 'the file')
    if min(header.width, header.height) < MIN_SIDE:
        raise ValueError(
            f'the file has {header.width}x{header.height} pixels; expected at least '
            f'{MIN_SIDE}x{MIN_SIDE}'
        )
    image = decode_image(np.frombuffer(content, np.uint8), OWN_PIXELS, 'the file')
    turns = _TURNS.get(header.orientation, 0)
    return np.ascontiguousarray(np.rot90(image, turns)), turns


def turn_back(polygon: np.ndarray, shape: tuple[int, int], turns: int) -> np.ndarray:
    """Map points of an upright image to those of the image before it was turned.

    Args:
        polygon: (n, 2), pixels from the upper left edge.
        shape: Height and width of the upright image.
        turns: By how many quarters it was turned to the left.

    Returns:
        (n, 2).
    """
    x, y = np.asarray(polygon).T
    height, width = shape
    for _ in range(turns):
        x, y = height - y, x
        height, width = width, height
    return np.stack((x, y), 1)


def check_word(word: ReadWord, shape: tuple[int, int]) -> None:
    """Check what an engine has returned.

    Args:
        word: The word.
        shape: Height and width of the image, in pixels.

    Raises:
        ValueError: It is no :class:`ReadWord`, its text no string, its score none, or its polygon
            has fewer than 4 or an odd number of points, a coordinate that is not finite, less than
            4 square pixels, or more than half of its points outside the image; or the places or
            certainties of its characters are not as many as these, no numbers, or, of places, out
            of order.
    """
    if not isinstance(word, ReadWord):
        raise ValueError(f'expected a ReadWord, found {_shortened(word)}')
    if not isinstance(word.text, str):
        raise ValueError(f'expected a text, found {_shortened(word.text)}')
    for name, score in (('score', word.score), ('detection score', word.detection)):
        if score is None and name == 'detection score':
            continue
        if not (isinstance(score, int | float | np.floating) and 0 <= score <= 1):
            raise ValueError(f'{word.text!a}: expected a {name} from 0 to 1, found {score!r}')
    for name, values in (('places', word.centers), ('certainties', word.certainties)):
        _check_characters(word.text, name, values)
    if word.centers is not None and (np.diff(word.centers) < 0).any():
        raise ValueError(f'{word.text!a}: the places of its characters are out of order')
    try:
        top, bottom = split_polygon(word.polygon)
    except (UnusablePolygon, ValueError, TypeError) as error:
        raise ValueError(f'{word.text!a}: {error}') from error
    points = np.concatenate((top, bottom[::-1]))
    x, y = points.T
    area = abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
    if area < MIN_AREA:
        raise ValueError(f'{word.text!a}: the polygon has an area of {area:.1f} square pixels')
    height, width = shape
    inside = (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
    if inside.mean() < 0.5:
        raise ValueError(f'{word.text!a}: the polygon lies outside the image')


def describe(error: BaseException) -> str:
    """An error in one line."""
    text = ' '.join(str(error).split())
    return f'{type(error).__name__}: {text}' if text else type(error).__name__


def _attempt(function: Callable, argument: object) -> object:
    try:
        result = function(argument)
    except Exception as error:  # engines raise what they like
        return error
    if not _is_list(result):
        return TypeError(f'it returned a {type(result).__name__}; expected a list of words')
    return result


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _check_characters(text: str, name: str, values: object) -> None:
    if values is None:
        return
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f'{text!a}: the {name} of its characters are no numbers') from error
    if numbers.shape != (len(text),) or not ((numbers >= 0) & (numbers <= 1)).all():
        raise ValueError(
            f'{text!a}: expected {name} from 0 to 1 of {len(text)} characters, found '
            f'{_shortened(values)}'
        )


def _shape(image: np.ndarray, turns: int) -> tuple[int, int]:
    """Height and width before the image was turned."""
    height, width = image.shape[:2]
    return (width, height) if turns % 2 else (height, width)


def _shortened(value: object, longest: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= longest else f'{text[:longest]}…'
