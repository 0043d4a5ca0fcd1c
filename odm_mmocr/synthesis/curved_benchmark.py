"""A benchmark of curved text in Total-Text's layout, generated, for where Total-Text is not."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import cv2
import numpy as np

from odm_mmocr.rendering.meshes import split_polygon
from odm_mmocr.synthesis.parts import PARTS, TEST_SHARE
from odm_mmocr.synthesis.scene import Scene, SceneSynthesizer
from odm_mmocr.synthesis.total_text import (
    DONT_CARE,
    can_carry,
    format_line,
    orientation,
    thin_out,
)
from odm_mmocr.version import __version__

LEAST_HEIGHT = 8.0  # pixels
READABLE_HEIGHT = 10.0  # pixels; lower words do not count
LARGEST_SHARE = 0.22  # of the shorter side, of the highest words
SCENE = dict(words_per_image=(2, 12), curved=0.65, arcs=0.25, blocks=0.15, random_words=0.15)
JPEG_QUALITY = 95
KINDS = {'c': 'curved', 'h': 'horizontal', 'm': 'multi-oriented', DONT_CARE: "don't care"}


@dataclass(frozen=True)
class Word:
    """A word as it is written down.

    Attributes:
        polygon: int64 (2n, 2), pixels, clockwise from the top left of the first letter.
        orient: 'c', 'h', 'm', or '#'.
        text: '#' for a word that does not count.
    """

    polygon: np.ndarray
    orient: str
    text: str

    @property
    def ignore(self) -> bool:
        return self.text == DONT_CARE


@dataclass(frozen=True)
class CurvedBenchmark:
    """What is generated; the same settings give the same images on the same machine.

    Attributes:
        train, test: numbers of images, each at least 1.
        size: width and height of the images, in pixels.
        seed: 0 or more.
        fonts, words, backgrounds, texture_share: as for
            :class:`~odm_mmocr.synthesis.SceneSynthesizer`; both parts draw from them, each from
            its own share (:mod:`odm_mmocr.synthesis.parts`).

    Raises:
        ValueError: a number is too small.
    """

    train: int = 300
    test: int = 100
    size: tuple[int, int] = (640, 640)
    seed: int = 0
    fonts: Sequence[str | Path] | None = None
    words: str | Path | None = None
    backgrounds: str | Path | None = None
    texture_share: float | None = None

    def __post_init__(self) -> None:
        for name, least in (('train', 1), ('test', 1), ('seed', 0)):
            if getattr(self, name) < least:
                raise ValueError(f'{name} is {getattr(self, name)}, expected at least {least}')

    def images(self, part: str) -> int:
        """Number of images of a part, 'train' or 'test'."""
        return {'train': self.train, 'test': self.test}[part]

    def synthesizer(self, part: str, **settings: object) -> SceneSynthesizer:
        """Make the synthesizer of a part.

        Args:
            part: 'train' or 'test'.
            **settings: other settings of the synthesizer, to replace the benchmark's.

        Raises:
            FileNotFoundError: a file or folder does not exist.
            ValueError: there is nothing usable for the part, or a word that Total-Text's format
                cannot carry.
        """
        largest = max(LARGEST_SHARE * min(self.size), LEAST_HEIGHT)
        given = dict(
            SCENE,
            size=self.size,
            fonts=self.fonts,
            words=self.words,
            vary_case=True,
            backgrounds=self.backgrounds,
            texture_share=self.texture_share,
            text_height=(LEAST_HEIGHT, largest),
            part=part,
        )
        synthesizer = SceneSynthesizer(**{**given, **settings})
        refused = [word for word in synthesizer.words.words if not can_carry(word)]
        if refused:
            raise ValueError(
                f"Total-Text's format cannot carry {len(refused)} of the words, such as "
                f'{refused[0]!r}: remove those with blanks, brackets, commas or '
                'question marks'
            )
        return synthesizer

    def scene(self, synthesizer: SceneSynthesizer, number: int) -> Scene:
        """Make an image.

        Args:
            synthesizer: that of the part.
            number: of the image in its part, from 0.
        """
        part = 1 + PARTS.index(synthesizer.words.part)
        states = ((self.seed, number, attempt, part) for attempt in count())
        scenes = (synthesizer(np.random.default_rng(state)) for state in states)
        # A comma or question mark is rare enough to begin anew.
        return next(scene for scene in scenes if all(map(can_carry, scene.texts)))

    def command(self) -> str:
        """Command that makes it, with the last names only of the files and folders given."""
        words = ['python tools/make_curved_benchmark.py OUT']
        words += [f'--train {self.train} --test {self.test} --seed {self.seed}']
        words += ['--size {}x{}'.format(*self.size)]
        if self.fonts:
            words += ['--fonts', *(Path(font).name for font in self.fonts)]
        for name in ('words', 'backgrounds'):
            if getattr(self, name) is not None:
                words += [f'--{name} {Path(getattr(self, name)).name}']
        if self.texture_share is not None:
            words += [f'--texture-share {self.texture_share:g}']
        return ' '.join(words)

    def origin(self) -> dict:
        """What the annotations say of themselves under `generated` in their metainfo."""
        return dict(by=f'odm_mmocr {__version__}', command=self.command(), seed=self.seed)


@dataclass
class Counts:
    """What a part holds.

    Attributes:
        images: number of images.
        with_curved: number of images with a curved word.
        words: number of words of each orientation, 'c', 'h', 'm', '#'.
        points: sum of the points of the curved words' polygons.
    """

    images: int = 0
    with_curved: int = 0
    words: Counter = field(default_factory=Counter)
    points: int = 0

    def add(self, words: Sequence[Word]) -> None:
        """Count an image."""
        self.images += 1
        self.words.update(word.orient for word in words)
        self.points += sum(len(word.polygon) for word in words if word.orient == 'c')
        self.with_curved += any(word.orient == 'c' for word in words)

    def __str__(self) -> str:
        kinds = ', '.join(f'{self.words[orient]} {kind}' for orient, kind in KINDS.items())
        points = self.points / max(self.words['c'], 1)
        return (
            f'{self.images} images, {self.words.total()} words: {kinds}; {self.with_curved} images '
            f'have a curved word, whose polygons have {points:.1f} points on average'
        )


def annotate(scene: Scene) -> list[Word]:
    """Write down the words of a scene as Total-Text has them: few points, whole pixels."""
    limits = np.array(scene.image.shape[1::-1]) - 1
    words = []
    for text, polygon in zip(scene.texts, scene.polygons):
        top, bottom = split_polygon(polygon)
        if np.hypot(*(bottom - top).T).mean() < READABLE_HEIGHT:
            orient = text = DONT_CARE
        else:
            orient = orientation(polygon)
        points = np.clip(np.round(thin_out(polygon)), 0, limits).astype(np.int64)
        words.append(Word(points, orient, text))
    return words


def make_curved_benchmark(
    out: str | os.PathLike,
    benchmark: CurvedBenchmark,
    track: Callable[[Sequence], Iterable] = iter,
) -> dict[str, Counts]:
    """Write a benchmark into a folder.

    The layout is Total-Text's: `Images/Train/img1.jpg`, `Groundtruth/Polygon/Train/
    poly_gt_img1.txt` and so on. Beside it stand MMOCR's annotations (`textdet_train.json`,
    `textspotting_train.json`, …), `split.json` with the fonts, photographs and words of each part,
    and `README.md`. The folder appears when all is written.

    Args:
        out: the folder, which must not exist, or be empty.
        benchmark: what to generate.
        track: wraps the sequence of images of a part, to show progress.

    Returns:
        What the parts hold, by name.

    Raises:
        FileExistsError: the folder has something in it.
        FileNotFoundError: a file or folder of the settings does not exist.
        ValueError: there is nothing usable for a part.
    """
    out = Path(os.path.abspath(out))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f'{out} has something in it; give a new folder, or remove it')
    synthesizers = {part: benchmark.synthesizer(part) for part in PARTS}
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f'.{out.name}.{os.getpid()}.partial')
    try:
        partial.mkdir()
        counts, first = {}, 1
        for part, synthesizer in synthesizers.items():
            counts[part] = _write_part(partial, benchmark, synthesizer, first, track)
            first += counts[part].images
        _write_json(partial / 'split.json', _describe_split(synthesizers))
        (partial / 'README.md').write_text(_readme(benchmark, counts), encoding='utf-8')
        if out.exists():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return counts


def _write_part(
    folder: Path,
    benchmark: CurvedBenchmark,
    synthesizer: SceneSynthesizer,
    first: int,
    track: Callable[[Sequence], Iterable],
) -> Counts:
    """Write images, ground truth and annotations of a part, its images numbered from ``first``."""
    part = synthesizer.words.part
    images = Path('Images', part.title())
    truth = Path('Groundtruth', 'Polygon', part.title())
    for path in (images, truth):
        (folder / path).mkdir(parents=True)
    counts, samples = Counts(), []
    for number in track(range(benchmark.images(part))):
        scene = benchmark.scene(synthesizer, number)
        words = annotate(scene)
        counts.add(words)
        name = f'img{first + number}'
        _, coded = cv2.imencode('.jpg', scene.image, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
        (folder / images / f'{name}.jpg').write_bytes(coded.tobytes())
        lines = [format_line(word.polygon, word.orient, word.text) for word in words]
        content = ''.join(f'{line}\n' for line in lines)
        (folder / truth / f'poly_gt_{name}.txt').write_text(content, encoding='ascii')
        height, width = scene.image.shape[:2]
        sample = dict(img_path=(images / f'{name}.jpg').as_posix(), height=height, width=width)
        samples.append(dict(sample, instances=[_instance(word) for word in words]))
    _write_annotations(folder, part, samples, benchmark.origin())
    return counts


def _instance(word: Word) -> dict:
    low, high = word.polygon.min(0), word.polygon.max(0)
    return dict(
        polygon=word.polygon.ravel().tolist(),
        bbox=[*low.tolist(), *high.tolist()],
        bbox_label=0,
        ignore=word.ignore,
        text=word.text,
    )


def _write_annotations(folder: Path, part: str, samples: list[dict], origin: dict) -> None:
    """Write `textspotting_<part>.json`, and `textdet_<part>.json`, which has no texts."""
    for task, dataset in (('textspotting', 'TextSpottingDataset'), ('textdet', 'TextDetDataset')):
        metainfo = dict(
            dataset_type=dataset,
            task_name=task,
            category=[dict(id=0, name='text')],
            generated=origin,
        )
        keep_text = task == 'textspotting'
        data_list = [
            dict(
                sample,
                instances=[
                    {key: value for key, value in instance.items() if key != 'text' or keep_text}
                    for instance in sample['instances']
                ],
            )
            for sample in samples
        ]
        _write_json(folder / f'{task}_{part}.json', dict(metainfo=metainfo, data_list=data_list))


def _describe_split(synthesizers: dict[str, SceneSynthesizer]) -> dict:
    """Names of the fonts, photographs and words of each part."""
    parts = {
        part: dict(
            fonts=[Path(font.path).name for font in synthesizer.fonts.mixture.fonts],
            backgrounds=[path.name for path in synthesizer.backgrounds.files],
            texture_share=synthesizer.backgrounds.texture_share,
            words=sorted(synthesizer.words.words),
        )
        for part, synthesizer in synthesizers.items()
    }
    return dict(test_share=TEST_SHARE, **parts)


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding='utf-8')


def _readme(benchmark: CurvedBenchmark, counts: dict[str, Counts]) -> str:
    held = '\n'.join(f'- {part}: {count}.' for part, count in counts.items())
    return f"""# Generated curved text

These images are generated. This is not Total-Text, only its layout and file format: mark results
on it as generated, and do not compare them with results on Total-Text.

Made by odm_mmocr {__version__} with seed {benchmark.seed}:

    {benchmark.command()}

{held}

Words below {READABLE_HEIGHT:g} pixels of height are "{DONT_CARE}" and do not count.

Fonts (by family), photographs and words of the two parts are disjoint; `split.json` names them.
Procedural textures are made anew for each image, in both parts.
"""
