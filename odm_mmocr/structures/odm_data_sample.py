"""The data sample that travels between pipeline, model, metrics and visualizer."""

import torch
from mmengine.structures import BaseDataElement, LabelData, PixelData
from mmocr.structures import TextDetDataSample

from .tensors import map_tensors


class ODMDataSample(TextDetDataSample):
    """A scene-text image's annotation, prompt, destylized label and prediction.

    `gt_instances` and `pred_instances` are those of `TextDetDataSample`; `gt_instances` also holds
    `texts` (list of N str), `prompted` (N,) bool and, where the data set has them, `scores` (N,)
    float32 and `char_polygons` (N arrays (C, 4, 2) float32, pixels).

    - `gt_destylized` (PixelData): `label` (1, H, W) uint8, 0 to 255, the prompted words in the
      uniform font; `ignore` (1, H, W) bool, pixels that no loss and no metric counts; optionally
      `dropped` (1, H, W) uint8, the readable words that are not prompted, to measure leaks, and
      `weight` (1, H, W) uint8, how much each pixel weighs in the segmentation loss, 255 for 1.
    - `pred_destylized` (PixelData): `probability` (1, H, W) float, 0 to 1.
    - `pred_features` (LabelData): `image` and `text` (C,) float of length 1, the global features of
      the image and of the prompted words that it shows; `text` is zero where there are none
      and the model masks padding.
    - `pred_attention` (PixelData), on request: `attention` (words, h, w) float, 0 to 1, how much of
      its attention each cell of the padded image gives to each word of the prompt; with a model
      that matches words, `located` likewise, the probability that the word stands there.
    - `prompt` (LabelData): `texts` (list of str, what the model is told), `tokens` (words,
      characters) int64, `mask` (words,) bool, True where there is a word, and `shown` (words,)
      bool, True where that word is also in the image (False for noise words and padding);
      optionally `vocabulary` (int), `fingerprint` of the `Vocabulary` that made the tokens.

    Source: the quantities of ODM (arXiv 2403.00303).
    """

    @property
    def gt_destylized(self) -> PixelData:
        """PixelData: the destylized label and its ignore map."""
        return self._gt_destylized

    @gt_destylized.setter
    def gt_destylized(self, value: PixelData):
        self.set_field(value, '_gt_destylized', dtype=PixelData)

    @gt_destylized.deleter
    def gt_destylized(self):
        del self._gt_destylized

    @property
    def pred_destylized(self) -> PixelData:
        """PixelData: the predicted ink probability."""
        return self._pred_destylized

    @pred_destylized.setter
    def pred_destylized(self, value: PixelData):
        self.set_field(value, '_pred_destylized', dtype=PixelData)

    @pred_destylized.deleter
    def pred_destylized(self):
        del self._pred_destylized

    @property
    def pred_features(self) -> LabelData:
        """LabelData: global features of image and prompt."""
        return self._pred_features

    @pred_features.setter
    def pred_features(self, value: LabelData):
        self.set_field(value, '_pred_features', dtype=LabelData)

    @pred_features.deleter
    def pred_features(self):
        del self._pred_features

    @property
    def pred_attention(self) -> PixelData:
        """PixelData: where the words of the prompt were looked for."""
        return self._pred_attention

    @pred_attention.setter
    def pred_attention(self, value: PixelData):
        self.set_field(value, '_pred_attention', dtype=PixelData)

    @pred_attention.deleter
    def pred_attention(self):
        del self._pred_attention

    @property
    def prompt(self) -> LabelData:
        """LabelData: the words that the model is told."""
        return self._prompt

    @prompt.setter
    def prompt(self, value: LabelData):
        self.set_field(value, '_prompt', dtype=LabelData)

    @prompt.deleter
    def prompt(self):
        del self._prompt

    def pin_memory(self) -> BaseDataElement:
        """Copy all tensors into page-locked memory, from which a GPU fetches them by itself.

        The data loader of PyTorch calls this where ``pin_memory=True``.

        Returns:
            A sample of its own.
        """
        return map_tensors(self, torch.Tensor.pin_memory)
