"""How fast labels, synthesized scenes and pipelines are on one core, and batches of workers."""

import copy
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.utils import ProgressBar
from torch.utils.data import DataLoader, Dataset

from odm_mmocr.datasets.annotation_files import AnnotatedImage, AnnotatedWord
from odm_mmocr.datasets.pipelines import find_pipelines, walk_datasets
from odm_mmocr.datasets.transforms import RenderDestylizedLabel
from odm_mmocr.rendering import load_fonts, render_words
from odm_mmocr.rendering.caching import clear_caches
from odm_mmocr.synthesis import SceneSynthesizer

# Labels with empty caches, as in the first epoch of a process; as in later ones; and the same with
# all else that `RenderDestylizedLabel` makes: the default prompt and the ignore map.
PASSES = ('first pass', 'later passes', 'with ignore map')
JPEG_QUALITY = 95


@dataclass
class Spread:
    """Median and quartiles of repeated measurements.

    Attributes:
        median: Median.
        low: First quartile.
        high: Third quartile.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> 'Spread':
        """Summarise measurements, at least one."""
        low, median, high = np.percentile(np.asarray(values, float), (25, 50, 75)).tolist()
        return cls(median, low, high)


@dataclass
class Figure:
    """A quantity by process time, which other programs hardly change, and by wall time.

    Attributes:
        process: By the time for which this process had the core.
        wall: By the clock.
    """

    process: Spread
    wall: Spread

    @classmethod
    def of(cls, values: Sequence[tuple[float, float]]) -> 'Figure':
        """Summarise pairs of process and wall measurement, one pair a repeat."""
        process, wall = zip(*values)
        return cls(Spread.of(process), Spread.of(wall))


@dataclass
class LabelSpeed:
    """Cost of labels beside that of their images.

    Attributes:
        images: Number of images.
        words: Number of readable words in them.
        size: (width, height) of image and label, pixels.
        image_milliseconds: Decoding and resizing, median over the images.
        words_per_second: For each of :data:`PASSES`, over all images.
        label_milliseconds: Likewise, median over the images.
        ratio: Likewise, label to decoding and resizing of its own image, median over the images.
    """

    images: int
    words: int
    size: tuple[int, int]
    image_milliseconds: Figure
    words_per_second: dict[str, Figure]
    label_milliseconds: dict[str, Figure]
    ratio: dict[str, Figure]


@dataclass
class PipelineSpeed:
    """Cost of the steps of a data set.

    Attributes:
        samples: Number of samples a repeat.
        samples_per_second: In all.
        milliseconds: For each step, per sample; the first is the data set's own work, the last
            what remains, such as seeding.
        shares: For each step its share of the whole, 0 to 1.
    """

    samples: int
    samples_per_second: Figure
    milliseconds: dict[str, Figure]
    shares: dict[str, float]


class Stopwatch:
    """Measures the process and wall time of what runs in its `with` block.

    Attributes:
        process: Seconds of this process in all blocks together.
        wall: Seconds of the clock.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start from zero again."""
        self.process = self.wall = 0.0

    def __enter__(self) -> 'Stopwatch':
        self._start = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *error) -> None:
        self.process += time.process_time() - self._start[0]
        self.wall += time.perf_counter() - self._start[1]

    @property
    def seconds(self) -> tuple[float, float]:
        """Process and wall time."""
        return self.process, self.wall


def use_one_core() -> None:
    """Keep OpenCV and PyTorch from starting threads. OMP_NUM_THREADS is the caller's matter."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def synthesize_images(
    folder: str | PathLike, count: int, size: tuple[int, int] = (1280, 720)
) -> list[AnnotatedImage]:
    """Synthesize scenes of 1 to 12 words and save them as JPEG.

    Args:
        folder: Existing folder for the images.
        count: How many.
        size: (width, height) in pixels; by default that of ICDAR 2015.

    Returns:
        The annotation of the images.
    """
    synthesizer = SceneSynthesizer(size=size, words_per_image=(1, 12))
    images = []
    bar = _progress(count, 'scenes to measure with')
    for index in range(count):
        scene = synthesizer(np.random.default_rng((0, index)))
        path = Path(folder) / f'scene_{index}.jpg'
        cv2.imwrite(str(path), scene.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        words = [
            AnnotatedWord(polygon, text, False, f'word {i}')
            for i, (polygon, text) in enumerate(zip(scene.polygons, scene.texts))
        ]
        images.append(AnnotatedImage(path.name, path, scene.image.shape[:2], words))
        bar.update()
    return images


def measure_labels(
    images: Sequence[AnnotatedImage],
    size: tuple[int, int] = (640, 640),
    repeats: int = 5,
    fonts: str | Sequence[str] | None = None,
) -> LabelSpeed:
    """Measure labels against the least that a pipeline does with an image: decode and resize.

    Image and label are measured in turns, so that what slows one down slows the other. A label is
    the ink of all readable words, as :func:`odm_mmocr.rendering.render_words` draws it.

    Args:
        images: At least one, with at least one readable word in all.
        size: (width, height) that the images are resized to, and of the labels.
        repeats: How often the caches are emptied and all images passed through, three times.
        fonts: As :func:`odm_mmocr.rendering.load_fonts` takes them.

    Returns:
        The figures, each with its spread over the repeats.

    Raises:
        FileNotFoundError: There is no such image.
        ValueError: An image cannot be decoded, or no word is readable.
    """
    words = sum(not word.ignored for image in images for word in image.words)
    if not words:
        raise ValueError(f'none of the {len(images)} images has a word that is readable')
    chain = load_fonts(fonts)
    transform = RenderDestylizedLabel(chain, max_words=max(len(image.words) for image in images))

    def draw(annotation: dict) -> None:
        shown = ~annotation['gt_ignored']
        polygons, texts = (
            [value for value, ok in zip(annotation[key], shown) if ok]
            for key in ('gt_polygons', 'gt_texts')
        )
        with watch:
            render_words(polygons, texts, annotation['img_shape'], chain)

    def draw_with_ignore_map(annotation: dict) -> None:
        with watch:
            transform(annotation)

    decoding: list[tuple[float, float]] = []
    rates, labels, ratios = ({state: [] for state in PASSES} for _ in range(3))
    bar = _progress(len(PASSES) * repeats * len(images), 'labels')
    watch = Stopwatch()
    for state in PASSES * repeats:
        if state == PASSES[0]:
            clear_caches()
        costs, image_costs = [], []
        for image in images:
            encoded = np.frombuffer(image.path.read_bytes(), np.uint8)
            watch.reset()
            with watch:
                picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
                resized = None if picture is None else cv2.resize(picture, size)
            if resized is None:
                raise ValueError(f'{image.path} is no image that OpenCV can decode')
            image_costs.append(watch.seconds)
            scale = np.divide(size, picture.shape[1::-1])
            watch.reset()
            (draw_with_ignore_map if state == PASSES[-1] else draw)(
                dict(
                    gt_polygons=[np.float32(word.polygon * scale).ravel() for word in image.words],
                    gt_texts=[word.text for word in image.words],
                    gt_ignored=np.array([word.ignored for word in image.words], bool),
                    img_path=str(image.path),
                    img_shape=size[::-1],
                )
            )
            costs.append(watch.seconds)
            bar.update()
        decoding.append(_medians(image_costs, 1e3))
        rates[state].append(tuple((words / np.sum(costs, axis=0)).tolist()))
        labels[state].append(_medians(costs, 1e3))
        ratios[state].append(_medians(np.divide(costs, image_costs)))
    return LabelSpeed(
        len(images),
        words,
        tuple(size),
        Figure.of(decoding),
        *({state: Figure.of(v) for state, v in kind.items()} for kind in (rates, labels, ratios)),
    )


def measure_synthesizer(
    synthesizer: Callable[[np.random.Generator], Any], count: int = 40, repeats: int = 5
) -> Figure:
    """Measure how many scenes a second are made.

    Args:
        synthesizer: Makes a scene from a generator.
        count: Scenes a repeat, other ones each time.
        repeats: How many repeats; scenes before the first fill the caches.

    Returns:
        Scenes a second.
    """
    bar = _progress(count * (repeats + 1), 'synthesizer')
    rates = []
    for repeat in range(repeats + 1):
        watch = Stopwatch()
        for index in range(count):
            rng = np.random.default_rng((1, repeat, index))
            with watch:
                synthesizer(rng)
            bar.update()
        rates.append(tuple(count / seconds for seconds in watch.seconds))
    return Figure.of(rates[1:])


def measure_pipeline(dataset: Dataset, count: int = 60, repeats: int = 5) -> PipelineSpeed:
    """Measure each transform of a data set's pipeline.

    Transforms of one name count as one, and those inside a composite count with that.

    Args:
        dataset: Any data set of MMOCR, or one that wraps or joins others. Its pipelines are timed
            from now on.
        count: Samples a repeat, other ones each time as far as there are any.
        repeats: How many repeats; samples before the first fill the caches.

    Returns:
        The figures.
    """
    watches: dict[str, Stopwatch] = {}
    _time_steps(dataset, watches)
    bar = _progress(count * (repeats + 1), 'pipeline')
    costs: dict[str, list[tuple[float, float]]] = {}
    for repeat in range(repeats + 1):
        for watch in watches.values():
            watch.reset()
        whole = Stopwatch()
        for index in range(repeat * count, (repeat + 1) * count):
            with whole:
                dataset[index % len(dataset)]
            bar.update()
        if repeat == 0:
            continue
        parts = {name: watch.seconds for name, watch in watches.items()}
        rest = whole.seconds - np.sum(list(parts.values()), axis=0)
        for name, seconds in (*parts.items(), ('rest', rest), ('whole', whole.seconds)):
            costs.setdefault(name, []).append(tuple(np.multiply(seconds, 1e3 / count)))
    whole = costs.pop('whole')
    milliseconds = {name: Figure.of(values) for name, values in costs.items()}
    total = Figure.of(whole).process.median
    return PipelineSpeed(
        count,
        Figure.of([(1e3 / process, 1e3 / wall) for process, wall in whole]),
        milliseconds,
        {name: figure.process.median / total for name, figure in milliseconds.items()},
    )


def measure_batches(
    samples: Sequence[dict],
    collate: Callable,
    batch_size: int,
    count: int = 10,
    repeats: int = 5,
    workers: int = 2,
) -> Figure:
    """Measure what it costs the training process to take over a batch from workers.

    Workers copy the same samples over and over, so that there is hardly more to do than to hand
    them over.

    Args:
        samples: Of the training.
        collate: Makes a batch of samples.
        batch_size: Samples in it.
        count: Batches a repeat.
        repeats: How many repeats, all of the same workers.
        workers: How many.

    Returns:
        Milliseconds a batch; those by the clock also wait for the workers.
    """
    dataset = _Copies(samples, (repeats * count + workers) * batch_size)
    batches = iter(DataLoader(dataset, batch_size, num_workers=workers, collate_fn=collate))
    for _ in range(workers):  # they take turns
        next(batches)
    bar = _progress(repeats, 'batches')
    costs = []
    for _ in range(repeats):
        watch = Stopwatch()
        for _ in range(count):
            with watch:
                next(batches)
        costs.append(tuple(np.multiply(watch.seconds, 1e3 / count)))
        bar.update()
    return Figure.of(costs)


class _Copies(Dataset):
    """Copies of some samples in turns."""

    def __init__(self, samples: Sequence[dict], length: int) -> None:
        self.samples = samples
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        return copy.deepcopy(self.samples[index % len(self.samples)])


class _Timed:
    """A callable whose time is added to a stopwatch."""

    def __init__(self, function: Callable, watch: Stopwatch) -> None:
        self.function = function
        self.watch = watch

    def __call__(self, *args, **kwargs):
        with self.watch:
            return self.function(*args, **kwargs)


def _time_steps(dataset: Dataset, watches: dict[str, Stopwatch]) -> None:
    for part in walk_datasets(dataset):
        if isinstance(part, BaseDataset):
            watch = watches.setdefault(type(part).__name__, Stopwatch())
            part.get_data_info = _Timed(part.get_data_info, watch)
    for pipeline in find_pipelines(dataset):
        pipeline.transforms = [
            _Timed(transform, watches.setdefault(_step_name(transform), Stopwatch()))
            for transform in pipeline.transforms
        ]


def _step_name(transform: Callable) -> str:
    """Class of a transform, with those of the transforms that it chooses from."""
    name = type(transform).__name__
    inner = getattr(transform, 'transforms', None)
    if name == 'Compose':
        return ' + '.join(_step_name(item) for item in inner)
    if inner is None:
        return name
    parts = inner if isinstance(inner, (list, tuple)) else [inner]
    return f'{name}({", ".join(_step_name(part) for part in parts)})'


def _medians(values: Sequence[tuple[float, float]], scale: float = 1.0) -> tuple[float, float]:
    return tuple((scale * np.median(np.asarray(values), axis=0)).tolist())


def _progress(total: int, title: str) -> ProgressBar:
    """A bar with rate and time left, apart from the results: on stderr."""
    print(f'\n{title}', file=sys.stderr)
    return ProgressBar(total, file=sys.stderr)
