"""What a transform has done to polygons and texts, judged by where it has put the pixels."""

import copy
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import shapely

from odm_mmocr.datasets.seeding import seeded
from odm_mmocr.rendering import UnusablePolygon, rectify, render_words, split_polygon
from odm_mmocr.rendering.meshes import warp_points
from odm_mmocr.visualization import draw_annotations

from .pipeline_report import Finding, StepReport
from .pixel_maps import PixelMap, Unmeasurable, measure
from .shapes import as_points, polygon_shape

Reader = Callable[[list[np.ndarray]], list[tuple[str, float]]]

MIN_HEIGHT = 8.0  # pixels of the result; of lower words polygon and direction are not judged
MIN_VISIBLE = 0.5  # share of a word's area in view, below which it is not judged
_CUT = 0.9  # share in view below which a word counts as cut by the border
_SAME_INK = 0.7  # intersection over union of two labels that read the same
_READING_HEIGHT = 48  # pixels
_MAX_TURN = np.deg2rad(45)


class InstanceText(str):
    """A text that knows which instance of the annotation it belongs to.

    Transforms move it about like any string, and so show which instance they have paired it with.

    Args:
        text: The text.
        number: Index of the instance in the annotation.
    """

    number: int

    def __new__(cls, text: str, number: int = -1) -> 'InstanceText':
        self = super().__new__(cls, text)
        self.number = number
        return self


@dataclass(frozen=True)
class Word:
    """An instance as it should be after the transforms so far.

    Attributes:
        number: Index in the annotation.
        text: What stands there.
        polygon: float64 (k, 2), where it stands; what is out of view is there as well.
        ignored: Whether the annotation says so, or a transform since.
        sound: Whether polygon and place are known well enough to judge what becomes of it.
        mirrored: Whether the image shows it mirrored.
        faults: Kinds found of it so far: each is reported of the transform that causes it.
    """

    number: int
    text: str
    polygon: np.ndarray
    ignored: bool
    sound: bool
    mirrored: bool = False
    faults: frozenset[str] = frozenset()


