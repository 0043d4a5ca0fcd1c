"""Proof by reading: does what the labels show read as it is annotated?"""

import csv
import itertools
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from rapidfuzz.distance import Levenshtein

from odm_mmocr.datasets.annotation_files import AnnotatedImage, AnnotatedWord
from odm_mmocr.image_files import read_image
from odm_mmocr.rendering import (
    FontChain,
    Strip,
    Undrawable,
    UnusablePolygon,
    load_fonts,
    render_words,
)
from odm_mmocr.rendering.fonts import FontSpec
from odm_mmocr.rendering.labels import fit_text
from odm_mmocr.rendering.meshes import MAX_RECTIFIED_SIDE, Ribbon

from .reading import HEIGHT, WordReader, letters_and_digits, same_word

READ, MISREAD, UNDRAWABLE = 'read back', 'misread', 'undrawable'
TOO_SMALL, NOT_COMPARABLE, IGNORED = 'too small', 'not comparable', 'ignored'
VERDICTS = (READ, MISREAD, UNDRAWABLE, TOO_SMALL, NOT_COMPARABLE, IGNORED)

_LETTER_WIDTH = 16  # pixels: two steps of the recogniser, which one letter and its end need
_CLEAR_SCORE = 0.9  # from which on a reading of the scene is believed
_CHUNK = 256  # words read at once
_LOOK_ALIKES = str.maketrans('ilo', '110')


@dataclass
class WordCheck:
    """What has become of a word.

    Attributes:
        image, word: The annotation.
        verdict: One of :data:`VERDICTS`.
        cause: Why it is not read back, in a few words that do not depend on the word.
        reason: The same in full.
        read, score: What its label reads as, and how sure the recogniser is, 0 to 1.
        scene_read, scene_score: Likewise what the image shows there, where that has been asked for.
        distance: Edit distance of what was read from the text, letters and digits only, as a share
            of the longer one: 0 to 1.
        doubt: Why the annotation is doubtful, in words; empty where it is not.
    """

    image: AnnotatedImage
    word: AnnotatedWord
    verdict: str = ''
    cause: str = ''
    reason: str = ''
    read: str = ''
    score: float = 0.0
    distance: float = 0.0
    scene_read: str = ''
    scene_score: float = 0.0
    doubt: str = ''


@dataclass
class ReadBack:
    """What the check of a set of annotations has found.

    Attributes:
        counts: Number of words for each of :data:`VERDICTS`.
        failures: The words that are misread or undrawable, worst first.
        doubtful: The words whose image clearly reads as something else, worst first.
        problems: Images that are missing or of another size than annotated.
    """

    counts: Counter = field(default_factory=Counter)
    failures: list[WordCheck] = field(default_factory=list)
    doubtful: list[WordCheck] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def judged(self) -> int:
        """Number of words that should be read back."""
        return sum(self.counts[verdict] for verdict in (READ, MISREAD, UNDRAWABLE))

    @property
    def share(self) -> float:
        """Share of these that are, 0 to 1; not a number where there are none."""
        return self.counts[READ] / self.judged if self.judged else float('nan')

    def causes(self) -> Counter:
        """Counts why words failed."""
        return Counter(check.cause for check in self.failures)


@dataclass
class LaidOut:
    """A word of a label, drawn alone.

    Attributes:
        strip, ribbon: As :func:`fit_text` chooses them; the ribbon in pixels of ``label``.
        label: uint8 (h, w): the part of the label around the word.
        origin: x and y of its first pixel in the image.
    """

    strip: Strip
    ribbon: Ribbon
    label: np.ndarray
    origin: tuple[int, int]

    def flat(self) -> np.ndarray:
        """The word as it is read: uint8 (48, w) or larger, black on white."""
        return 255 - lay_out(self.label, self.strip, self.ribbon)

    def cut(self, image: np.ndarray) -> np.ndarray:
        """The same part of an image of any number of channels."""
        x, y = self.origin
        return image[y : y + self.label.shape[0], x : x + self.label.shape[1]]


def draw_alone(
    polygon: np.ndarray, text: str, shape: tuple[int, int], fonts: FontSpec = None
) -> LaidOut:
    """Draws the label of one word, and no more of the image than it stands in.

    Args:
        polygon, text, fonts: As :func:`odm_mmocr.rendering.render_label` takes them.
        shape: Height and width of the image, in pixels.

    Returns:
        The label and how the word runs through it.

    Raises:
        Undrawable: The text or the polygon is unusable, or the polygon lies outside the image.
    """
    chain = load_fonts(fonts)
    fit_text(text, polygon, chain)  # what is wrong with it is said here
    points = np.asarray(polygon, np.float64).reshape(-1, 2)
    x0, y0 = np.maximum(np.floor(points.min(0)) - 1, 0).astype(int).tolist()
    x1, y1 = np.minimum(np.ceil(points.max(0)) + 2, shape[::-1]).astype(int).tolist()
    if x0 >= x1 or y0 >= y1:
        raise UnusablePolygon(f'polygon lies outside the image of {shape[1]} x {shape[0]} pixels')
    points = points - (x0, y0)
    label, (fault,) = render_words([points], [text], (y1 - y0, x1 - x0), chain)
    if fault:
        raise fault
    return LaidOut(*fit_text(text, points, chain), label, (x0, y0))


