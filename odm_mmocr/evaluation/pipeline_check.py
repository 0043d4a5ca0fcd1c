"""Whether image, polygons and texts stay in step through a data pipeline, transform by transform.

Every transform is run on a sample and, with the same random draws, on coded pictures that tell
where the pixels went (:mod:`.pixel_maps`). Polygons and texts of the result are compared with those
before, carried along by the pixels.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope
from torch.utils.data import Dataset

from odm_mmocr.datasets.pipelines import build_dataset
from odm_mmocr.datasets.vocabulary import as_drawn

from .pipeline_judgement import (
    InstanceText,
    Judgement,
    Reader,
    Word,
    frame,
    image_file,
    is_ignored,
    is_sound,
    run_seeded,
)
from .pipeline_report import Finding, PipelineReport, StepReport
from .shapes import as_points


class PipelineError(ValueError):
    """There is nothing to check: no data set, no image, or no polygons in the pipeline."""


class PipelineChecker:
    """Runs samples through a pipeline and judges every transform.

    Words are judged if they are not ignored, at least 8 pixels high and at least half in view.
    A fault is reported once, of the transform that causes it.

    Args:
        transforms: The pipeline. Polygons have to be loaded in it; texts may.
        seed: Of the random draws, 0 or more.
        reader: Takes a list of pictures uint8 (h, w) of words and returns a list of pairs of
            text and score. None: of labels only those that cannot be drawn any more are found
            unreadable.
        same_word: Whether two texts say the same.
    """

    def __init__(
        self,
        transforms: Sequence[Callable],
        seed: int = 0,
        reader: Reader | None = None,
        same_word: Callable[[str, str], bool] = str.__eq__,
    ) -> None:
        self.transforms = list(transforms)
        self.seed = seed
        self.reader = reader
        self.same_word = same_word
        self.report = PipelineReport()

    def check(self, sample: dict, index: int = 0) -> None:
        """Runs one sample through the pipeline and adds what is found to ``report``.

        Args:
            sample: What the data set gives to its pipeline.
            index: Of the sample: its random draws follow from it and from the seed.

        Raises:
            PipelineError: The image file does not exist, or the pipeline loads no polygons.
        """
        self.report.images += 1
        results, words, sight, position = sample, None, None, 0
        while position < len(self.transforms):
            state = (self.seed, index, position)
            try:
                after, size = self._advance(results, position, state)
            except Exception as error:  # whatever a user's transform happens to raise
                self._fail(position, results, error)
                return
            group = self.transforms[position : position + size]
            if words is not None and after is not None and not _is_loaded(after):
                return  # packed
            if words is not None or after is None:
                step = self._step(position, group)
                step.images += 1
                step.skipped += after is None
            if after is None:
                return
            if words is not None:
                judgement = Judgement(
                    step, results, after, words, sight, self.reader, self.same_word
                )
                words = judgement.judge(group, state)
                sight = judgement.sight
            elif _is_loaded(after):
                words, sight = self._begin(after, sample), frame(after)
            results, position = after, position + size
        if words is None:
            raise PipelineError(
                'the pipeline loads no polygons (gt_polygons): it needs '
                'LoadOCRAnnotations(with_polygon=True)'
            )

    def _advance(
        self, results: dict, position: int, state: tuple[int, ...]
    ) -> tuple[dict | None, int]:
        """Runs the transform at a position, and as many more as it takes to have polygons again.

        Returns:
            The results and the number of transforms.
        """
        loaded, last = 'gt_polygons' in results, len(self.transforms) - position
        for size in range(1, last + 1):
            after = run_seeded(self.transforms[position : position + size], results, state)
            if not loaded or after is None or 'gt_polygons' in after:
                break
        return after, size

    def _step(self, position: int, group: Sequence[Callable]) -> StepReport:
        name = ' + '.join(transform_name(transform) for transform in group)
        return self.report.steps.setdefault(position, StepReport(name))

    def _fail(self, position: int, results: dict, error: Exception) -> None:
        image = image_file(results)
        if isinstance(error, FileNotFoundError) and 'img' not in results:
            raise PipelineError(
                f'{image} does not exist: give the folder of the images by --data-root, or by '
                '--cfg-options …dataset.data_root=DIR'
            ) from error
        step = self._step(position, self.transforms[position : position + 1])
        step.images += 1
        detail = f'raises {type(error).__name__}: {error}'
        step.add(Finding('failed', image, None, '', detail))

    def _begin(self, results: dict, sample: dict) -> list[Word]:
        """Takes the annotation as it is loaded for true, and marks its texts."""
        polygons = results['gt_polygons']
        if 'gt_texts' not in results:
            instances = sample.get('instances') or []
            texts = [instance.get('text') for instance in instances]
            self._note('The pipeline loads no texts: the checker adds them for its own use.')
            if len(texts) != len(polygons) or None in texts:
                texts = [f'word {i}' for i in range(len(polygons))]
                self._note('The annotations have no texts: numbers stand for them.')
            results['gt_texts'] = texts
        # As drawn: transforms that see to that then leave these objects alone.
        texts = map(as_drawn, results['gt_texts'])
        results['gt_texts'] = [InstanceText(t, i) for i, t in enumerate(texts)]
        words = []
        for i, (polygon, text) in enumerate(zip(polygons, results['gt_texts'])):
            points = as_points(polygon)
            words.append(Word(i, text, points, is_ignored(results, i), sound=is_sound(points)))
        return words

    def _note(self, note: str) -> None:
        if note not in self.report.notes:
            self.report.notes.append(note)


def check_datasets(
    datasets: Sequence[BaseDataset],
    count: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> list[PipelineReport]:
    """Checks the pipelines of data sets.

    Args:
        datasets: As :func:`build_datasets` returns them.
        count: Samples to take of each, evenly spread. None: all.
        progress: Is told how many samples are done, and of how many.
        settings: Of :class:`PipelineChecker`.

    Returns:
        A report for each data set.

    Raises:
        PipelineError: As :meth:`PipelineChecker.check`.
    """
    chosen = [
        np.unique(np.linspace(0, len(d) - 1, min(count or len(d), len(d))).round().astype(int))
        for d in datasets
    ]
    total, done, reports = sum(map(len, chosen)), 0, []
    for dataset, indices in zip(datasets, chosen):
        checker = PipelineChecker(dataset.pipeline.transforms, **settings)
        for index in indices.tolist():
            checker.check(dataset.get_data_info(index), index)
            done += 1
            if progress:
                progress(done, total)
        reports.append(checker.report)
    return reports


def build_datasets(
    cfg: Config, split: str = 'train', data_root: str | None = None, ann_file: str | None = None
) -> list[BaseDataset]:
    """Builds the data sets of a config, without those that only wrap or join them.

    Args:
        cfg: Config with a data loader of the split.
        split: 'train', 'val' or 'test'.
        data_root: Folder to use in place of that of every data set.
        ann_file: Annotation file to use in place of that of every data set.

    Returns:
        The data sets, at least one, each with its pipeline.

    Raises:
        PipelineError: The config has no such data loader, no data set in it has the annotation
            file that is to be replaced, that file does not exist, or a data set is empty or has no
            pipeline.
        ValueError: A setting of a data set is wrong.
    """
    init_default_scope(cfg.get('default_scope', 'mmocr'))
    config = cfg.get(f'{split}_dataloader')
    if not config:
        raise PipelineError(f'{cfg.filename} has no {split}_dataloader')
    config = copy.deepcopy(config['dataset'])
    places = {'data_root': data_root, 'ann_file': ann_file}
    places = {key: value for key, value in places.items() if value is not None}
    if places and not _override(config, places):
        raise PipelineError(
            f'no data set of the {split}_dataloader of {cfg.filename} has an annotation file: '
            '--data-root and --ann-file have nothing to replace'
        )
    try:
        built = build_dataset(config, cfg.filename)
        datasets = list(_leaves(built))
        for dataset in datasets:
            dataset.full_init()
    except FileNotFoundError as error:
        raise PipelineError(
            f'{error}: give the place of the data by --data-root and --ann-file'
        ) from error
    for dataset in datasets:
        if not len(dataset) or not dataset.pipeline.transforms:
            raise PipelineError(f'{type(dataset).__name__} has no samples or no pipeline')
    return datasets


def transform_name(transform: Callable) -> str:
    """Name of a transform, with what it wraps in brackets."""
    name = type(transform).__name__
    if isinstance(op := getattr(transform, 'op', None), str):
        return f'{name}({op})'
    inner = list(_inner_names(getattr(transform, 'transforms', ())))
    return f'{name}({", ".join(inner)})' if inner else name


def _inner_names(transforms: Any) -> Iterator[str]:
    if not isinstance(transforms, (list, tuple)):
        transforms = getattr(transforms, 'transforms', [])
    for transform in transforms:
        if isinstance(transform, (list, tuple)) or type(transform).__name__ == 'Compose':
            yield from _inner_names(transform)
        else:
            yield transform_name(transform)


def _leaves(dataset: Dataset) -> Iterator[BaseDataset]:
    inner = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    inner = [part for part in inner if part is not None]
    if not inner:
        yield dataset
    for part in inner:
        yield from _leaves(part)


def _override(config: Any, values: dict[str, str]) -> int:
    """Sets values of all data sets with an annotation file; returns how many these are."""
    if isinstance(config, (list, tuple)):
        return sum(_override(part, values) for part in config)
    if not isinstance(config, dict):
        return 0
    if annotated := 'ann_file' in config:
        config.update(values)
    return annotated + sum(_override(config.get(key), values) for key in ('dataset', 'datasets'))


def _is_loaded(results: dict) -> bool:
    return 'gt_polygons' in results and 'img' in results
