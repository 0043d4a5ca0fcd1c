"""How good is the drawing, and does it obey the prompt?"""

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmocr.registry import METRICS

from odm_mmocr.models.losses.segmentation import INK_THRESHOLD


class InkMetric(BaseMetric):
    """Sums counts of pixels over all samples, so that processes add up exactly.

    Args:
        threshold: Probability from which a predicted pixel is ink, 0 to 1.
        collect_device: As in :class:`mmengine.evaluator.BaseMetric`.
        prefix: Likewise.
    """

    default_prefix = 'odm'
    needs_dropped = False

    def __init__(
        self, threshold: float = 0.5, collect_device: str = 'cpu', prefix: str | None = None
    ):
        super().__init__(collect_device, prefix)
        self.threshold = threshold

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Count the pixels of predicted samples."""
        for sample in data_samples:
            label = sample['gt_destylized']
            probability = sample['pred_destylized']['probability']
            size = (..., slice(probability.shape[-2]), slice(probability.shape[-1]))
            valid = ~label['ignore'][size]
            maps = {
                name: (label[name][size] >= INK_THRESHOLD) & valid
                for name in ('label', 'dropped')
                if name in label
            }
            if self.needs_dropped and 'dropped' not in maps:
                raise ValueError(
                    f'{type(self).__name__} needs the ink of words that are not prompted: '
                    'RenderDestylizedLabel(with_dropped=True) in the pipeline'
                )
            drawn = (probability >= self.threshold) & valid
            self.results.append(
                {name: int(count) for name, count in self.count(drawn, **maps).items()}
            )

    def compute_metrics(self, results: list) -> dict:
        """Turn the sums into figures."""
        total = {name: sum(result[name] for result in results) for name in results[0]}
        return {name: float(value) for name, value in self.summarize(total).items()}


def ratio(part: float, whole: float) -> float:
    """Part / whole, not a number where there is no whole."""
    return part / whole if whole else np.nan


@METRICS.register_module()
class DestylizationMetric(InkMetric):
    """Precision, recall, F and IoU of the drawn pixels against the label, 0 to 1.

    Pixels are pooled over the whole set, without those of the ignore map.
    """

    def count(self, drawn, label, dropped=None) -> dict:
        """Count drawn, wanted, and both."""
        return dict(drawn=drawn.sum(), wanted=label.sum(), both=(drawn & label).sum())

    def summarize(self, total: dict) -> dict:
        """Compute the figures."""
        drawn, wanted, both = total['drawn'], total['wanted'], total['both']
        return dict(
            precision=ratio(both, drawn),
            recall=ratio(both, wanted),
            fscore=ratio(2 * both, drawn + wanted),
            iou=ratio(both, drawn + wanted - both),
        )


@METRICS.register_module()
class PromptControlMetric(InkMetric):
    """Are prompted words drawn, and are the others left out?

    - ``kept``: share of the ink of prompted words that is drawn.
    - ``leak``: share of the ink of dropped words that is drawn. Needs
      ``RenderDestylizedLabel(with_dropped=True)`` and a prompt without some of the words.
    - ``control``: kept - leak; 1 is perfect, 0 is a model that does not listen.

    Pixels are pooled over the whole set; where prompted and dropped ink overlap, the pixel
    counts as prompted.
    """

    needs_dropped = True

    def count(self, drawn, label, dropped) -> dict:
        """Count the ink of prompted and dropped words, and how much of it is drawn."""
        dropped = dropped & ~label
        return dict(
            prompted=label.sum(),
            kept=(drawn & label).sum(),
            dropped=dropped.sum(),
            leaked=(drawn & dropped).sum(),
        )

    def summarize(self, total: dict) -> dict:
        """Compute the figures."""
        kept = ratio(total['kept'], total['prompted'])
        leak = ratio(total['leaked'], total['dropped'])
        return dict(kept=kept, leak=leak, control=kept - leak)