class Judgement:
    """Compares a sample before and after a transform.

    Args:
        step: Takes what is found.
        before, after: Results of the pipeline.
        words: What stood in the image before, as it should.
        sight: What of the annotated scene the image showed before.
        reader, same_word: As :class:`.pipeline_check.PipelineChecker` has them.

    Attributes:
        sight: What of the annotated scene the image shows now: all of it but padding.
    """

    def __init__(
        self,
        step: StepReport,
        before: dict,
        after: dict,
        words: list[Word],
        sight: shapely.Geometry,
        reader: Reader | None,
        same_word: Callable[[str, str], bool],
    ) -> None:
        self.step, self.reader, self.same_word = step, reader, same_word
        self.before, self.after, self.words = before, after, words
        self.image = image_file(before)
        self.shape = after['img'].shape[:2]
        self.view = frame(after)
        self.sight_before, self.sight = sight, self.view
        self.polygons = [as_points(polygon) for polygon in after['gt_polygons']]
        self.by_number = {word.number: word for word in words}
        self.unmapped: list[int] = []
        self.unread: list[tuple[Finding, np.ndarray, np.ndarray, Callable]] = []

    def judge(self, transforms: Sequence[Callable], state: tuple[int, ...]) -> list[Word]:
        """Reports what is wrong, and returns the words as they should be now."""
        in_step = self._check_lengths()
        try:
            pixels = self._measure(transforms, state)
        except Unmeasurable as error:
            self._add('unverified', None, '', str(error))
            return self._start_anew()
        if pixels.dominant is not None:
            self.sight = self._carry_sight(np.linalg.inv(pixels.dominant))
        words = [self._judge_instance(k, pixels, in_step) for k in range(len(self.polygons))]
        self._read()
        if self.unmapped:
            detail = f'no simple map holds for the pixels of instances {self.unmapped}'
            self._add('unverified', None, '', detail)
        if not in_step:
            # For the transforms to come, which are to be judged by what they do themselves.
            self.after['gt_texts'] = [InstanceText(word.text, word.number) for word in words]
        return words

    def _check_lengths(self) -> bool:
        """Reports keys of other lengths than the polygons; returns whether the texts fit."""
        count, number = len(self.words), len(self.polygons)
        wrong = {
            key: len(self.after[key])
            for key, value in self.before.items()
            if key.startswith('gt_')
            and isinstance(value, (list, tuple, np.ndarray))
            and len(value) == count
            and isinstance(self.after.get(key), (list, tuple, np.ndarray))
            and len(self.after[key]) != number
        }
        if wrong:
            listed = ', '.join(f'{length} {key}' for key, length in wrong.items())
            self._add('out of step', None, '', f'{number} polygons, but {listed}', self._draw_all)
        elif moved := self._foreign_boxes():
            detail = f'gt_bboxes of instances {moved} do not hold their polygons'
            self._add('out of step', None, '', detail, self._draw_all)
        return len(self.after.get('gt_texts', ())) == number

    def _foreign_boxes(self) -> list[int]:
        """Instances whose box holds the centre of their polygon no longer."""
        boxes = self.after.get('gt_bboxes', ())
        if len(boxes) != len(self.polygons) or not all(
            _holds_centre(box, as_points(polygon))
            for box, polygon in zip(self.before.get('gt_bboxes', ()), self.before['gt_polygons'])
        ):
            return []
        return [
            k
            for k, (box, points) in enumerate(zip(boxes, self.polygons))
            if _area(points) >= 1 and not _holds_centre(box, points)
        ]

    def _measure(self, transforms: Sequence[Callable], state: tuple[int, ...]) -> PixelMap:
        before, after = self.before['img'], self.after['img']
        if np.array_equal(before, after):
            return PixelMap(self.shape)

        def run(picture: np.ndarray) -> np.ndarray:
            try:
                results = run_seeded(transforms, {**self.before, 'img': picture}, state)
            except Exception as error:  # what the sample went through, its picture cannot
                raise Unmeasurable(f'coded pictures cannot be put through: {error}') from error
            if results is None or not _same_polygons(results, self.after):
                raise Unmeasurable('random draws differ from run to run, or depend on the pixels')
            return results['img']

        unmoved = before.shape == after.shape and _same_polygons(self.before, self.after)
        return measure(run, before, may_be_identity=unmoved)

    def _start_anew(self) -> list[Word]:
        """Takes what the transform made for true, as far as that is possible."""
        texts = self.after.get('gt_texts', ())
        if len(texts) != len(self.polygons):
            texts = [InstanceText('', -1)] * len(self.polygons)
            self.after['gt_texts'] = texts
        return [
            Word(
                getattr(text, 'number', k),
                text,
                points,
                is_ignored(self.after, k),
                is_sound(points) and bool(text),
            )
            for k, (points, text) in enumerate(zip(self.polygons, texts))
        ]

    def _judge_instance(self, k: int, pixels: PixelMap, in_step: bool) -> Word:
        points = self.polygons[k]
        text = self.after['gt_texts'][k] if in_step else None
        named = self.by_number.get(getattr(text, 'number', -1))
        ignored = is_ignored(self.after, k)
        lost = Word(named.number if named else -1, str(text or ''), points, ignored, False)
        if _area(points) < 1:
            if named and named.sound and not (named.ignored or ignored):
                self.step.words += 1
                draw = self._drawing(named, points, text)
                detail = 'nothing is left of the polygon, its text stays'
                self._add('clipped', named, named.text, detail, draw)
            return lost
        homography = pixels.around(points)
        if homography is None:
            if not ignored and _shorter_side(points) >= MIN_HEIGHT:
                self.unmapped.append(k)
            return lost
        origin, carry = warp_points(points, homography), np.linalg.inv(homography)
        sight = self.sight if homography is pixels.dominant else self._carry_sight(carry)
        word, expected, distance = self._match(points, origin, carry, named, sight)
        scale = np.sqrt(_area(points) / max(_area(origin), 1e-6))
        tolerance = 2 * max(1.0, scale) + 0.1 * _height(points)
        if word is None or distance > tolerance:
            self._judge_moved(k, points, text, named, carry)
            return lost
        visible = _share_within(expected, sight)
        return self._judge_matched(k, word, named, expected, tolerance, text, visible)

    def _carry_sight(self, carry: np.ndarray) -> shapely.Geometry:
        """What of the scene is shown, where pixels go by a homography."""
        if not isinstance(self.sight_before, shapely.Polygon) or self.sight_before.is_empty:
            return self.view
        corners = np.array(self.sight_before.exterior.coords)[:-1]
        return polygon_shape(warp_points(corners, carry)).intersection(self.view)

    def _match(
        self,
        points: np.ndarray,
        origin: np.ndarray,
        carry: np.ndarray,
        named: Word | None,
        sight: shapely.Geometry,
    ) -> tuple[Word | None, np.ndarray | None, float]:
        """Finds the word on whose pixels a polygon stands.

        Args:
            points: The polygon.
            origin: Where its points were before the transform.
            carry: (3, 3) homography from there to here.
            named: The word that the text says.
            sight: What of the scene is shown.

        Returns:
            The word, where its polygon should be now, and the distance of the polygon from there in
            pixels, as far as both are in sight; of several at the same place the one that the text
            names.
        """
        low, high = origin.min(0) - 2, origin.max(0) + 2
        best: tuple[Word | None, np.ndarray | None, float] = None, None, np.inf
        here = polygon_shape(points).intersection(sight)
        for word in self.words:
            if len(word.polygon) < 3 or _are_apart(word.polygon, low, high):
                continue
            expected = warp_points(word.polygon, carry)
            there = polygon_shape(expected).intersection(sight)
            if here.is_empty or there.is_empty:
                distance = polygon_shape(points).hausdorff_distance(polygon_shape(expected))
            else:
                distance = here.hausdorff_distance(there)
            # A pixel of advantage to the named one: instances may be annotated twice.
            handicap = 1 if word is named else 0 if best[0] is not named else -1
            if distance < best[2] + handicap:
                best = word, expected, distance
        return best

    def _judge_moved(self, k, points, text, named, carry) -> None:
        if named is None or not named.sound or 'moved' in named.faults:
            return
        if named.ignored or is_ignored(self.after, k) or _height(points) < MIN_HEIGHT:
            return
        expected = warp_points(named.polygon, carry)
        if max(_share_within(p, self.view) for p in (points, expected)) < MIN_VISIBLE:
            return
        self.step.words += 1
        apart = polygon_shape(points).hausdorff_distance(polygon_shape(expected))
        detail = f'stands up to {apart:.0f} pixels from where its pixels went'
        draw = self._drawing(named, points, text, expected)
        self._add('moved', named, named.text, detail, draw)

    def _judge_matched(self, k, word, named, expected, tolerance, text, visible) -> Word:
        """Judges an instance that stands on the pixels of a word."""
        points = self.polygons[k]
        ignored = is_ignored(self.after, k)
        mirrored = word.mirrored ^ (not _turns_same(word.polygon, expected))
        agrees = len(points) == len(expected) and np.abs(points - expected).max() <= tolerance
        in_sight = visible >= MIN_VISIBLE
        judged = (
            in_sight
            and word.sound
            and not (word.ignored or ignored)
            and _height(expected) >= MIN_HEIGHT
        )
        self.step.instances += in_sight
        self.step.words += judged
        draw = self._drawing(word, points, word.text if text is None else text, expected)

        # Of every instance, so that a fault is not laid to a later transform after which the word
        # happens to be large enough; but reported only where it can be judged.
        faults: dict[str, str] = {}
        if text is not None and named is not word and str(text) in self._other_texts(word):
            faults['wrong text'] = f'stands there, but the polygon is paired with {text!r}'
        if word.ignored and not ignored:
            faults['wrong ignore flag'] = 'is ignored before the transform, not after it'
        reported = set(faults) if in_sight else set()
        if word.sound:
            if mirrored:
                faults['mirrored'] = 'is mirrored'
            if not agrees and (lost := _lost_direction(points, expected)):
                faults['direction'] = lost
            kept = _area(points) / max(_area(expected), 1e-6)
            whole_text = text is None or str(text) == word.text
            if whole_text and visible < _CUT and kept < min(visible + 0.05, 0.95):
                faults['clipped'] = f'keeps {100 * kept:.0f} % of its polygon and all of its text'
        if judged:
            reported = set(faults)
            drawn_otherwise = not (agrees or mirrored or word.faults) and visible >= _CUT
            if drawn_otherwise and (lost := self._lost_label(word, points, expected, draw)):
                faults['unreadable'] = lost
                reported.add('unreadable')
        for kind in faults:
            if kind in reported and kind not in word.faults:
                self._add(kind, word, word.text, faults[kind], draw)
        lasting = word.faults & {'wrong text', 'clipped', 'unreadable'}
        adopted = agrees or (word.sound and not faults and not lasting)
        return replace(
            word,
            polygon=points if adopted else expected,
            ignored=word.ignored or ignored,
            mirrored=mirrored,
            faults=lasting | frozenset(faults),
        )

    def _other_texts(self, word: Word) -> set[str]:
        return {other.text for other in self.words if other.text != word.text}

    def _lost_label(self, word, points, expected, draw) -> str | None:
        """Why the label cannot be drawn any more; what is drawn otherwise is left to the reader."""
        low = np.floor(np.minimum(points.min(0), expected.min(0))) - 2
        high = np.ceil(np.maximum(points.max(0), expected.max(0))) + 3
        if (high - low > 4096).any():
            return None
        shape = tuple((high - low).astype(int).tolist()[::-1])
        old, old_faults = render_words([expected - low], [word.text], shape)
        new, new_faults = render_words([points - low], [word.text], shape)
        if old_faults[0] is not None:
            return None
        if new_faults[0] is not None:
            return f'can no longer be drawn: {new_faults[0]}'
        ink = old > 127, new > 127
        if (ink[0] & ink[1]).sum() >= _SAME_INK * max((ink[0] | ink[1]).sum(), 1):
            return None
        finding = Finding('unreadable', self.image, word.number, word.text, '')
        crops = [rectify(label, expected - low, _READING_HEIGHT) for label in (old, new)]
        self.unread.append((finding, *crops, draw))
        return None

    def _read(self) -> None:
        """Asks the reader about labels that look otherwise than before."""
        if not self.unread or self.reader is None:
            return
        crops = [crop for _, old, new, _ in self.unread for crop in (old, new)]
        read = [text for text, _ in self.reader(crops)]
        for (finding, _, _, draw), old, new in zip(self.unread, read[::2], read[1::2]):
            if self.same_word(old, finding.text) and not self.same_word(new, finding.text):
                detail = f'is read {new!r} in the label drawn after the transform'
                self.step.add(replace(finding, detail=detail), draw)

    def _add(self, kind, word, text, detail, draw=None) -> None:
        number = None if word is None else word.number
        finding = Finding(kind, self.image, number, str(text), detail)
        self.step.add(finding, draw)

    def _drawing(self, word, points, text, expected=None) -> Callable[[Finding], tuple]:
        """Draws a word before and after the transform, when asked to."""

        def draw(finding: Finding) -> tuple[np.ndarray, np.ndarray]:
            shown = [p for p in (points, expected) if p is not None and _area(p) >= 1]
            shown = shown or [self._corners()]
            return (
                draw_annotations(
                    self.before['img'],
                    [word.polygon],
                    [word.text],
                    _region([word.polygon]),
                    caption=_place(finding),
                ),
                draw_annotations(
                    self.after['img'],
                    [points],
                    [str(text or '')],
                    _region(shown),
                    expected=() if expected is None else [expected],
                    caption=finding.detail,
                ),
            )

        return draw

    def _corners(self) -> np.ndarray:
        return np.array([(0, 0), self.shape[::-1]], float)

    def _draw_all(self, finding: Finding) -> tuple[np.ndarray, np.ndarray]:
        size = 640, 480
        return (
            draw_annotations(
                self.before['img'],
                [word.polygon for word in self.words],
                [word.text for word in self.words],
                _region([word.polygon for word in self.words]),
                size=size,
                caption=_place(finding),
            ),
            draw_annotations(
                self.after['img'],
                self.polygons,
                self.after.get('gt_texts', ()),
                _region([p for p in self.polygons if len(p)] or [self._corners()]),
                size=size,
                caption=finding.detail,
            ),
        )


