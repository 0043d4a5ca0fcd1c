"""The destylized label, drawn last, at the size the network sees."""

import logging

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log
from mmocr.registry import TRANSFORMS

from odm_mmocr.rendering import fill_polygons, load_fonts, normalize_text, render_words
from odm_mmocr.rendering.fonts import FontSpec

from .prompt import check_spotting, ensure_prompt, readable


@TRANSFORMS.register_module()
class RenderDestylizedLabel(BaseTransform):
    """Draw the prompted words in one uniform font where they stand in the scene.

    Place it after all geometry and after Drop-Text or Noise-Text: nothing resamples the label
    afterwards. Without these the prompt is every readable text.

    What nobody can read is no background: ignored instances, those without text, and prompted
    words that cannot be drawn (no font covers them, or text does not fit into their polygon) are
    marked in an ignore map. Ink of prompted words is never ignored. The first word that cannot be
    drawn is logged, once a process; the attribute `num_undrawn` counts them all.

    Required Keys:

    - gt_polygons (list[np.float32])
    - gt_texts (list[str])
    - gt_ignored (np.bool_)
    - img_shape (tuple[int, int]), or img (np.uint8)
    - gt_prompted (np.bool_) (optional)
    - prompt_texts (list[str]) (optional)

    Added Keys:

    - gt_destylized (np.uint8): (H, W), ink of the prompted words, 0 to 255.
    - gt_destylized_ignore (np.bool_): (H, W), pixels that no loss should count.
    - gt_destylized_dropped (np.uint8): (H, W), ink of the readable words that are not prompted;
      with `with_dropped` only.
    - prompt_texts (list[str]), prompt_noise (list[bool]), gt_prompted (np.bool_): where absent.

    Args:
        fonts (str, path or Sequence, optional): Font file, or several that fall back on each other
            in this order. A face of a collection is written `path.ttc#1`. Defaults to None: DejaVu
            Sans as it comes with matplotlib.
        with_dropped (bool): Whether to draw the words that are not prompted as well, into a label
            of their own, to measure leaks. Defaults to False.
        max_words (int): Most words of a prompt that is set here. Defaults to 32.

    Raises:
        FileNotFoundError: If a font file does not exist.
        ValueError: If a font file is none.

    Source: ODM (arXiv 2403.00303), generation of the destylized labels.
    """

    _has_warned = False  # for all instances in a process

    def __init__(
        self, fonts: FontSpec = None, with_dropped: bool = False, max_words: int = 32
    ) -> None:
        self.fonts = load_fonts(fonts)
        self.with_dropped = with_dropped
        self.max_words = max_words
        self.num_undrawn = 0

    def transform(self, results: dict) -> dict:
        """Add the label to `results`.

        Raises:
            ValueError: If the annotations are not for text spotting or out of step.
        """
        check_spotting(results)
        ensure_prompt(results, self.max_words)
        shape = results['img_shape'] if 'img_shape' in results else results['img'].shape
        shape = tuple(int(side) for side in shape[:2])
        polygons, texts = results['gt_polygons'], results['gt_texts']
        is_readable = readable(results)
        prompted = np.asarray(results['gt_prompted'], bool) & is_readable
        if len(prompted) != len(polygons):
            raise ValueError(
                f'{results.get("img_path")}: {len(polygons)} polygons but {len(prompted)} prompt '
                'flags are out of step. Place the geometry before the choice of the prompt'
            )

        label, drawn = self._render(polygons, texts, prompted, shape)
        undrawn = prompted & ~drawn
        self._report(results, np.flatnonzero(undrawn))
        unknown = np.flatnonzero(~is_readable | undrawn)
        # Ink of a neighbour that reaches into an unknown region is known all the same.
        ignore = fill_polygons([polygons[i] for i in unknown], shape) & (label == 0)
        results['gt_destylized'] = label
        results['gt_destylized_ignore'] = ignore
        if self.with_dropped:
            dropped, _ = self._render(polygons, texts, is_readable & ~prompted, shape)
            results['gt_destylized_dropped'] = dropped
        return results

    def _render(
        self, polygons: list, texts: list[str], chosen: np.ndarray, shape: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Label of the chosen instances, and which of all, bool (N,), are drawn in it."""
        indices = np.flatnonzero(chosen)
        drawn = np.zeros(len(chosen), bool)
        label, faults = render_words(
            [polygons[i] for i in indices], [texts[i] for i in indices], shape, self.fonts
        )
        drawn[indices] = [fault is None for fault in faults]
        return label, drawn

    def _report(self, results: dict, undrawn: np.ndarray) -> None:
        self.num_undrawn += len(undrawn)
        if len(undrawn) == 0 or RenderDestylizedLabel._has_warned:
            return
        RenderDestylizedLabel._has_warned = True
        i = int(undrawn[0])
        text = results['gt_texts'][i]
        if self.fonts.covers(normalize_text(text)):
            reason, remedy = 'its polygon or text is unusable', 'check the annotation'
        else:
            reason = f'no font covers it ({", ".join(font.path for font in self.fonts)})'
            remedy = 'add a font by RenderDestylizedLabel(fonts=[...])'
        print_log(
            f'{results.get("img_path")}, instance {i}: {text!a} cannot be drawn, {reason}, and is '
            f'left out of the loss: {remedy}. Further such words are counted but not logged.',
            logger='current',
            level=logging.WARNING,
        )

    def __repr__(self) -> str:
        paths = [font.path for font in self.fonts]
        return f'{type(self).__name__}(fonts={paths}, with_dropped={self.with_dropped})'
