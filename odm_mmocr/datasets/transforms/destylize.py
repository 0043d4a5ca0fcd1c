"""The destylized label, drawn last, at the size the network sees."""

import logging
from collections import Counter
from typing import ClassVar

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log
from mmocr.registry import TRANSFORMS

from odm_mmocr.rendering import (
    TooSmall,
    Undrawable,
    UnusableCharacters,
    fill_polygons,
    load_fonts,
    render_words,
)
from odm_mmocr.rendering.fonts import FontSpec

from ..errors import InvalidAnnotation
from .prompt import check_spotting, ensure_prompt, readable

MAX_LOGGED = 20


@TRANSFORMS.register_module()
class RenderDestylizedLabel(BaseTransform):
    """Draw the prompted words in one uniform font where they stand in the scene.

    Place it after all geometry and after Drop-Text or Noise-Text: nothing resamples the label
    afterwards. Without these the prompt is every readable text.

    What nobody can read is no background: ignored instances, those without text, and prompted
    words that cannot be drawn (no font covers them, or text does not fit into their polygon) are
    marked in an ignore map. Ink of prompted words is never ignored.

    Where the pipeline has boxes of single characters, each glyph is drawn into its own.

    Where it has scores, as of words that an OCR engine has read, a map of weights for the
    segmentation loss can be made of them: a pixel in the polygon of a prompted word weighs
    `score ** score_power`, in the polygons of several as much as in that of the least sure, and
    elsewhere 1. Only prompted words are weighed. That a word which is not prompted has no ink is
    right however wrongly the engine has read it.

    What is wrong with an annotation is logged with file and instance, once a process, the first
    20 of each kind; the attribute `faults` (Counter) counts all by kind, and
    :class:`~odm_mmocr.engine.DataFaultsHook` sums them up over all workers.

    Required Keys:

    - gt_polygons (list[np.float32]), or gt_bboxes (np.float32), of which they are made
    - gt_texts (list[str])
    - gt_ignored (np.bool_)
    - img_shape (tuple[int, int]), or img (np.uint8)
    - gt_char_polygons (list[np.float32]), (C, 4, 2) each (optional)
    - gt_scores (np.float32), 0 to 1 (optional)
    - gt_prompted (np.bool_) (optional)
    - prompt_texts (list[str]) (optional)

    Added Keys:

    - gt_destylized (np.uint8): (H, W), ink of the prompted words, 0 to 255.
    - gt_destylized_ignore (np.bool_): (H, W), pixels that no loss should count.
    - gt_destylized_dropped (np.uint8): (H, W), ink of the readable words that are not prompted;
      with `with_dropped` only.
    - gt_destylized_weight (np.uint8): (H, W), weight of each pixel, 255 for 1; with `score_power`
      above 0 and where there are scores only.
    - prompt_texts (list[str]), prompt_noise (list[bool]), gt_prompted (np.bool_): where absent.
    - label_faults (list[tuple[str, str, str]]): kind of each fault, file and instance, and what is
      wrong; only where there are any.

    Args:
        fonts (str, path or Sequence, optional): Font file, or several that fall back on each other
            in this order. A face of a collection is written `path.ttc#1`. Defaults to None: DejaVu
            Sans as it comes with matplotlib.
        with_dropped (bool): Whether to draw the words that are not prompted as well, into a label
            of their own, to measure leaks. Defaults to False.
        max_words (int): Most words of a prompt that is set here. Defaults to 32.
        use_char_polygons (bool): Whether to draw glyphs into the boxes of their characters, where
            there are any, rather than words along their polygons. Defaults to True.
        on_invalid (str): What to do about a prompted word that cannot be drawn, or whose character
            boxes do not fit: 'ignore', as described above, or 'raise' an error, which no data set
            skips; not for polygons below a pixel, which are no mistake. Defaults to 'ignore'.
        score_power (float): Power of the score by which the polygon of a prompted word weighs, 0 or
            more. 0: no weights are made. Defaults to 0.

    Raises:
        FileNotFoundError: If a font file does not exist.
        ValueError: If a font file is none, `on_invalid` is something else, or `score_power` is out
            of range.

    Source: ODM (arXiv 2403.00303), generation of the destylized labels.
    """

    _logged: ClassVar[dict[str, set]] = {}  # by kind, for all instances in a process

    def __init__(
        self,
        fonts: FontSpec = None,
        with_dropped: bool = False,
        max_words: int = 32,
        use_char_polygons: bool = True,
        on_invalid: str = 'ignore',
        score_power: float = 0.0,
    ) -> None:
        if on_invalid not in ('ignore', 'raise'):
            raise ValueError(f"on_invalid must be 'ignore' or 'raise', not {on_invalid!r}")
        if not 0 <= score_power < float('inf'):
            raise ValueError(f'score_power must be a number of 0 or more, not {score_power!r}')
        self.fonts = load_fonts(fonts)
        self.with_dropped = with_dropped
        self.max_words = max_words
        self.use_char_polygons = use_char_polygons
        self.on_invalid = on_invalid
        self.score_power = score_power
        self.faults: Counter[str] = Counter()

    def transform(self, results: dict) -> dict:
        """Add the label to `results`.

        Raises:
            ValueError: If the annotations are not for text spotting or out of step.
            InvalidAnnotation: If a word cannot be drawn, with `on_invalid='raise'`.
        """
        if 'gt_prompted' in results:
            check_spotting(results)
        ensure_prompt(results, self.max_words)
        shape = results['img_shape'] if 'img_shape' in results else results['img'].shape
        shape = tuple(int(side) for side in shape[:2])
        self._check_step(results, 'gt_prompted', 'prompt flags')
        is_readable = readable(results)
        prompted = np.asarray(results['gt_prompted'], bool) & is_readable
        if self.use_char_polygons and 'gt_char_polygons' in results:
            self._check_step(results, 'gt_char_polygons', 'lists of character boxes')

        label, faults = self._render(results, prompted, shape)
        self._report(results, faults)
        undrawn = [i for i, fault in faults.items() if isinstance(fault, Undrawable)]
        unknown = ~is_readable
        unknown[undrawn] = True
        polygons = [results['gt_polygons'][i] for i in np.flatnonzero(unknown)]
        ignore = fill_polygons(polygons, shape)
        _clear_ink(ignore, label, polygons)
        results['gt_destylized'] = label
        results['gt_destylized_ignore'] = ignore
        if self.with_dropped:
            dropped, _ = self._render(results, is_readable & ~prompted, shape)
            results['gt_destylized_dropped'] = dropped
        if self.score_power and 'gt_scores' in results:
            self._check_step(results, 'gt_scores', 'scores')
            results['gt_destylized_weight'] = self._weigh(results, prompted, shape)
        return results

    def _check_step(self, results: dict, key: str, name: str) -> None:
        count, expected = len(results[key]), len(results['gt_polygons'])
        if count != expected:
            raise ValueError(
                f'{results.get("img_path")}: {expected} polygons but {count} {name} are out of '
                'step. Place geometry, by WarpScene, before the choice of the prompt'
            )

    def _render(
        self, results: dict, chosen: np.ndarray, shape: tuple[int, int]
    ) -> tuple[np.ndarray, dict[int, Undrawable | UnusableCharacters]]:
        """Label of the chosen instances, and what is wrong with which of them."""
        indices = np.flatnonzero(chosen)
        boxes = results.get('gt_char_polygons') if self.use_char_polygons else None
        label, faults = render_words(
            [results['gt_polygons'][i] for i in indices],
            [results['gt_texts'][i] for i in indices],
            shape,
            self.fonts,
            None if boxes is None else [boxes[i] for i in indices],
        )
        return label, {int(i): fault for i, fault in zip(indices, faults) if fault is not None}

    def _weigh(self, results: dict, prompted: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        scores = np.asarray(results['gt_scores'], np.float64)
        weights = np.rint(255 * scores**self.score_power).astype(np.uint8)
        weight = np.full(shape, 255, np.uint8)
        # From sure to unsure, so that the least stays.
        for value in sorted(set(weights[prompted].tolist()) - {255}, reverse=True):
            chosen = np.flatnonzero(prompted & (weights == value))
            filled = fill_polygons([results['gt_polygons'][i] for i in chosen], shape)
            np.copyto(weight, value, where=filled)
        return weight

    def _report(self, results: dict, faults: dict[int, Undrawable | UnusableCharacters]) -> None:
        if not faults:
            return
        reports = []
        for i, fault in faults.items():
            self.faults[fault.kind] += 1
            where = f'{results.get("img_path")}, instance {i}'
            text = results['gt_texts'][i]
            report = f'{where}: {text!a:.100} cannot be drawn as it should, {fault}'
            reports.append((fault.kind, where, report))
            if isinstance(fault, TooSmall):  # of a scene that has been scaled down: no mistake
                continue
            if self.on_invalid == 'raise':
                raise InvalidAnnotation(
                    f'{report}. Mend the annotation or, with a font that is missing, add it by '
                    "RenderDestylizedLabel(fonts=[...]); on_invalid='ignore' goes on"
                )
            self._log(where, fault, report)
        results['label_faults'] = reports

    def _log(self, where: str, fault: Undrawable | UnusableCharacters, report: str) -> None:
        logged = self._logged.setdefault(fault.kind, set())
        if where in logged or len(logged) == MAX_LOGGED:
            return
        logged.add(where)
        outcome = 'is left out of the loss' if isinstance(fault, Undrawable) else 'is drawn whole'
        more = (
            '. Further such words are counted but not logged' if len(logged) == MAX_LOGGED else ''
        )
        print_log(f'{report}; it {outcome}{more}', logger='current', level=logging.WARNING)

    def __repr__(self) -> str:
        paths = [str(font) for font in self.fonts]
        return (
            f'{type(self).__name__}(fonts={paths}, with_dropped={self.with_dropped}, '
            f'max_words={self.max_words}, use_char_polygons={self.use_char_polygons}, '
            f'on_invalid={self.on_invalid!r}, score_power={self.score_power})'
        )


def _clear_ink(ignore: np.ndarray, label: np.ndarray, polygons: list[np.ndarray]) -> None:
    """Takes ink out of an ignore map: of a neighbour that reaches into an unknown region, say."""
    height, width = label.shape
    for polygon in polygons:
        points = np.asarray(polygon, np.float64).ravel()
        points = points[: points.size // 2 * 2].reshape(-1, 2)
        points = points[np.isfinite(points).all(1)]  # the others mark nothing
        if not len(points):
            continue
        xs, ys = points.T
        x0, x1 = max(int(xs.min()), 0), min(int(xs.max()) + 2, width)
        y0, y1 = max(int(ys.min()), 0), min(int(ys.max()) + 2, height)
        if x0 < x1 and y0 < y1:
            ignore[y0:y1, x0:x1] &= label[y0:y1, x0:x1] == 0