def run_seeded(transforms: Sequence[Callable], results: dict, state: Sequence[int]) -> dict | None:
    """Runs transforms on a copy of results, always with the same random draws.

    Args:
        transforms: Run one after the other, as copies, so that what they hold themselves is as it
            was.
        results: What the first of them is given; stays as it is.
        state: Seeds of the draws, integers of 0 or more.

    Returns:
        What the last of them returns; None as soon as one returns that.
    """
    results = copy.deepcopy(results)
    with seeded(state):
        # In here: augmenters of imgaug share its global generator, and copies copy it. Open files,
        # locks and sessions cannot be copied: what such transforms draw on their own then differs.
        with suppress(TypeError, AttributeError):
            transforms = copy.deepcopy(transforms)
        for transform in transforms:
            results = transform(results)
            if results is None:
                return None
    return results


def image_file(results: dict) -> str:
    """Path of the image, for messages."""
    return os.path.normpath(results.get('img_path') or 'image without a name')


def _place(finding: Finding) -> str:
    name = Path(finding.image).name
    return name if finding.instance is None else f'{name}, instance {finding.instance}'


def _area(points: np.ndarray) -> float:
    return polygon_shape(points).area


def _share_within(points: np.ndarray, region: shapely.Geometry) -> float:
    """Share of a polygon's area that is in a region."""
    shape = polygon_shape(points)
    return shape.intersection(region).area / shape.area if shape.area else 0.0