def lay_out(picture: np.ndarray, strip: Strip, ribbon: Ribbon) -> np.ndarray:
    """Lays a word out flat as one line that the recogniser reads.

    Stacked characters are cut apart and set side by side. A line that is too dense for the
    recogniser, which tells no more than one letter in 16 pixels, is stretched.

    Args:
        picture: uint8 (H, W) or (H, W, 3): a label, or an image.
        strip, ribbon: As :func:`fit_text` chooses them, the ribbon in pixels of ``picture``.

    Returns:
        uint8 (h, w) or (h, w, 3).
    """
    count = len(strip.text)
    if not strip.stacked:
        return _lay_out_line(picture, ribbon, count)
    column = ribbon.rectify(picture, min(HEIGHT * count, MAX_RECTIFIED_SIDE))
    edges = np.rint(strip.edges * (len(column) / strip.edges[-1])).astype(int)
    tallest = int(np.diff(edges).max())
    cells = []
    for first, last in itertools.pairwise(edges):
        above = (tallest - (last - first)) // 2
        below = tallest - (last - first) - above
        cells.append(
            cv2.copyMakeBorder(column[first:last], above, below, 0, 0, cv2.BORDER_REPLICATE)
        )
    return np.concatenate(cells, axis=1)


def check_labels(
    images: Iterable[AnnotatedImage],
    reader: WordReader,
    fonts: FontSpec = None,
    min_height: float = 16,
    read_scenes: bool = False,
) -> ReadBack:
    """Draws the label of each word alone, lays it out flat, reads it and compares.

    What is misread is a fault of the label, of the annotation (a text that does not fit into its
    polygon), or of the recogniser: it cannot tell I, l and 1, or O and 0, which the reason says.

    Args:
        images: Annotations.
        reader: Reads the words.
        fonts: As :func:`odm_mmocr.rendering.load_fonts` takes them.
        min_height: Pixels; words whose polygon is shorter or lower are not judged.
        read_scenes: Read the images too, at the same places and in the same direction, and list
            the words that are clearly something else there.

    Returns:
        Counts and the words that were not read back.

    Raises:
        FileNotFoundError, ValueError: A font cannot be used.
    """
    chain, result = load_fonts(fonts), ReadBack()
    pending: list[tuple[WordCheck, LaidOut, np.ndarray | None]] = []
    for image in images:
        scene = _load_scene(image, result.problems) if read_scenes else None
        for word in image.words:
            check = WordCheck(image, word)
            drawn = _draw(check, reader, chain, min_height)
            if drawn is None:
                _file(check, result)
            else:
                pending.append((check, drawn, None if scene is None else drawn.cut(scene).copy()))
        if len(pending) >= _CHUNK:
            _judge(pending, reader, result)
            pending = []
    _judge(pending, reader, result)
    result.failures.sort(key=_badness)
    result.doubtful.sort(key=_doubtfulness)
    return result


def write_words(checks: Sequence[WordCheck], path: str | os.PathLike) -> None:
    """Writes a table of words as CSV, UTF-8.

    Args:
        checks: The words.
        path: The file; its folder is there.

    Raises:
        OSError: It cannot be written.
    """
    partial = Path(f'{os.fspath(path)}.{os.getpid()}.partial')
    try:
        with partial.open('w', encoding='utf-8', newline='') as file:
            table = csv.writer(file, lineterminator='\n')
            table.writerow(
                ('file', 'place', 'text', 'verdict', 'read', 'score', 'reason')
                + ('image_read', 'image_score', 'doubt')
            )
            for check in checks:
                table.writerow(
                    (check.image.source, check.word.place, check.word.text, check.verdict)
                    + (check.read, f'{check.score:.3f}', check.reason)
                    + (check.scene_read, f'{check.scene_score:.3f}', check.doubt)
                )
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _draw(
    check: WordCheck, reader: WordReader, fonts: FontChain, min_height: float
) -> LaidOut | None:
    """Draws a word that can be judged; for others None, and the verdict in ``check``."""
    word = check.word
    if word.ignored:
        check.verdict = IGNORED
        return None
    try:
        drawn = draw_alone(word.polygon, word.text, check.image.shape, fonts)
    except Undrawable as fault:
        check.verdict, check.cause, check.reason = UNDRAWABLE, fault.kind, str(fault)
        check.distance = 1.0
        return None
    if min(drawn.ribbon.length, drawn.ribbon.height) < min_height:
        check.verdict = TOO_SMALL
    elif not letters_and_digits(word.text):
        check.verdict, check.cause = NOT_COMPARABLE, 'no letters and digits'
    elif not reader.knows(word.text):
        check.verdict, check.cause = NOT_COMPARABLE, 'letters that the recogniser does not know'
    return None if check.verdict else drawn


