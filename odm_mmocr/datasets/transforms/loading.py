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


@TRANSFORMS.register_module()
class LoadCharPolygons(BaseTransform):
    """Load the boxes of single characters, as SynthText has them.

    Place it beside `LoadOCRAnnotations`, before all geometry. `RenderDestylizedLabel` draws each
    glyph into its box; words without boxes are drawn along their polygon.

    Required Keys:

    - instances

      - char_polygons (optional), list of x1, y1, …, x4, y4 for each character

    Added Keys:

    - gt_char_polygons (list[np.float32]): (C, 4, 2) each, pixels, C of 0 where there are none.
    """

    def transform(self, results: dict) -> dict:
        """Load the boxes of `results`.

        Raises:
            ValueError: If a box is not eight numbers.
        """
        polygons = []
        for index, instance in enumerate(results['instances']):
            try:
                boxes = np.array(instance.get('char_polygons', ()), np.float32).reshape(-1, 4, 2)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f'{results.get("img_path")}, instance {index}: expected eight numbers for each '
                    f'character as "char_polygons": {error}'
                ) from error
            polygons.append(boxes)
        results['gt_char_polygons'] = polygons
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