def frame(results: dict) -> shapely.Polygon:
    """The whole image, from edge to edge."""
    height, width = results['img'].shape[:2]
    return shapely.box(0, 0, width, height)


def is_sound(points: np.ndarray) -> bool:
    """Whether a polygon tells where its word stands and which way it reads."""
    try:
        split_polygon(points)
    except UnusablePolygon:
        return False
    return shapely.Polygon(points).is_valid


def _are_apart(points: np.ndarray, low: np.ndarray, high: np.ndarray) -> bool:
    return bool((points.max(0) < low).any() or (points.min(0) > high).any())


def is_ignored(results: dict, k: int) -> bool:
    """Whether instance ``k`` is flagged as ignored; not where flags are missing."""
    flags = results.get('gt_ignored', ())
    return bool(flags[k]) if k < len(flags) else False


def _holds_centre(box: np.ndarray, points: np.ndarray) -> bool:
    if len(points) < 3:
        return True
    x, y = (points.min(0) + points.max(0)) / 2
    return box[0] - 3 <= x <= box[2] + 3 and box[1] - 3 <= y <= box[3] + 3


def _same_polygons(a: dict, b: dict) -> bool:
    a, b = a.get('gt_polygons', ()), b.get('gt_polygons', ())
    return len(a) == len(b) and all(np.array_equal(p, q) for p, q in zip(a, b))


