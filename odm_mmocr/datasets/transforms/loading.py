"""What the stock loading leaves out of an annotation."""

from numbers import Real

import numpy as np
from mmcv.transforms import BaseTransform
from mmocr.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadTextScores(BaseTransform):
    """Load how sure the words of an annotation are, as the OCR engine says that has read them.

    Place it beside `LoadOCRAnnotations`, before all geometry. Instances without a score, such as
    those that people have annotated, are wholly sure.

    Required Keys:

    - instances

      - score (optional), 0 to 1

    Added Keys:

    - gt_scores (np.float32): (N,), 1 where there is none.
    """

    def transform(self, results: dict) -> dict:
        """Load the scores of `results`.

        Raises:
            ValueError: If a score is no number from 0 to 1.
        """
        scores = [instance.get('score', 1.0) for instance in results['instances']]
        for index, score in enumerate(scores):
            if not isinstance(score, Real) or isinstance(score, bool) or not 0 <= score <= 1:
                raise ValueError(
                    f'{results.get("img_path")}, instance {index}: the score is {score!r}, '
                    'expected a number from 0 to 1. Mend the annotation or leave the score out'
                )
        results['gt_scores'] = np.array(scores, np.float32)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
