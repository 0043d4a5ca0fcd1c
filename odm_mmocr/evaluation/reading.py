"""Reading words in pictures by PP-OCRv4, carried by the package rapidocr-onnxruntime."""

import math
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

MODEL_FILE = 'models/ch_PP-OCRv4_rec_infer.onnx'
INSTALL = 'install the extra: pip install "odm_mmocr[ppocr]"'
HEIGHT = 48  # pixels, at which the recogniser reads
# Pictures are padded to a width of so many steps: each is then read alike in whatever company it
# comes, and short words need not be padded to the 320 pixels of PP-OCR, which takes twice as long.
_STEP, _MIN_WIDTH, _MAX_WIDTH = 40, 160, 4000
_BATCH_AREA = 4 * 320 * HEIGHT  # pixels at once; more leave the processor's cache and take longer


class WordReader:
    """Reads pictures of single words or lines: Chinese, Latin letters, digits.

    The same pictures give the same texts, whatever their order.

    Args:
        threads: Cores that it may use.

    Attributes:
        alphabet: frozenset of str, the characters it can read, as :func:`letters_and_digits` has
            them.

    Raises:
        ImportError: A package of the extra ``ppocr`` is missing.
        FileNotFoundError: The installed package does not carry PP-OCRv4.
    """

    def __init__(self, threads: int = 1):
        try:
            import rapidocr_onnxruntime
            from rapidocr_onnxruntime.ch_ppocr_rec import TextRecognizer
        except ImportError as error:
            raise ImportError(f'WordReader needs the package {error.name}; {INSTALL}') from error
        path = Path(rapidocr_onnxruntime.__file__).parent / MODEL_FILE
        if not path.is_file():
            raise FileNotFoundError(f'WordReader: there is no {path}; {INSTALL}')
        self._recognizer = TextRecognizer(
            dict(
                model_path=str(path),
                use_cuda=False,
                use_dml=False,
                intra_op_num_threads=threads,
                inter_op_num_threads=1,
                rec_batch_num=1,
                rec_img_shape=(3, HEIGHT, _MIN_WIDTH),
            )
        )
        characters = self._recognizer.postprocess_op.character[1:]  # the first means none
        self.alphabet = frozenset(letters_and_digits(''.join(characters)))

    def __call__(self, crops: Sequence[np.ndarray]) -> list[tuple[str, float]]:
        """Reads pictures.

        Args:
            crops: uint8 (h, w) or (h, w, 3) BGR, of any size, each one line of text, upright in
                reading direction. Lines longer than 83 times their height are squeezed.

        Returns:
            Text, empty where nothing is read, and score from 0 to 1 of each picture.

        Raises:
            ValueError: A picture is empty or of another type or shape.
        """
        pictures = [_prepare(crop, index) for index, crop in enumerate(crops)]
        by_width: dict[int, list[int]] = {}
        for index, picture in enumerate(pictures):
            width = HEIGHT * picture.shape[1] / picture.shape[0]
            padded = max(_MIN_WIDTH, _STEP * math.ceil(width / _STEP))
            by_width.setdefault(padded, []).append(index)

        readings = [('', 0.0)] * len(pictures)
        for width, indices in by_width.items():
            self._recognizer.rec_image_shape = (3, HEIGHT, width)
            self._recognizer.rec_batch_num = max(1, _BATCH_AREA // (HEIGHT * width))
            found, _ = self._recognizer([pictures[index] for index in indices])
            for index, (text, score) in zip(indices, found, strict=True):
                readings[index] = (text, float(score))
        return readings

    def knows(self, text: str) -> bool:
        """Whether it can read every letter and digit of a text."""
        return self.alphabet.issuperset(letters_and_digits(text))


def letters_and_digits(text: str) -> str:
    """What of a text is compared: its letters and digits, case aside.

    Compatible forms are made one (Unicode NFKC: full-width letters, ligatures, circled digits);
    blanks, punctuation and symbols are dropped, and accents that stand on none of the rest.

    Args:
        text: Any string.

    Returns:
        The rest, empty where the text has no letters and digits and so cannot be compared.
    """
    kept: list[str] = []
    mark_counts = False
    for character in unicodedata.normalize('NFKC', text).casefold():
        kind = unicodedata.category(character)[0]
        if kind in 'LN' or (kind == 'M' and mark_counts):
            kept.append(character)
            mark_counts = True
        else:
            mark_counts = False
    return ''.join(kept)


def same_word(read: str, text: str) -> bool:
    """Whether two texts have the same letters and digits, case aside: `letters_and_digits`."""
    return letters_and_digits(read) == letters_and_digits(text)


def _prepare(crop: np.ndarray, index: int) -> np.ndarray:
    """Brings a picture to what the recogniser takes, not higher than needed, where it aliases."""
    crop = np.asarray(crop)
    coloured = crop.ndim == 3 and crop.shape[2] == 3
    if crop.dtype != np.uint8 or not (crop.ndim == 2 or coloured) or crop.size == 0:
        raise ValueError(
            f'picture {index} to read is {crop.dtype} {crop.shape}; expected uint8 (h, w) or '
            '(h, w, 3) with at least one pixel'
        )
    if crop.ndim == 2:
        crop = cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR)
    height, width = crop.shape[:2]
    if height > HEIGHT or width * HEIGHT > _MAX_WIDTH * height:
        width = min(max(1, round(width * HEIGHT / height)), _MAX_WIDTH)
        crop = cv2.resize(crop, (width, HEIGHT), None, 0, 0, cv2.INTER_AREA)
    return crop
