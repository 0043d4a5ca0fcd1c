"""From readings to an annotation of MMOCR: filters, near-duplicates, a report of both."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import NamedTuple

from odm_mmocr.output_files import written_whole

from .filters import FilterSettings, WordFilter
from .perceptual_hash import find_near_duplicates
from .reading_run import Shard
from .readings import check_record, is_finished, iterate_records, read_header

# Settings in which the files of a run may differ: machines may reach the images by other paths.
_OF_ONE_FILE = ('shard', 'images')


class _Place(NamedTuple):
    """Of a record: number of its image, file, place in it in bytes, hash of the image."""

    index: int
    file: int
    start: int
    hash: str | None


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
        missing: What is not there yet: shards, and files of runs that are not finished.
        settings: Of the filters.
    """

    images: Counter = field(default_factory=Counter)
    words: Counter = field(default_factory=Counter)
    rejected: Counter = field(default_factory=Counter)
    invalid: int = 0
    missing: list[str] = field(default_factory=list)
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
        lines += [f'        missing: {part}' for part in self.missing]
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
        ValueError: There are no files, they are of different runs or damaged, ``out`` is one of
            them, or nothing was read.
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
    shards = _check_headers(paths)
    places = _index(paths)
    if not places:
        raise ValueError(f'{", ".join(map(str, paths))}: no image has been read')
    report.missing = _find_missing(paths, shards)
    duplicates = _duplicates(places, settings.max_duplicate_distance)
    with written_whole(out) as file:
        # The report stands at the end: it is known when all has been written.
        file.write(b'{"data_list": [')
        separator = b'\n'
        for record in _ordered(paths, places):
            sample = _annotate(record, record['img_path'] in duplicates, word_filter, report)
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


def _check_headers(paths: Sequence[Path]) -> list[Shard]:
    """The shards that the files are, all of one run."""
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f'there is no file of readings {path}')
    headers = [read_header(path) for path in paths]
    for path, header in zip(paths, headers):
        if not header:
            raise ValueError(f'{path} is no file of readings that pseudo_label.py has written')
        for key in headers[0].keys() | header.keys():
            first, other = headers[0].get(key), header.get(key)
            if key not in _OF_ONE_FILE and first != other:
                raise ValueError(
                    f'{paths[0]} and {path} are of different runs: {key} is {first!r} and {other!r}'
                )
    shards = [Shard.parse(str(header.get('shard', '0/1'))) for header in headers]
    for path, shard in zip(paths, shards):
        if shard.count != shards[0].count:
            raise ValueError(
                f'{paths[0]} is one of {shards[0].count} shards and {path} one of {shard.count}; '
                'give all of one run'
            )
    return shards


def _find_missing(paths: Sequence[Path], shards: Sequence[Shard]) -> list[str]:
    there = {shard.number for shard in shards}
    count = shards[0].count
    missing = [f'shard {number} of {count}' for number in range(count) if number not in there]
    return missing + [f'{path.name} is not finished' for path in paths if not is_finished(path)]


def _index(paths: Sequence[Path]) -> dict[str, _Place]:
    """Where the records are, in the order of the images. The last record of an image counts."""
    places = {}
    for number, path in enumerate(paths):
        for start, record in iterate_records(path):
            check_record(record, path)
            place = _Place(record['index'], number, start, record.get('hash'))
            places[record['img_path']] = place
    return dict(sorted(places.items(), key=lambda item: (item[1].index, item[0])))


def _duplicates(places: dict[str, _Place], max_distance: int | None) -> set[str]:
    if max_distance is None:
        return set()
    hashed = [(name, int(place.hash, 16)) for name, place in places.items() if place.hash]
    found = find_near_duplicates([value for _, value in hashed], max_distance)
    return {name for (name, _), first in zip(hashed, found) if first is not None}


def _ordered(paths: Sequence[Path], places: dict[str, _Place]) -> Iterator[dict]:
    with ExitStack() as stack:
        files = [stack.enter_context(open(path, 'rb')) for path in paths]
        for place in places.values():
            files[place.file].seek(place.start)
            yield json.loads(files[place.file].readline())
