"""What the filters of pseudo-labels cost and gain, at several strengths, against a ground truth."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import numpy as np

from odm_mmocr.datasets.annotation_files import AnnotatedImage
from odm_mmocr.pseudo_label.filters import FilterSettings, WordFilter
from odm_mmocr.pseudo_label.readings import check_record, iterate_records

from .pseudo_label_quality import FoundWord, ImageMatch, WordQuality

# Every filter that judges words by themselves, with all of them switched off before.
OFF = dict(
    min_score=None,
    min_detection_score=None,
    min_height=None,
    min_letter_aspect=None,
    max_letter_aspect=None,
    min_known=None,
    max_coverage=None,
    min_letters=None,
    read_back=False,
    min_plausibility=None,
)
STRENGTHS: dict[str, tuple] = dict(
    min_score=(0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98),
    min_detection_score=(0.55, 0.6, 0.65, 0.7, 0.75),
    min_height=(6.0, 8.0, 10.0, 12.0, 16.0),
    min_letters=(1, 2, 3),
    min_letter_aspect=(0.1, 0.2, 0.3),
    max_letter_aspect=(3.0, 2.0, 1.5, 1.0),
    min_known=(0.5, 1.0),
    max_coverage=(0.5, 0.1, 0.05),
    min_plausibility=(-7.0, -6.0, -5.0, -4.0, 0.0),
    read_back=(True,),
)


@dataclass(frozen=True)
class SweepRow:
    """A row of the table.

    Attributes:
        group: ``none``, ``alone`` (one filter), ``chosen`` (the settings as given) or ``around``
            (as given but for one).
        setting: What is switched on, or changed.
        quality: Of the words that pass.
    """

    group: str
    setting: str
    quality: WordQuality


class FilterSweep:
    """Readings and their ground truth.

    Args:
        readings: Files of readings.
        annotated: Ground truth of the images; those that it lacks are left out.

    Attributes:
        images: Number of images that both have.

    Raises:
        ValueError: A record is none of ours, or they have no image in common.
    """

    def __init__(self, readings: Sequence[str | os.PathLike], annotated: Iterable[AnnotatedImage]):
        by_name = _by_name(annotated)
        self._images: list[tuple[list[dict], tuple[int, int], ImageMatch]] = []
        for path in readings:
            for _, record in iterate_records(path):
                check_record(record, path)
                truth = by_name.get(PurePath(record['img_path']).name)
                if truth is None or 'error' in record:
                    continue
                found = [
                    FoundWord(word['text'], np.reshape(word['polygon'], (-1, 2)))
                    for word in record['words']
                ]
                shape = record['height'], record['width']
                match = ImageMatch(found, truth.words)
                self._images.append((record['words'], shape, match))
        self.images = len(self._images)
        if not self.images:
            raise ValueError(
                'the readings and the ground truth have no image in common; their file names are '
                'compared'
            )

    def judge(self, settings: FilterSettings) -> WordQuality:
        """The words that pass, over all images."""
        passes = WordFilter(settings)
        total = WordQuality()
        for words, shape, match in self._images:
            total += match.judge([passes(word, shape) is None for word in words])
        return total

    def rows(self, chosen: FilterSettings) -> Iterator[SweepRow]:
        """Judge without filters, with each alone, with the chosen ones, with one of those changed.

        Args:
            chosen: The settings that are tried.

        Yields:
            The rows. Reading back is left out where the readings were made without.
        """
        none = replace(chosen, **OFF)
        yield SweepRow('none', 'no filter', self.judge(none))
        strengths = dict(STRENGTHS)
        if not self._has_read_back():
            del strengths['read_back']
        for name, values in strengths.items():
            for value in values:
                quality = self.judge(replace(none, **{name: value}))
                yield SweepRow('alone', _tell(name, value), quality)
        yield SweepRow('chosen', 'the chosen filters', self.judge(chosen))
        for name, values in strengths.items():
            present = getattr(chosen, name)
            others = [value for value in (*values, OFF[name]) if value != present]
            for value in others:
                quality = self.judge(replace(chosen, **{name: value}))
                yield SweepRow('around', _tell(name, value), quality)

    def _has_read_back(self) -> bool:
        words = [word for words, _, _ in self._images for word in words]
        return bool(words) and all('read_back' in word for word in words)


def format_table(rows: Iterable[SweepRow]) -> str:
    """The rows as a table in Markdown."""
    titles = dict(
        none='without filters', alone='one filter', chosen='chosen', around='chosen, but for'
    )
    lines = [
        '| | setting | words | precision | recall | F | at a word |',
        '|---|---|---|---|---|---|---|',
    ]
    for row in rows:
        quality = row.quality
        lines.append(
            f'| {titles[row.group]} | {row.setting} | {quality.found:,} | {quality.precision:.3f} '
            f'| {quality.recall:.3f} | {quality.f_score:.3f} | {quality.location_precision:.3f} |'
        )
    return '\n'.join(lines)


def _tell(name: str, value: object) -> str:
    if value is None or value is False:
        return f'{name} off'
    return name if value is True else f'{name} {value:g}'


def _by_name(annotated: Iterable[AnnotatedImage]) -> dict[str, AnnotatedImage]:
    by_name: dict[str, AnnotatedImage] = {}
    for image in annotated:
        name = Path(image.path).name
        if name in by_name:
            raise ValueError(
                f'two images of the ground truth are called {name}; their names must tell them '
                'apart'
            )
        by_name[name] = image
    return by_name
