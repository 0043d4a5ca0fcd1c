"""From a config to the labelled samples that a training with it would see."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from mmocr.datasets.transforms import LoadOCRAnnotations

from odm_mmocr.datasets import SampleIndex, SeededDataset
from odm_mmocr.datasets.pipelines import build_dataset, find_pipelines
from odm_mmocr.datasets.transforms import PackODMInputs, RenderDestylizedLabel
from odm_mmocr.rendering import Undrawable, render_words
from odm_mmocr.rendering.fonts import FontSpec
from odm_mmocr.structures import ODMDataSample

# Where a stock pipeline leaves polygons and texts behind.
_ENDS = ('Pack', 'MMOCR2MMDet')
_MAX_SKIPS = 10  # bad samples in a row of a stock data set, each of which is logged


@dataclass
class LabelledSample:
    """What a training sees of an image.

    Attributes:
        image: uint8 (H, W, 3), BGR.
        data_sample: With `prompt`, `gt_instances` and `gt_destylized`.
        faults: For each of the N instances why its prompted word cannot be drawn; None: it can, or
            it is not prompted.
    """

    image: np.ndarray
    data_sample: ODMDataSample
    faults: list[Undrawable | None]


class LabelBrowser:
    """Labelled samples of any config of MMOCR that loads polygons.

    A pipeline that renders labels is run as it is. Any other, such as that of a stock detector, is
    run up to its packing, with the texts loaded besides and the annotation loaded before any
    geometry; the label that ODM would draw follows.

    Args:
        cfg: Config with data loaders.
        split: `train`, `val` or `test`.
        fonts: For pipelines that render no labels, as :func:`odm_mmocr.rendering.load_fonts` takes
            them.

    Raises:
        FileNotFoundError: A file of annotations or fonts does not exist.
        ValueError: The config has no data of that split or wrong settings of it, its annotations
            have no texts, or fonts are given though the pipeline renders labels.
    """

    def __init__(self, cfg: Config, split: str = 'train', fonts: FontSpec = None) -> None:
        loader = cfg.get(f'{split}_dataloader')
        if not loader or 'dataset' not in loader:
            raise ValueError(f'{cfg.filename} has no {split}_dataloader with a dataset')
        init_default_scope(cfg.get('default_scope', 'mmocr'))
        dataset = build_dataset(loader.dataset, cfg.filename)
        pipelines = find_pipelines(dataset)
        if not pipelines:
            raise ValueError(f'{cfg.filename}: {type(dataset).__name__} has no pipeline')
        for pipeline in pipelines:
            _complete(pipeline, fonts)
        # Last, because it compares the annotations with what the pipeline now loads.
        is_seeded = isinstance(dataset, SeededDataset)
        self.dataset = dataset if is_seeded else SeededDataset(dataset, max_skips=_MAX_SKIPS)

    def __len__(self) -> int:
        return len(self.dataset)

    def draw(self, count: int, seed: int = 0) -> Iterator[LabelledSample]:
        """Draw samples at random, in the order of the data set.

        Args:
            count: How many at most.
            seed: Seed of the choice, and the epoch whose random state the transforms are given; 0
                or more.

        Raises:
            RuntimeError: Samples cannot be loaded; the message says of the last one why.
        """
        chosen = random.Random(seed).sample(range(len(self)), min(count, len(self)))
        for index in sorted(chosen):
            yield self.dataset[SampleIndex(index, seed)]


class _PackLabelled:
    """The end of a pipeline: packs the sample, and says which words the label lacks."""

    def __init__(self, pack: PackODMInputs, render: RenderDestylizedLabel) -> None:
        self.pack = pack
        self.render = render

    def __call__(self, results: dict) -> LabelledSample:
        packed = self.pack(results)
        image = np.ascontiguousarray(packed['inputs'].permute(1, 2, 0).numpy())
        instances = packed['data_samples'].gt_instances
        prompted = np.flatnonzero(instances.prompted.numpy())
        boxes = results.get('gt_char_polygons') if self.render.use_char_polygons else None
        _, found = render_words(
            [instances.polygons[i] for i in prompted],
            [instances.texts[i] for i in prompted],
            image.shape[:2],
            self.render.fonts,
            None if boxes is None else [boxes[i] for i in prompted],
        )
        faults: list[Undrawable | None] = [None] * len(instances)
        for i, fault in zip(prompted, found, strict=True):
            faults[i] = fault if isinstance(fault, Undrawable) else None
        return LabelledSample(image, packed['data_samples'], faults)


def _complete(pipeline: Compose, fonts: FontSpec) -> None:
    """Let a pipeline end in a labelled sample, in place."""
    steps = list(pipeline.transforms)
    ends = [i for i, step in enumerate(steps) if type(step).__name__.startswith(_ENDS)]
    end = ends[0] if ends else len(steps)
    render = next((step for step in steps if isinstance(step, RenderDestylizedLabel)), None)
    if render is not None:
        if fonts is not None:
            raise ValueError('the pipeline renders labels with fonts of its own; give none')
        pack = steps[end] if ends else PackODMInputs()
        pipeline.transforms = [*steps[:end], _PackLabelled(pack, render)]
        return
    render = RenderDestylizedLabel(fonts)
    steps = steps[:end]
    # Pipelines for evaluation load the annotation, of the image as it is, after resizing.
    loaders = [step for step in steps if isinstance(step, LoadOCRAnnotations)]
    for loader in loaders:
        loader.with_text = True
        steps.remove(loader)
    pipeline.transforms = [
        *steps[:1], *loaders, *steps[1:], render, _PackLabelled(PackODMInputs(), render)
    ]  # fmt: skip
