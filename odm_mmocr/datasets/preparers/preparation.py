"""What the preparation of every data set has in common: reading, packing, writing, counting."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from .packers import HeaderTextSpottingPacker, image_header
from .writing import SplitWriter, is_finished

Progress = Callable[[str, int, int], None]
"""Called after each image with the split, how many of its images are done, and how many it has."""


class PreparationError(ValueError):
    """The files given cannot be prepared at all."""


class ImageAnnotation(NamedTuple):
    """What a reader has found for one image.

    Attributes:
        path: The image; None leaves it out.
        instances: Its instances: `poly` (flat list of x, y in pixels), `text`, `ignore` and, where
            there are boxes of characters, `char_polygons` (list of 8 float for each character).
        problems: What is wrong, each with its file and, where there is one, line.
        left_out: How many of each known kind of bad sample the reader has left out. These are no
            problems.
        size: Width and height of the image, where the reader knows them.
        found: How many `images`, `words`, `readable` words and `characters` the official file has
            here, where these are others than are written.
    """

    path: str | PathLike | None
    instances: list[dict]
    problems: list[str] = []
    left_out: Mapping[str, int] = {}
    size: tuple[int, int] | None = None
    found: Mapping[str, int] = {}


class SplitReader(ABC):
    """Reads the images of a split and their instances, in an order that stays.

    Attributes:
        with_text (bool): Whether there are texts, so that there is an annotation for text spotting.
        problems (list[str]): What is wrong with the split before any image is read.
    """

    with_text: bool = True
    problems: Sequence[str] = ()

    @abstractmethod
    def __len__(self) -> int:
        """Number of images."""

    @abstractmethod
    def read(self, start: int) -> Iterator[ImageAnnotation]:
        """Read the images from the given one on."""

    def settings(self) -> dict | None:
        """What a run must have in common with one that was killed to go on where that was.

        Returns:
            dict: Of what JSON has; None where a split is so quickly done that it begins anew.
        """
        return None


@dataclass
class Report:
    """What a preparation has found and written.

    Attributes:
        counts: For each split, the number of `images`, `words` and `readable` words written, and of
            `characters` with boxes where there are any.
        found: For each split, the same numbers as the official files have them.
        left_out: For each split, how many of each known kind of bad sample were left out.
        problems: What is wrong, each with its file and, where there is one, line.
        turned: Images that their EXIF orientation shows otherwise than they are stored: polygons
            that were drawn on the image as shown are wrong.
        written: The annotation files; none where there were problems that may not be skipped.
        kept: The annotation files that were there before and were left as they are.
    """

    counts: dict[str, Counter] = field(default_factory=dict)
    found: dict[str, Counter] = field(default_factory=dict)
    left_out: dict[str, Counter] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    turned: list[str] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)

    def compare(self, published: Mapping[str, Mapping[str, int]]) -> list[str]:
        """Compare what the files hold with what is published of the data set.

        Args:
            published (Mapping[str, Mapping[str, int]]): For each split the numbers that are known.

        Returns:
            list[str]: A line for each number that differs.
        """
        return [
            f'{split}: {found[name]:,} {name}, published are {expected:,}'
            for split, found in self.found.items()
            for name, expected in published.get(split, {}).items()
            if found[name] != expected
        ]


def prepare_splits(
    splits: Mapping[str, SplitReader],
    out: str | PathLike,
    skip_malformed: bool = False,
    overwrite: bool = True,
    progress: Progress | None = None,
) -> Report:
    """Write the annotations of a data set in MMOCR's format.

    For each split `textdet_<split>.json` and, where there are texts, `textspotting_<split>.json`,
    image by image beside their place, and moved there once all splits are done. Where there are
    problems that may not be skipped, nothing is written. Of a run that was killed, splits whose
    readers have `settings` go on at the last image that is safely on the disk, unless problems were
    found: the files may have been mended since.

    Args:
        splits (Mapping[str, SplitReader]): The readers.
        out (str or path): Folder of the annotations, made where it does not exist.
        skip_malformed (bool): Whether to leave out what is malformed or not there. Defaults to
            False.
        overwrite (bool): Whether to replace annotations that are there. Defaults to True.
        progress (Progress, optional): See there.

    Returns:
        Report: Counts, problems and the files written.

    Raises:
        BlockingIOError: If another process prepares the same split.
        PreparationError: If a reader finds that a split cannot be prepared.
        OSError: If the annotations cannot be written.
    """
    out = Path(out).absolute()
    report = Report()
    writers: list[SplitWriter] = []
    try:
        for split, reader in splits.items():
            names = ('textdet', 'textspotting') if reader.with_text else ('textdet',)
            files = [out / f'{name}_{split}.json' for name in names]
            if not overwrite and is_finished(files):
                report.kept += files
                continue
            writer = SplitWriter(out, split, names, reader.settings(), skip_malformed)
            writers.append(writer)
            _write_split(split, reader, writer, progress)
            report.counts[split] = writer.state.counts
            report.found[split] = writer.state.found
            report.left_out[split] = writer.state.left_out
            report.problems += [*reader.problems, *writer.state.problems]
            report.turned += writer.state.turned
        if skip_malformed or not report.problems:
            for writer in writers:
                report.written += writer.finish()
        else:
            for writer in writers:
                writer.discard()
    except PreparationError:
        for writer in writers:
            writer.discard()
        raise
    finally:
        for writer in writers:
            writer.close()
    return report


def _write_split(
    split: str, reader: SplitReader, writer: SplitWriter, progress: Progress | None
) -> None:
    packer = HeaderTextSpottingPacker(data_root=str(writer.folder), split=split)
    state = writer.state
    for annotation in reader.read(state.done):
        state.problems += annotation.problems
        state.left_out.update(annotation.left_out)
        counts = Counter()
        if annotation.path is not None:
            try:
                size = annotation.size or _measure(annotation.path, state.turned)
            except OSError as error:
                state.problems.append(f'{annotation.path}: expected an image: {error}')
            else:
                packed = packer.pack(str(annotation.path), size, annotation.instances)
                writer.write(packed)
                counts = _count(packed['instances'])
        state.counts.update(counts)
        state.found.update({**counts, **annotation.found})
        writer.advance()
        if progress is not None:
            progress(split, state.done, len(reader))


def _measure(path: str | PathLike, turned: list[str]) -> tuple[int, int]:
    """Width and height of an image, which is added to `turned` where it is shown otherwise."""
    header = image_header(path)
    if header.is_turned:
        turned.append(str(path))
    return header.width, header.height


def _count(instances: list[dict]) -> dict[str, int]:
    counts = {
        'images': 1,
        'words': len(instances),
        'readable': sum(not instance['ignore'] for instance in instances),
    }
    characters = sum(len(instance.get('char_polygons', ())) for instance in instances)
    return {**counts, 'characters': characters} if characters else counts
