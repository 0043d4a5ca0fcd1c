"""From readings to an annotation of MMOCR: filters, near-duplicates, a report of both."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from odm_mmocr.checkpoints.saving import written_whole

from .filters import FilterSettings, WordFilter
from .perceptual_hash import find_near_duplicates
from .readings import iterate_records, read_header


@dataclass
class Report:
    """What has become of images and words.

    Attributes:
        images: By what happened to them: ``annotated``, ``failed``, ``duplicate``, ``empty`` (no
            word passed); they sum up to all that were read.
        words: Those of images that are neither failed nor duplicates: ``accepted`` and
            ``rejected``.
        rejected: Rejected words by the filter.
        invalid: Words that no filter saw, because they were none.
        missing: Images that have not been read yet.
        settings: Of the filters.
    """

    images: Counter = field(default_factory=Counter)
    words: Counter = field(default_factory=Counter)
    rejected: Counter = field(default_factory=Counter)
    invalid: int = 0
    missing: int = 0
    settings: dict = field(default_factory=dict)

    def as_dict(self) -> dict:
        """The report, ready for JSON."""
        values = ((item.name, getattr(self, item.name)) for item in fields(self))
        return {name: dict(v) if isinstance(v, Counter) else v for name, v in values}

    def lines(self) -> list[str]:
        """The report as text."""
        images, words = self.images, self.words
        read = sum(images.values())
        lines = [
            f'images: {read:,} read; {images["annotated"]:,} annotated, {images["empty"]:,} '
            f'without words, {images["duplicate"]:,} near-duplicates, {images["failed"]:,} that '
            'could not be read'
        ]
        if self.missing:
            lines.append(f'        {self.missing:,} have not been read yet')
        total = sum(words.values())
        lines.append(
            f'words:  {total:,} read; {words["accepted"]:,} accepted, {words["rejected"]:,} '
            'rejected and ignored'
        )
        for name, count in self.rejected.most_common():
            lines.append(f'        {count:,} by {name}')
        if self.invalid:
            lines.append(f'        {self.invalid:,} more were no words with a polygon')
        return lines


def write_annotations(
    readings: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    settings: FilterSettings | None = None,
    keep_empty: bool = False,
) -> Report:
    """Filter what was read, and write an annotation for text spotting.

    Rejected words are ignored instances, which say in ``rejected`` by which filter: they are no
    background.

    Args:
        readings: Files of readings: of one run, or of its shards.
        out: JSON file; it appears when it is whole.
        settings: Of the filters; None: the defaults.
        keep_empty: Whether images without an accepted word stay.

    Returns:
        What has become of images and words; it stands in the file's ``metainfo``, as
        ``pseudo_label``, too.

    Raises:
        FileNotFoundError: A file of readings is not there.
        ValueError: There are no files, they are of different runs, ``out`` is one of them, or
            nothing was read.
        OSError: The annotation cannot be written.
    """
    settings = settings or FilterSettings()
    word_filter = WordFilter(settings)
    report = Report(settings=asdict(settings))
    paths = [Path(path) for path in readings]
    if not paths:
        raise ValueError('expected at least one file of readings')
    if Path(out).resolve() in [path.resolve() for path in paths]:
        raise ValueError(f'{out} is a file of readings; give another --out')
    total = _check_headers(paths)
    places = _index(paths)
    if not places:
        raise ValueError(f'{", ".join(map(str, paths))}: no image has been read')
    if total is not None:
        report.missing = total - len(places)
    duplicates = _duplicates(places, settings.max_duplicate_distance)
    with written_whole(out) as file:
        # The report stands at the end: it is known when all has been written.
        file.write(b'{"data_list": [')
        separator = b'\n'
        for record in _ordered(paths, places):
            sample = _annotate(record, record['index'] in duplicates, word_filter, report)
            if sample is not None and (keep_empty or not _is_empty(sample)):
                file.write(separator + json.dumps(sample).encode('ascii'))
                separator = b',\n'
        metainfo = dict(
            dataset_type='TextSpottingDataset',
            task_name='textspotting',
            category=[dict(id=0, name='text')],
            pseudo_label=report.as_dict(),
        )
        file.write(b'\n], "metainfo": ' + json.dumps(metainfo).encode('ascii') + b'}\n')
    return report


def _annotate(
    record: dict, is_duplicate: bool, word_filter: WordFilter, report: Report
) -> dict | None:
    if 'error' in record or is_duplicate:
        report.images['failed' if 'error' in record else 'duplicate'] += 1
        return None
    shape = record['height'], record['width']
    instances = []
    for word in record['words']:
        reason = word_filter(word, shape)
        report.words['rejected' if reason else 'accepted'] += 1
        xs, ys = word['polygon'][0::2], word['polygon'][1::2]
        instance = dict(
            polygon=word['polygon'],
            bbox=[min(xs), min(ys), max(xs), max(ys)],
            bbox_label=0,
            ignore=reason is not None,
            text=word['text'],
            score=word['score'],
        )
        if 'detection_score' in word:
            instance['detection_score'] = word['detection_score']
        if reason:
            report.rejected[reason] += 1
            instance['rejected'] = reason
        instances.append(instance)
    report.invalid += len(record.get('invalid', ()))
    sample = dict(img_path=record['img_path'], height=shape[0], width=shape[1])
    sample['instances'] = instances
    report.images['empty' if _is_empty(sample) else 'annotated'] += 1
    return sample


def _is_empty(sample: dict) -> bool:
    return all(instance['ignore'] for instance in sample['instances'])


def _check_headers(paths: Sequence[Path]) -> int | None:
    """Number of images of the run that the files are of; None: they do not say."""
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f'there is no file of readings {path}')
    headers = [read_header(path) for path in paths]
    for path, header in zip(paths, headers):
        if not header:
            raise ValueError(f'{path} is no file of readings that pseudo_label.py has written')
        for key in headers[0].keys() | header.keys():
            first, other = headers[0].get(key), header.get(key)
            if key != 'shard' and first != other:
                raise ValueError(
                    f'{paths[0]} and {path} are of different runs: {key} is {first!r} and {other!r}'
                )
    images = headers[0].get('images', '')
    return int(images.split()[0]) if images else None


def _index(paths: Sequence[Path]) -> dict[int, tuple[int, int, str | None]]:
    """By number of the image: file, place in it, and hash. The last record of an image counts."""
    places = {}
    for number, path in enumerate(paths):
        for start, record in iterate_records(path):
            places[record['index']] = (number, start, record.get('hash'))
    return dict(sorted(places.items()))


def _duplicates(places: dict, max_distance: int | None) -> set[int]:
    if max_distance is None:
        return set()
    hashed = [(index, int(place[2], 16)) for index, place in places.items() if place[2]]
    found = find_near_duplicates([value for _, value in hashed], max_distance)
    return {index for (index, _), first in zip(hashed, found) if first is not None}


def _ordered(paths: Sequence[Path], places: dict) -> Iterator[dict]:
    with ExitStack() as stack:
        files = [stack.enter_context(open(path, 'rb')) for path in paths]
        for number, start, _ in places.values():
            files[number].seek(start)
            yield json.loads(files[number].readline())
