"""Can the drawn words be read?"""

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmocr.registry import METRICS

from odm_mmocr.rendering import Undrawable, load_fonts
from odm_mmocr.rendering.fonts import FontSpec
from odm_mmocr.rendering.labels import fit_text

from .metrics import ratio
from .read_back import lay_out
from .reading import WordReader, letters_and_digits, same_word
from .text_heights import HEIGHT_BOUNDS, HEIGHTS, check_bounds, height_class, text_height


@METRICS.register_module()
class ReadBackMetric(BaseMetric):
    """Accuracy with which PP-OCR reads the prompted words in the predicted map.

    Each word is cut out along its polygon, laid out flat and read; its letters and digits must be
    those of the annotation, case aside. Words without any, or with some that the recogniser does
    not know, and words that cannot be drawn are left out.

    - ``read``: share of the words that read right in what the model has drawn.
    - ``readable``: share of them that read right in the label, what a perfect model would have.
    - ``read_small``, ``readable_small`` and so on: by text height, where there are such words.

    It takes some 20 ms a word, and the extra ``ppocr``.

    Args:
        bounds: Text heights in pixels of the network's image from which a word is medium, and
            large.
        fonts: As :class:`RenderDestylizedLabel` has them.
        threads: Cores that the recogniser may use.
        collect_device: As in :class:`mmengine.evaluator.BaseMetric`.
        prefix: Likewise.

    Raises:
        ImportError: A package of the extra is missing.
        ValueError: A setting is out of range.
    """

    default_prefix = 'odm'

    def __init__(
        self,
        bounds: tuple[float, float] = HEIGHT_BOUNDS,
        fonts: FontSpec = None,
        threads: int = 1,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ):
        super().__init__(collect_device, prefix)
        self.bounds = check_bounds(bounds)
        self.fonts = load_fonts(fonts)
        self.reader = WordReader(threads)

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Read the words of predicted samples; one array of counts for each."""
        for sample in data_samples:
            probability = sample['pred_destylized']['probability'][0].float().cpu().numpy()
            height, width = probability.shape
            label = sample['gt_destylized']['label'][0, :height, :width].cpu().numpy()
            drawn = np.rint(255 * probability).astype(np.uint8)
            self.results.append(self.read(255 - drawn, 255 - label, sample['gt_instances']))

    def read(self, drawn: np.ndarray, label: np.ndarray, instances: dict) -> np.ndarray:
        """Read the prompted words of one sample.

        Args:
            drawn, label: uint8 (H, W), dark on bright.
            instances: Polygons, texts and prompt flags.

        Returns:
            int64 (3 heights, 3): words, those read right in ``drawn``, those read right in
            ``label``.
        """
        words, crops = [], []
        for polygon, text, prompted in zip(
            instances['polygons'], instances['texts'], instances['prompted'].tolist()
        ):
            if not prompted or not letters_and_digits(text) or not self.reader.knows(text):
                continue
            try:
                strip, ribbon = fit_text(text, polygon, self.fonts)
            except Undrawable:
                continue
            words.append((height_class(text_height(polygon), self.bounds), text))
            crops += [lay_out(picture, strip, ribbon) for picture in (drawn, label)]
        readings = self.reader(crops)
        counts = np.zeros((len(HEIGHTS), 3), np.int64)
        for (height, text), in_drawn, in_label in zip(words, readings[::2], readings[1::2]):
            counts[height] += (1, same_word(in_drawn[0], text), same_word(in_label[0], text))
        return counts

    def compute_metrics(self, results: list[np.ndarray]) -> dict:
        """Compute the accuracies."""
        if not results:
            return {}
        by_height = np.sum(results, axis=0)
        figures = {}
        for name, counts in zip(('', *(f'_{h}' for h in HEIGHTS)), (by_height.sum(0), *by_height)):
            words, in_drawn, in_label = counts
            if name and not words:
                continue
            figures[f'read{name}'] = float(ratio(in_drawn, words))
            figures[f'readable{name}'] = float(ratio(in_label, words))
        return figures
