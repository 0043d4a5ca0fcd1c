"""Detect, read, keep and judge: the two steps of spotting over a whole data set."""

import copy
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.utils import ProgressBar
from mmocr.apis import TextDetInferencer, TextRecInferencer
from mmocr.apis.inferencers.base_mmocr_inferencer import BaseMMOCRInferencer
from mmocr.models.textrecog.recognizers import BaseRecognizer

from odm_mmocr.checkpoints import check_fit, load_checkpoint, load_config
from odm_mmocr.datasets.annotation_files import AnnotatedImage
from odm_mmocr.devices import find_device
from odm_mmocr.output_files import written_whole

from .dataset_images import load_image
from .end_to_end import DETECTION, NO_LEXICON, EndToEndMetric
from .word_reading import TextReader, read_words

# From an image, uint8 (H, W, 3) BGR, to the polygons of its words and how sure each is, 0 to 1.
Detector = Callable[[np.ndarray], list[tuple[np.ndarray, float]]]


class SpottedWord(NamedTuple):
    """A word that was found and read.

    Attributes:
        polygon: float64 (n, 2), pixels.
        score: How sure the detector is, 0 to 1.
        text: What was read; empty where nothing was.
        text_score: How sure the recogniser is, 0 to 1.
    """

    polygon: np.ndarray
    score: float
    text: str
    text_score: float