def _judge(
    pending: Sequence[tuple[WordCheck, LaidOut, np.ndarray | None]],
    reader: WordReader,
    result: ReadBack,
) -> None:
    readings = reader([drawn.flat() for _, drawn, _ in pending])
    for (check, _, _), (check.read, check.score) in zip(pending, readings, strict=True):
        check.distance = _distance(check.read, check.word.text)
        check.verdict = READ if same_word(check.read, check.word.text) else MISREAD
        if check.verdict == MISREAD:
            check.cause = check.reason = _explain(check)
    scenes = [entry for entry in pending if entry[2] is not None]
    flats = [lay_out(scene, drawn.strip, drawn.ribbon) for _, drawn, scene in scenes]
    differing = []
    for entry, (text, score) in zip(scenes, reader(flats), strict=True):
        check = entry[0]
        check.scene_read, check.scene_score = text, score
        if not same_word(text, check.word.text):
            differing.append(entry)
    _judge_scenes(differing, reader)
    for check, _, _ in pending:
        _file(check, result)


def _judge_scenes(
    differing: Sequence[tuple[WordCheck, LaidOut, np.ndarray]], reader: WordReader
) -> None:
    """Says of words that the image shows differently whether that is clear, and how they stand."""
    turned = [
        (check, turn, flat)
        for check, drawn, scene in differing
        if len(check.word.text) > 1
        for turn, flat in _other_directions(scene, drawn)
    ]
    readings = reader([flat for _, _, flat in turned])
    for (check, turn, _), (text, score) in zip(turned, readings, strict=True):
        if score >= _CLEAR_SCORE and same_word(text, check.word.text):
            check.scene_read, check.scene_score = text, score
            check.doubt = f'the image shows it {turn}'
    for check, _, _ in differing:
        text, score = check.scene_read, check.scene_score
        clear = score >= _CLEAR_SCORE and letters_and_digits(text)
        if clear and not check.doubt and not _look_alike(text, check.word.text):
            check.doubt = 'the image reads as something else'


def _other_directions(scene: np.ndarray, drawn: LaidOut) -> list[tuple[str, np.ndarray]]:
    """The word of an image as other directions than the label's would have it."""
    ribbon, count = drawn.ribbon, len(drawn.strip.text)
    if len(ribbon.top) > 2:
        return [('turned by 180°', _lay_out_line(scene, ribbon, count)[::-1, ::-1])]
    return [
        (f'turned by {90 * quarters}°', _lay_out_line(scene, ribbon.turned(quarters), count))
        for quarters in (1, 2, 3)
    ]


def _lay_out_line(picture: np.ndarray, ribbon: Ribbon, count: int) -> np.ndarray:
    flat = ribbon.rectify(picture, HEIGHT)
    if flat.shape[1] < _LETTER_WIDTH * count:
        flat = cv2.resize(flat, (_LETTER_WIDTH * count, HEIGHT), interpolation=cv2.INTER_LINEAR)
    return flat


def _load_scene(image: AnnotatedImage, problems: list[str]) -> np.ndarray | None:
    try:
        scene = read_image(image.path)
    except (OSError, ValueError) as error:
        problems.append(f'{image.path}: there is no such image, or it cannot be read: {error}')
        return None
    if scene.shape[:2] != image.shape:
        found, told = (f'{width} x {height}' for height, width in (scene.shape[:2], image.shape))
        problems.append(f'{image.path}: {found} pixels, but {told} in the annotation')
        return None
    return scene


def _file(check: WordCheck, result: ReadBack) -> None:
    result.counts[check.verdict] += 1
    if check.verdict in (MISREAD, UNDRAWABLE):
        result.failures.append(check)
    if check.doubt:
        result.doubtful.append(check)


def _explain(check: WordCheck) -> str:
    if _look_alike(check.read, check.word.text):
        return 'letters that look alike'
    points, (height, width) = check.word.polygon, check.image.shape
    if points.min() < -1 or points[:, 0].max() > width or points[:, 1].max() > height:
        return 'the polygon reaches beyond the image'
    return 'reads as something else' if letters_and_digits(check.read) else 'nothing is read'


def _look_alike(read: str, text: str) -> bool:
    """Whether two texts are the same but for letters that many fonts draw alike."""
    read, text = (letters_and_digits(t).translate(_LOOK_ALIKES) for t in (read, text))
    return read == text


def _distance(read: str, text: str) -> float:
    return Levenshtein.normalized_distance(letters_and_digits(read), letters_and_digits(text))


def _badness(check: WordCheck) -> tuple:
    """Sorts what is not drawn at all first, then what is most different, and most surely so."""
    return check.verdict != UNDRAWABLE, -check.distance, -check.score


def _doubtfulness(check: WordCheck) -> tuple:
    """Sorts what reads right in another direction first: a certain fault."""
    distance = _distance(check.scene_read, check.word.text)
    return distance > 0, -distance, -check.scene_score
