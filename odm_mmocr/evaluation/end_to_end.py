"""End-to-end spotting: words found where they stand and read right."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import shapely
import torch
from mmengine.evaluator import BaseMetric
from mmocr.registry import METRICS

from odm_mmocr.datasets.preparers.parsers import UNREADABLE

from .end_to_end_lexicon import MAX_DISTANCE, LexiconFiles
from .shapes import as_points, polygon_shape

MIN_IOU = 0.5
# Of a prediction's area in one word that does not count, beyond which it does not count either.
IGNORED_SHARE = 0.5
SCORE_THRESHOLD = 0.5
# Those that MMOCR's HmeanIOUMetric tries.
SCORE_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
DETECTION, NO_LEXICON = 'detection', 'none'
# One of these may be left out at the start of a word, and one at its end.
OUTER_CHARACTERS = '!?.:,*"()·[]/\''
MIN_SPOTTED_LENGTH = 3
# Letters that a word of the word spotting protocol is made of.
_LETTERS = (('a', 'z'), ('A', 'Z'), ('À', 'ƿ'), ('Ǆ', 'ɿ'), ('Ά', 'Ͽ'), ('-', '-'))
_NO_LETTERS = '×÷'


def same_transcription(annotated: str, read: str) -> bool:
    """Whether a reading is right by the end-to-end protocol of the Robust Reading Competition.

    It is the annotated text, case aside, of which one of ``!?.:,*"()·[]/'`` may be left out at the
    start, and one at the end. What is read beyond the annotation is wrong.

    Args:
        annotated: Text of the ground truth.
        read: Text of the prediction.
    """
    annotated, read = annotated.upper(), read.upper()
    starts = (0, 1) if annotated[:1] and annotated[0] in OUTER_CHARACTERS else (0,)
    ends = (0, 1) if annotated[:1] and annotated[-1] in OUTER_CHARACTERS else (0,)
    return any(annotated[start : len(annotated) - end] == read for start in starts for end in ends)


def spotted_word(annotated: str) -> str | None:
    """What of an annotated text the word spotting protocol asks for.

    Without a final ``'s``, hyphens at its ends and the characters of :data:`OUTER_CHARACTERS` at
    its ends.

    Args:
        annotated: Text of the ground truth.

    Returns:
        The word; None where it does not count: shorter than 3 characters, or with others than
        Latin and Greek letters and hyphens.
    """
    word = annotated[:-2] if annotated[-2:] in ("'s", "'S") else annotated
    word = word.strip('-')
    word = ''.join(' ' if character in OUTER_CHARACTERS else character for character in word)
    word = word.strip()
    counts = len(word) >= MIN_SPOTTED_LENGTH and all(map(_is_letter, word))
    return word if counts else None


def _is_letter(character: str) -> bool:
    in_range = any(first <= character <= last for first, last in _LETTERS)
    return in_range and character not in _NO_LETTERS


class Overlaps(NamedTuple):
    """How the words of an image and its predictions lie on each other.

    Attributes:
        iou: float64 (words, predictions), intersection over union.
        covered: float64 (words, predictions), share of the prediction's area in the word.
    """

    iou: np.ndarray
    covered: np.ndarray

    @classmethod
    def of(cls, words: Sequence[np.ndarray], predictions: Sequence[np.ndarray]) -> 'Overlaps':
        """Measure them.

        Args:
            words: Polygons of the ground truth, (n, 2) or flat, pixels.
            predictions: Likewise of the predictions. One without area lies on nothing.
        """
        truth, found = (
            np.array([polygon_shape(as_points(polygon)) for polygon in polygons], object)
            for polygons in (words, predictions)
        )
        common = shapely.area(shapely.intersection(truth[:, None], found[None]))
        area, found_area = shapely.area(truth), shapely.area(found)
        union = area[:, None] + found_area[None] - common
        iou = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
        has_area = np.broadcast_to(found_area > 0, common.shape)
        covered = np.divide(common, found_area[None], out=np.zeros_like(common), where=has_area)
        return cls(iou, covered)


class Matches(NamedTuple):
    """Which word each prediction of an image is paired with.

    Attributes:
        words: int64 (predictions,), index of its word; -1: none.
        ignored: bool (predictions,), whether it lies on a word that does not count, and so does
            not count itself.
    """

    words: np.ndarray
    ignored: np.ndarray


def match_words(overlaps: Overlaps, ignored: np.ndarray, scores: np.ndarray) -> Matches:
    """Pair predictions with words, by place alone, as the Robust Reading Competition does.

    A prediction with more than half of its area in one word that does not count is ignored. Word
    by word, the surest of the remaining predictions with an IoU above 0.5 that has no word yet is
    taken: one word, one prediction. What the two read is not looked at. Hence fewer predictions, by
    a higher threshold of the score, leave the pairs of the others as they are.

    The competition's script takes the first in the submission rather than the surest.

    Args:
        overlaps: Of the image.
        ignored: bool (words,), which words do not count.
        scores: float (predictions,), how sure the predictions are.
    """
    ignored = np.asarray(ignored, bool)
    on_ignored = (overlaps.covered[ignored] > IGNORED_SHARE).any(axis=0)
    words = np.full(len(on_ignored), -1)
    surest_first = np.argsort(-np.asarray(scores, np.float64), kind='stable')
    for word in np.flatnonzero(~ignored):
        for prediction in surest_first:
            free = words[prediction] < 0 and not on_ignored[prediction]
            if free and overlaps.iou[word, prediction] > MIN_IOU:
                words[prediction] = word
                break
    return Matches(words, on_ignored)


@dataclass(frozen=True)
class Counts:
    """What counts of an image, or of several one after the other.

    Attributes:
        annotated: Words that are to be found.
        scores: float64 (n,), of the predictions that count.
        right: bool (n,), which of them are right.
    """

    annotated: int
    scores: np.ndarray
    right: np.ndarray

    def figures(self, threshold: float) -> dict[str, float]:
        """Precision, recall and their harmonic mean, 0 to 1; 0 where there is nothing to count.

        Args:
            threshold: Least score of the predictions, 0 to 1.
        """
        kept = self.scores >= threshold
        found, right = int(kept.sum()), int(self.right[kept].sum())
        total = found + self.annotated
        return dict(
            precision=right / found if found else 0.0,
            recall=right / self.annotated if self.annotated else 0.0,
            hmean=2 * right / total if total else 0.0,
        )


@METRICS.register_module()
class EndToEndMetric(BaseMetric):
    """End-to-end precision, recall and hmean at an IoU of 0.5, and those of the detection.

    By the rules of the Robust Reading Competition (ICDAR 2015, task 4.4; the scripts for
    Total-Text and CTW1500 of ABCNet and others follow them): places are paired by
    :func:`match_words`, and a pair is right if its texts agree by :func:`same_transcription`. Words
    that are ignored or have the text ``###`` or none do not count, nor what is found on them.
    Counts are pooled over all images. Where it differs from the competition's script:

    - Of several predictions at a word the surest is taken rather than the first.
    - Predictions without a text are none to the end-to-end figures, rather than wrong ones; they
      count for the detection.

    Three groups of figures, each of ``precision``, ``recall`` and ``hmean``:

    - ``detection_``: any text is right.
    - ``none_``: as read, without a lexicon.
    - one with the name of each lexicon: each reading is replaced by the nearest word of the
      lexicon, and dropped where none is near enough: :class:`.Lexicon`. The pair lists that come
      with the lexicons of some spotters, from a word to its spelling in the annotation, are not
      used.

    Each at ``score_threshold``, and with ``best_`` before it at that of the ``thresholds`` which
    gives its group the best hmean, which is ``best_…_threshold``. The best ones are chosen on the
    very data they are measured on, as those of MMOCR's HmeanIOUMetric are.

    Predictions are ``pred_instances`` with ``polygons``, ``scores`` (of the detection), ``texts``
    and, if there are any, ``text_scores``; the ground truth is ``gt_instances`` with ``polygons``,
    ``texts`` and ``ignored``.

    Args:
        lexicons: From a name to a file or folder as :class:`.LexiconFiles` takes it.
        max_distance: How far a reading may be from a word of a lexicon, as :class:`.Lexicon` has
            it.
        word_spotting: Whether only words as :func:`spotted_word` has them are asked for, and must
            be read exactly, case aside: the word spotting protocol, by which Total-Text is mostly
            reported. The detection's figures stay those of all words.
        score_threshold: Least score of a prediction, 0 to 1.
        thresholds: Those among which the best is sought.
        min_text_score: Least ``text_scores`` of a prediction that counts as read, 0 to 1.
        collect_device: As in :class:`mmengine.evaluator.BaseMetric`.
        prefix: Likewise.

    Raises:
        FileNotFoundError: A lexicon is not there.
        ValueError: A setting is out of range, or a lexicon holds no words.
    """

    default_prefix = 'e2e'

    def __init__(
        self,
        lexicons: Mapping[str, str | os.PathLike] | None = None,
        max_distance: float | None = MAX_DISTANCE,
        word_spotting: bool = False,
        score_threshold: float = SCORE_THRESHOLD,
        thresholds: Sequence[float] = SCORE_THRESHOLDS,
        min_text_score: float = 0.0,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ):
        super().__init__(collect_device, prefix)
        for name, values in (
            ('score_threshold', [score_threshold]),
            ('thresholds', list(thresholds)),
            ('min_text_score', [min_text_score]),
        ):
            if not values or not all(0 <= value <= 1 for value in values):
                raise ValueError(f'{name}: expected numbers from 0 to 1, not {values}')
        lexicons = dict(lexicons or {})
        if taken := {DETECTION, NO_LEXICON}.intersection(lexicons):
            raise ValueError(f'no lexicon may be called {taken.pop()}: that is a group of figures')
        self.lexicons = {name: LexiconFiles(path, max_distance) for name, path in lexicons.items()}
        self.word_spotting = word_spotting
        self.score_threshold = score_threshold
        self.thresholds = tuple(thresholds)
        self.min_text_score = min_text_score

    @property
    def groups(self) -> list[str]:
        """Names of the groups of figures."""
        return [DETECTION, NO_LEXICON, *self.lexicons]

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Count predicted samples.

        Raises:
            ValueError: A sample lacks a part of what is compared, or has parts of several lengths.
            FileNotFoundError: A folder of lexicons has none for an image.
        """
        for sample in data_samples:
            self.results.append(self.count(sample))

    def count(self, sample: Mapping[str, Any]) -> dict[str, Counts]:
        """Count one sample, for each group of figures."""
        image = str(sample.get('img_path') or 'image without a name')
        truth = _columns(sample, 'gt_instances', ('polygons', 'texts', 'ignored'), image)
        found = _columns(sample, 'pred_instances', ('polygons', 'scores', 'texts'), image)
        scores = _array(found['scores']).astype(np.float64).reshape(-1)
        readings = self._readings(found, image)
        texts = list(truth['texts'])
        unreadable = np.array([text.strip() in ('', UNREADABLE) for text in texts], bool)
        unreadable |= _array(truth['ignored']).astype(bool).reshape(-1)
        overlaps = Overlaps.of(truth['polygons'], found['polygons'])

        matches = match_words(overlaps, unreadable, scores)
        counts = {DETECTION: _count(matches, unreadable, scores, matches.words >= 0)}
        agree, ignored = same_transcription, unreadable
        if self.word_spotting:
            agree = _same_word
            words = [spotted_word(text) for text in texts]
            ignored = unreadable | np.array([word is None for word in words], bool)
            texts = [word or '' for word in words]
        for name in (NO_LEXICON, *self.lexicons):
            read = readings
            if name in self.lexicons:
                lexicon = self.lexicons[name].for_image(image)
                read = [lexicon.correct(text) if text else '' for text in readings]
            kept = np.flatnonzero([bool(text) for text in read])
            matches = match_words(
                Overlaps(overlaps.iou[:, kept], overlaps.covered[:, kept]), ignored, scores[kept]
            )
            right = np.array(
                [
                    word >= 0 and agree(texts[word], read[prediction])
                    for word, prediction in zip(matches.words, kept, strict=True)
                ],
                bool,
            )
            counts[name] = _count(matches, ignored, scores[kept], right)
        return counts

    def _readings(self, found: dict, image: str) -> list[str]:
        """Text of each prediction, empty where it does not count as read."""
        texts = [text.strip() for text in found['texts']]
        if found.get('text_scores') is None:
            return texts
        text_scores = _array(found['text_scores']).astype(np.float64).reshape(-1)
        if len(text_scores) != len(texts):
            raise ValueError(f'{image}: {len(text_scores)} text_scores of {len(texts)} predictions')
        return [
            text if score >= self.min_text_score else ''
            for text, score in zip(texts, text_scores, strict=True)
        ]

    def compute_metrics(self, results: list[dict[str, Counts]]) -> dict[str, float]:
        """Compute the figures of all samples."""
        if not results:
            return {}
        figures = {}
        for name in self.groups:
            parts = [result[name] for result in results]
            counts = Counts(
                sum(part.annotated for part in parts),
                np.concatenate([part.scores for part in parts]),
                np.concatenate([part.right for part in parts]),
            )
            best = max(self.thresholds, key=lambda t: counts.figures(t)['hmean'])
            for figure, value in counts.figures(self.score_threshold).items():
                figures[f'{name}_{figure}'] = value
            for figure, value in counts.figures(best).items():
                figures[f'best_{name}_{figure}'] = value
            figures[f'best_{name}_threshold'] = float(best)
        return figures


def _count(matches: Matches, ignored: np.ndarray, scores: np.ndarray, right: np.ndarray) -> Counts:
    kept = ~matches.ignored
    return Counts(int((~ignored).sum()), scores[kept], right[kept])


def _same_word(annotated: str, read: str) -> bool:
    return annotated.upper() == read.upper()


def _array(values: Any) -> np.ndarray:
    return values.cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def _columns(
    sample: Mapping[str, Any], part: str, names: Sequence[str], image: str
) -> Mapping[str, Any]:
    """The instances of a sample, after a check that they have columns of one length."""
    instances = sample.get(part)
    missing = [name for name in names if instances is None or instances.get(name) is None]
    if missing:
        advice = (
            'load the texts, LoadOCRAnnotations(with_text=True), of an annotation for spotting'
            if part == 'gt_instances'
            else 'a detector alone has no texts: tools/evaluate_spotting.py adds a recogniser'
        )
        raise ValueError(f'{image}: {part} has no {", ".join(missing)}; {advice}')
    lengths = {name: len(instances[name]) for name in names}
    if len(set(lengths.values())) > 1:
        told = ', '.join(f'{count} {name}' for name, count in lengths.items())
        raise ValueError(f'{image}: {part} has {told}; expected as many of each')
    return instances