def _height(points: np.ndarray) -> float:
    """Mean height across the reading direction, pixels; without such, the shorter side."""
    if len(points) % 2 == 0 and len(points) >= 4:
        half = len(points) // 2
        return float(np.linalg.norm(points[:half] - points[half:][::-1], axis=1).mean())
    return _shorter_side(points)


def _shorter_side(points: np.ndarray) -> float:
    return float(min(cv2.minAreaRect(points.astype(np.float32))[1]))


def _lost_direction(points: np.ndarray, expected: np.ndarray) -> str | None:
    """How a polygon no longer tells the reading direction of the expected one; None if it does."""
    if len(points) % 2 or len(points) < 4:
        return f'has {len(expected)} points before and {len(points)} after: no reading direction'
    (start, end, up), (start_0, end_0, up_0) = _reading(points), _reading(expected)
    along, along_0 = end - start, end_0 - start_0
    cosine = along @ along_0 / max(np.linalg.norm(along) * np.linalg.norm(along_0), 1e-9)
    turn = np.arccos(np.clip(cosine, -1, 1))
    upright = up @ up_0 > 0
    if turn <= _MAX_TURN:
        return None if upright else 'has its top below: the order of its vertices is reversed'
    order = 'the same' if _turns_same(points, expected) else 'the opposite'
    return f'reads in a direction {np.rad2deg(turn):.0f} degrees off, vertices in {order} order'


def _reading(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the text starts and ends, and the way from its bottom to its top."""
    half = len(points) // 2
    top, bottom = points[:half], points[half:][::-1]
    return (top[0] + bottom[0]) / 2, (top[-1] + bottom[-1]) / 2, (top - bottom).mean(0)


def _turns_same(a: np.ndarray, b: np.ndarray) -> bool:
    def signed(points: np.ndarray) -> float:
        x, y = points.T
        return float(x @ np.roll(y, -1) - y @ np.roll(x, -1))

    return signed(a) * signed(b) > 0


def _region(polygons: Sequence[np.ndarray]) -> tuple[float, float, float, float]:
    """A cut-out with room around polygons."""
    points = np.concatenate(polygons)
    low, high = points.min(0), points.max(0)
    margin = max(16.0, 0.5 * (high - low).min())
    return (*(low - margin).tolist(), *(high + margin).tolist())