class MMOCRDetector:
    """A text detector of MMOCR, with the test pipeline of its config.

    Args:
        config: Path or name of its config, as :func:`load_config` finds it, or the config.
        checkpoint: Its weights.
        device: Such as ``cpu`` or ``cuda:0``; None: a GPU where there is one.

    Raises:
        FileNotFoundError: Config or checkpoint are not there.
        ValueError: They do not fit each other, or are no detector's.
    """

    def __init__(self, config: str | Config, checkpoint: str, device: str | None = None):
        self._infer = _load_network(TextDetInferencer, config, checkpoint, device)

    def __call__(self, image: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """Find the words of an image, uint8 (H, W, 3) BGR."""
        (found,) = self._infer(image, progress_bar=False)['predictions']
        return [
            (np.reshape(polygon, (-1, 2)).astype(np.float64), float(score))
            for polygon, score in zip(found['polygons'], found['scores'], strict=True)
        ]


class MMOCRReader:
    """A text recogniser of MMOCR; see :class:`.TextReader`.

    Args:
        config: As :class:`MMOCRDetector` has it.
        checkpoint: Its weights.
        device: Such as ``cpu`` or ``cuda:0``; None: a GPU where there is one.
        batch_size: Pictures that it takes at once.

    Raises:
        FileNotFoundError: Config or checkpoint are not there.
        ValueError: They do not fit each other, or are no recogniser's.
    """

    def __init__(
        self,
        config: str | Config,
        checkpoint: str,
        device: str | None = None,
        batch_size: int = 16,
    ):
        self._infer = _load_network(TextRecInferencer, config, checkpoint, device)
        self.batch_size = batch_size

    def __call__(self, crops: Sequence[np.ndarray]) -> list[tuple[str, float]]:
        """Read pictures."""
        if not crops:
            return []
        read = self._infer(list(crops), batch_size=self.batch_size, progress_bar=False)
        # Without a character the mean of its scores is not a number.
        return [
            (line['text'].strip(), float(line['scores']) if line['text'].strip() else 0.0)
            for line in read['predictions']
        ]


def spot_images(
    images: Sequence[AnnotatedImage],
    detector: Detector | None,
    reader: TextReader,
    margin: float = 0.0,
    stream: TextIO | None = None,
) -> dict[str, list[SpottedWord]]:
    """Find and read the words of images.

    Args:
        images: The images.
        detector: Finds the words; None: those of the annotation are read, in its reading direction,
            but for the ignored ones.
        reader: Reads them.
        margin: As :func:`.cut_word` has it.
        stream: For progress, rate and time left; None: stderr.

    Returns:
        From the file name of each image to its words.

    Raises:
        OSError, ValueError: An image cannot be read, or two have the same file name.
    """
    _by_name(images)
    bar = ProgressBar(len(images), file=stream or sys.stderr)
    spotted = {}
    for image in images:
        pixels = load_image(image)
        if detector is None:
            found = [(word.polygon, 1.0) for word in image.words if not word.ignored]
        else:
            found = detector(pixels)
        polygons = [polygon for polygon, _ in found]
        readings = read_words(pixels, polygons, reader, ordered=detector is None, margin=margin)
        spotted[image.path.name] = [
            SpottedWord(np.asarray(polygon, np.float64), score, text, text_score)
            for (polygon, score), (text, text_score) in zip(found, readings, strict=True)
        ]
        bar.update()
    print(file=stream or sys.stderr)
    return spotted


def save_spotted(
    path: str | os.PathLike, spotted: dict[str, list[SpottedWord]], metainfo: dict
) -> None:
    """Write what was spotted to a JSON file, whole or not at all.

    Args:
        path: The file; see :func:`load_spotted`.
        spotted: From the file name of each image to its words.
        metainfo: What they were made with.
    """
    data = [
        dict(
            img_path=name,
            instances=[
                dict(
                    polygon=np.round(word.polygon, 2).ravel().tolist(),
                    score=word.score,
                    text=word.text,
                    text_score=word.text_score,
                )
                for word in words
            ],
        )
        for name, words in spotted.items()
    ]
    with written_whole(path) as file:
        content = json.dumps(dict(metainfo=metainfo, data_list=data), ensure_ascii=False)
        file.write(content.encode())


def load_spotted(path: str | os.PathLike) -> dict[str, list[SpottedWord]]:
    """Read what was spotted, by this package or by any other spotter.

    Args:
        path: JSON file with a ``data_list`` of images; each has ``img_path``, of which the file
            name counts, and ``instances`` with ``polygon`` (flat, pixels), ``score`` (0 to 1),
            ``text`` and, if there is one, ``text_score``.

    Returns:
        From the file name of each image to its words.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds something else; the image and the instance are named.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'there is no file of predictions {path}')
    try:
        samples = json.loads(path.read_text(encoding='utf-8-sig'))['data_list']
        named = [(Path(sample['img_path']).name, list(sample['instances'])) for sample in samples]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f'{path} holds no predictions: expected JSON with a "data_list" of "img_path" and '
            f'"instances" ({type(error).__name__}: {error})'
        ) from error
    spotted: dict[str, list[SpottedWord]] = {}
    for name, instances in named:
        if name in spotted:
            raise ValueError(f'{path} has two images called {name}; names must tell them apart')
        spotted[name] = []
        for index, instance in enumerate(instances):
            try:
                spotted[name].append(_parse_word(instance))
            except (ValueError, KeyError, TypeError, OverflowError) as error:
                raise ValueError(
                    f'{path}: {name}, instance {index}: expected "polygon", "score" and "text" '
                    f'({type(error).__name__}: {error})'
                ) from error
    return spotted


def judge_spotted(
    images: Sequence[AnnotatedImage],
    spotted: dict[str, list[SpottedWord]],
    metric: EndToEndMetric,
) -> dict[str, float]:
    """Compare what was spotted with the annotation.

    Args:
        images: The ground truth; each image must have been looked at.
        spotted: From the file name of each image to its words. Those of other images are left out.
        metric: Counts.

    Returns:
        The figures of the metric, without its prefix.

    Raises:
        ValueError: Predictions of an image are missing, or two images have the same file name.
    """
    by_name = _by_name(images)
    if missing := [name for name in by_name if name not in spotted]:
        raise ValueError(
            f'{len(missing)} of {len(by_name)} images have no predictions, such as {missing[0]}'
        )
    counts = []
    for name, image in by_name.items():
        words = spotted[name]
        counts.append(
            metric.count(
                dict(
                    img_path=name,
                    gt_instances=dict(
                        polygons=[word.polygon for word in image.words],
                        texts=[word.text for word in image.words],
                        ignored=[word.ignored for word in image.words],
                    ),
                    pred_instances=dict(
                        polygons=[word.polygon for word in words],
                        scores=[word.score for word in words],
                        texts=[word.text for word in words],
                        text_scores=[word.text_score for word in words],
                    ),
                )
            )
        )
    return metric.compute_metrics(counts)


def format_table(figures: dict[str, float], metric: EndToEndMetric) -> str:
    """The figures as a table in Markdown.

    Args:
        figures: Of the metric, without its prefix.
        metric: The metric.
    """
    fixed = f'{metric.score_threshold:g}'
    lines = [
        f'| | precision at {fixed} | recall at {fixed} | hmean at {fixed} | best hmean | its '
        'precision | its recall | at |',
        '|---|---|---|---|---|---|---|---|',
    ]
    task = 'word spotting' if metric.word_spotting else 'end-to-end'
    for group in metric.groups:
        title = {DETECTION: 'detection', NO_LEXICON: f'{task}, no lexicon'}.get(
            group, f'{task}, {group}'
        )
        names = [
            *(f'{group}_{figure}' for figure in ('precision', 'recall', 'hmean')),
            *(f'best_{group}_{figure}' for figure in ('hmean', 'precision', 'recall')),
        ]
        values = ' | '.join(f'{figures[name]:.3f}' for name in names)
        lines.append(f'| {title} | {values} | {figures[f"best_{group}_threshold"]:g} |')
    return '\n'.join(lines)


def annotation_of(config: Config, source: str) -> tuple[Path, Path]:
    """Where the test data of a detector's config lie.

    Args:
        config: The config.
        source: What it is called, for messages.

    Returns:
        The annotation file, and the folder that its images are relative to.

    Raises:
        ValueError: The config has no test data, or several data sets.
    """
    dataset = _with_pipeline(config) or {}
    if 'ann_file' not in dataset:
        raise ValueError(
            f'{source} names no single annotation in test_dataloader.dataset.ann_file; give one '
            'for text spotting'
        )
    root = Path(dataset.get('data_root') or '')
    prefix = (dataset.get('data_prefix') or {}).get('img_path') or ''
    return root / dataset.ann_file, root / prefix


def _parse_word(instance: dict) -> SpottedWord:
    polygon = np.array(instance['polygon'], np.float64).reshape(-1, 2)
    text, score = instance['text'], instance['score']
    text_score = instance.get('text_score')
    text_score = 1.0 if text_score is None else text_score
    if not isinstance(text, str):
        raise ValueError(f'expected a string as "text", found {text!r}')
    for name, value in (('score', score), ('text_score', text_score)):
        if isinstance(value, bool) or not 0 <= value <= 1:
            raise ValueError(f'expected "{name}" from 0 to 1, found {value!r}')
    return SpottedWord(polygon, float(score), text, float(text_score))


def _by_name(images: Sequence[AnnotatedImage]) -> dict[str, AnnotatedImage]:
    by_name: dict[str, AnnotatedImage] = {}
    for image in images:
        if image.path.name in by_name:
            raise ValueError(
                f'two images are called {image.path.name}; their file names must tell them apart'
            )
        by_name[image.path.name] = image
    return by_name


def _with_pipeline(config: Config) -> dict | None:
    """The data set of a config's tests that has a pipeline, wrapped or not; None: there is none."""
    dataset = (config.get('test_dataloader') or {}).get('dataset')
    while dataset is not None and not dataset.get('pipeline'):
        dataset = dataset.get('dataset')
    return dataset


def _load_network(
    kind: type[BaseMMOCRInferencer], config: str | Config, checkpoint: str, device: str | None
) -> BaseMMOCRInferencer:
    """A network of MMOCR with weights that fit it, all of them."""
    name = config.filename if isinstance(config, Config) else config
    config = copy.deepcopy(config) if isinstance(config, Config) else load_config(config)
    dataset = _with_pipeline(config)
    if 'model' not in config or dataset is None:
        raise ValueError(
            f'{name} has no model, or no test_dataloader.dataset with a pipeline; both are needed'
        )
    # Where MMOCR looks for the pipeline, and nothing that its inferencers do not understand.
    config.test_dataloader = dict(dataset=dataset)
    weights = load_checkpoint(checkpoint)
    weights = weights.get('state_dict', weights)
    with DefaultScope.overwrite_default_scope('mmocr'), warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='Checkpoint is not loaded')  # it is below
        warnings.filterwarnings('ignore', message='Failed to add .*VisBackend')
        network = kind(config, None, str(find_device(device)))
    if isinstance(network.model, BaseRecognizer) != (kind is TextRecInferencer):
        wanted = 'recogniser' if kind is TextRecInferencer else 'detector'
        raise ValueError(f'{name} is of a {config.model.type}; a text {wanted} is needed')
    check_fit(weights, network.model, str(checkpoint), allow_more=True)
    network.model.load_state_dict(weights, strict=False)
    return network
