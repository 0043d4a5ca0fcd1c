"""How good is the drawing, and does it obey the prompt?"""

from collections.abc import Sequence

import cv2
import numpy as np
from mmengine.evaluator import BaseMetric
from mmocr.registry import METRICS

from odm_mmocr.models.losses.segmentation import INK_THRESHOLD
from odm_mmocr.rendering import fill_polygons

from .text_heights import HEIGHT_BOUNDS, HEIGHTS, check_bounds, height_class, text_height

STEPS = 128  # thresholds tried; a power of two, so that probabilities are sorted into them exactly


class InkMetric(BaseMetric):
    """Counts pixels, one array of counts for each sample, so that processes add up exactly.

    Args:
        threshold: Probability from which a predicted pixel is ink, 0 to 1.
        margin: Pixels around a polygon that still belong to its word.
        collect_device: As in :class:`mmengine.evaluator.BaseMetric`.
        prefix: Likewise.

    Raises:
        ValueError: A setting is out of range.
    """

    default_prefix = 'odm'

    def __init__(
        self,
        threshold: float = 0.5,
        margin: int = 4,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ):
        super().__init__(collect_device, prefix)
        if not 0 <= threshold <= 1 or margin < 0:
            raise ValueError(f'threshold={threshold}: 0 to 1; margin={margin}: 0 or more')
        self.threshold = threshold
        self.margin = margin

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Count the pixels of predicted samples."""
        for sample in data_samples:
            probability = sample['pred_destylized']['probability'][0].float().cpu().numpy()
            height, width = probability.shape
            maps = {
                name: value[0, :height, :width].cpu().numpy()
                for name, value in sample['gt_destylized'].items()
            }
            self.results.append(self.count(probability, maps, sample['gt_instances']))

    def count(self, probability: np.ndarray, maps: dict, instances: dict) -> np.ndarray:
        """Count the pixels of one sample, int64 of any shape."""
        raise NotImplementedError

    def grow(self, polygons: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
        """Mark the polygons and the margin around them, bool ``shape``."""
        filled = fill_polygons(polygons, shape)
        if not self.margin:
            return filled
        side = 2 * self.margin + 1
        return cv2.dilate(filled.view(np.uint8), np.ones((side, side), np.uint8)).view(bool)

    def compute_metrics(self, results: list[np.ndarray]) -> dict:
        """Turn the counts of all samples into figures."""
        if not results:
            return {}
        figures = self.summarize(np.sum(results, axis=0))
        return {name: float(value) for name, value in figures.items()}

    def summarize(self, counts: np.ndarray) -> dict:
        """Turn sums of counts into figures."""
        raise NotImplementedError


def ratio(part: float, whole: float) -> float:
    """Part / whole, not a number where there is no whole."""
    return part / whole if whole else np.nan


def overlap(drawn: float, wanted: float, both: float) -> dict[str, float]:
    """Precision, recall, F and IoU of two sets of pixels, by their sizes."""
    return dict(
        precision=ratio(both, drawn),
        recall=ratio(both, wanted),
        fscore=ratio(2 * both, drawn + wanted),
        iou=ratio(both, drawn + wanted - both),
    )


@METRICS.register_module()
class DestylizationMetric(InkMetric):
    """Precision, recall, F and IoU of the drawn pixels against the label, 0 to 1.

    Pixels are pooled over the whole set, without those of the ignore map. There are four groups of
    figures, each of ``precision``, ``recall``, ``fscore`` and ``iou``:

    - without prefix: all pixels, at the fixed threshold.
    - ``best_``: all pixels, at the threshold with the best F, which is ``best_threshold``, one of
      k / 128.
    - ``small_``, ``medium_``, ``large_``: the pixels of prompted words of that text height, which
      are those of their polygons and of the margin around them, at the fixed threshold. A pixel of
      two words counts for both; what is drawn elsewhere counts for none.
    - ``best_small_`` and so on: these at ``best_threshold``.

    Text heights that no prompted word has are left out. Any other figure without something to
    measure is not a number.

    Args:
        threshold: The fixed threshold, 0 to 1.
        margin: Pixels around a polygon that still belong to its word.
        bounds: Text heights in pixels of the network's image from which a word is medium, and
            large. The usual 16 and 32 are the strides of the image tokens and of the last stage.
        collect_device: As in :class:`mmengine.evaluator.BaseMetric`.
        prefix: Likewise.
    """

    def __init__(
        self,
        threshold: float = 0.5,
        margin: int = 4,
        bounds: tuple[float, float] = HEIGHT_BOUNDS,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ):
        super().__init__(threshold, margin, collect_device, prefix)
        self.bounds = check_bounds(bounds)

    def count(self, probability: np.ndarray, maps: dict, instances: dict) -> np.ndarray:
        """Count drawn, wanted and both pixels.

        Returns:
            int64 (4, 3, 1 + STEPS): all pixels and those of each height; drawn, wanted, both; at
            the fixed threshold, and at k / STEPS.
        """
        valid = ~maps['ignore']
        ink = maps['label'] >= INK_THRESHOLD
        level = (probability * STEPS).astype(np.int64).clip(0, STEPS - 1) + STEPS * ink
        drawn = probability >= self.threshold
        regions = [valid]
        for polygons in self._by_height(instances):
            regions.append(self.grow(polygons, valid.shape) & valid if polygons else None)
        counts = np.zeros((len(regions), 3, 1 + STEPS), np.int64)
        for region, count in zip(regions, counts):
            if region is None:
                continue
            wanted = region & ink
            count[1] = wanted.sum()
            count[0, 0], count[2, 0] = (region & drawn).sum(), (wanted & drawn).sum()
            histogram = np.bincount(level[region], minlength=2 * STEPS).reshape(2, STEPS)
            at_least = histogram[:, ::-1].cumsum(1)[:, ::-1]
            count[0, 1:], count[2, 1:] = at_least.sum(0), at_least[1]
        return counts

    def _by_height(self, instances: dict) -> list[list[np.ndarray]]:
        """Polygons of the prompted words that are small, medium, large."""
        groups: list[list[np.ndarray]] = [[] for _ in HEIGHTS]
        for polygon, prompted in zip(instances['polygons'], instances['prompted'].tolist()):
            if prompted:
                groups[height_class(text_height(polygon), self.bounds)].append(polygon)
        return groups

    def summarize(self, counts: np.ndarray) -> dict:
        """Compute the figures."""
        drawn, wanted, both = counts[0, :, 1:]
        fscores = np.divide(2 * both, drawn + wanted, out=np.zeros(STEPS), where=drawn + wanted > 0)
        best = int(fscores.argmax())
        figures = overlap(*counts[0, :, 0])
        if not both.any():  # no threshold is better than another
            counts[:, :, 1:] = 0
        figures['best_threshold'] = best / STEPS if both.any() else np.nan
        for name, count in zip(('', *(f'{height}_' for height in HEIGHTS)), counts):
            if name and not count[:2].any():
                continue
            for way, at in (('', 0), ('best_', 1 + best)):
                values = overlap(*count[:, at])
                figures.update({f'{way}{name}{key}': value for key, value in values.items()})
        return figures


@METRICS.register_module()
class PromptControlMetric(InkMetric):
    """Are prompted words drawn, and is everything else left out?

    Needs a prompt without some of the words, best a random half of them and some noise, and their
    ink besides: ``DropText(ratio=(0.5, 0.5))``, ``NoiseText`` and
    ``RenderDestylizedLabel(with_dropped=True)`` in the pipeline.

    - ``kept``: share of the ink of prompted words that is drawn.
    - ``leak``: share of the ink of words not prompted that is drawn.
    - ``hallucinated``: share of what is drawn that stands outside every word of the image,
      prompted or not; 0 where nothing is drawn.
    - ``control``: max(0, kept - leak) * (1 - hallucinated), one score from 0 to 1. It is 1 where
      all ink of the prompted words is drawn, and nothing elsewhere. A model that does not listen
      has 0, whether it draws all words, half of each or none of them, and so has one that draws
      only where no word is. Where the set has no word that is not prompted, or no other, there is
      nothing to obey, and it is not a number, like ``leak``, or ``kept``.

    The score is of where ink stands, not of its shape: one that fills the boxes of all prompted
    words has 1 too. Shapes are the matter of :class:`DestylizationMetric`.

    Pixels are pooled over the whole set, without those of the ignore map; where prompted and other
    ink overlap, a pixel counts as prompted.

    Args:
        threshold: Probability from which a predicted pixel is ink, 0 to 1.
        margin: Pixels around a polygon that are not outside.
        collect_device: As in :class:`mmengine.evaluator.BaseMetric`.
        prefix: Likewise.
    """

    def count(self, probability: np.ndarray, maps: dict, instances: dict) -> np.ndarray:
        """Count ink of prompted words, of it drawn; of other words, of it drawn; drawn, outside."""
        if 'dropped' not in maps:
            raise ValueError(
                'PromptControlMetric needs the ink of words that are not prompted: '
                'RenderDestylizedLabel(with_dropped=True) in the pipeline'
            )
        valid = ~maps['ignore']
        drawn = (probability >= self.threshold) & valid
        prompted = (maps['label'] >= INK_THRESHOLD) & valid
        dropped = (maps['dropped'] >= INK_THRESHOLD) & valid & ~prompted
        words = self.grow(instances['polygons'], valid.shape) | prompted | dropped
        return np.array(
            [
                np.count_nonzero(pixels)
                for pixels in (
                    prompted,
                    prompted & drawn,
                    dropped,
                    dropped & drawn,
                    drawn,
                    drawn & ~words,
                )
            ]
        )

    def summarize(self, counts: np.ndarray) -> dict:
        """Compute the figures."""
        prompted, kept, dropped, leaked, drawn, outside = counts
        kept, leak = ratio(kept, prompted), ratio(leaked, dropped)
        hallucinated = ratio(outside, drawn) if drawn else 0.0
        control = np.maximum(0, kept - leak) * (1 - hallucinated)
        return dict(kept=kept, leak=leak, hallucinated=hallucinated, control=control)
