"""The last step of a pipeline: results to tensors and data samples."""

from collections.abc import Sequence
from os import PathLike

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import InstanceData, LabelData, PixelData
from mmocr.registry import TRANSFORMS

from odm_mmocr.structures import ODMDataSample

from ..vocabulary import Vocabulary, build_vocabulary
from .prompt import check_spotting, ensure_prompt


@TRANSFORMS.register_module()
class PackODMInputs(BaseTransform):
    """Pack an image, its prompt and, where there are any, its annotation and destylized label.

    Required Keys:

    - img (np.uint8)
    - prompt_texts (list[str]) or gt_polygons, gt_texts, gt_ignored
    - prompt_noise (list[bool]) (optional)
    - gt_polygons (list[np.float32]), or gt_bboxes (np.float32), of which they are made
      (optional)
    - gt_texts (list[str]) (optional)
    - gt_ignored (np.bool_) (optional)
    - gt_bboxes (np.float32) (optional)
    - gt_bboxes_labels (np.int64) (optional)
    - gt_scores (np.float32) (optional)
    - gt_char_polygons (list[np.float32]) (optional)
    - gt_prompted (np.bool_) (optional)
    - gt_destylized (np.uint8) (optional)
    - gt_destylized_ignore (np.bool_) (optional)
    - gt_destylized_dropped (np.uint8) (optional)
    - gt_destylized_weight (np.uint8) (optional)

    The result is a dict of

    - inputs (torch.uint8): The image, (3, H, W), BGR.
    - data_samples (ODMDataSample): `prompt`, and `gt_instances` and `gt_destylized` where the
      pipeline has made them.

    Args:
        vocabulary (Vocabulary, dict, str or path, optional): The vocabulary of the model. Defaults
            to None: printable ASCII.
        max_words (int): Rows of the prompt's tokens. Defaults to 32.
        meta_keys (Sequence[str]): Keys to keep as metainfo, each where the pipeline has set it.
    """

    # Instance keys and how they are packed; lists stay lists of numpy arrays, as in MMOCR.
    instance_keys = {
        'gt_bboxes': ('bboxes', torch.float32),
        'gt_bboxes_labels': ('labels', torch.int64),
        'gt_ignored': ('ignored', torch.bool),
        'gt_scores': ('scores', torch.float32),
        'gt_prompted': ('prompted', torch.bool),
        'gt_polygons': ('polygons', None),
        'gt_texts': ('texts', None),
        'gt_char_polygons': ('char_polygons', None),
    }

    def __init__(
        self,
        vocabulary: Vocabulary | dict | str | PathLike | None = None,
        max_words: int = 32,
        meta_keys: Sequence[str] = (
            'img_path',
            'ori_shape',
            'img_shape',
            'scale_factor',
            'homography',
            'sample_idx',
            'label_faults',
        ),
    ) -> None:
        self.vocabulary = build_vocabulary(vocabulary)
        self.max_words = max_words
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        """Pack `results`.

        Raises:
            ValueError: If there is neither a prompt nor a text-spotting annotation, the prompt has
                more than `max_words` words, or the annotation's keys are out of step.
        """
        annotated = 'gt_polygons' in results or {'gt_bboxes', 'gt_texts'} <= results.keys()
        if annotated or 'prompt_texts' not in results:
            ensure_prompt(results, self.max_words)
        data_sample = ODMDataSample(
            metainfo={key: results[key] for key in self.meta_keys if key in results}
        )
        data_sample.prompt = self._pack_prompt(results)
        if annotated:
            check_spotting(results)
            data_sample.gt_instances = self._pack_instances(results)
        if 'gt_destylized' in results:
            data_sample.gt_destylized = self._pack_label(results)
        image = results['img']
        if image.ndim == 2:
            image = np.repeat(image[..., None], 3, axis=2)
        # Copied: transforms of the colours leave views with negative strides.
        inputs = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return {'inputs': inputs, 'data_samples': data_sample}

    def _pack_prompt(self, results: dict) -> LabelData:
        texts = list(results['prompt_texts'])
        tokens, mask = self.vocabulary.encode(texts, self.max_words)
        shown = mask.copy()
        shown[: len(texts)] &= ~np.array(results.get('prompt_noise', [False] * len(texts)), bool)
        return LabelData(
            texts=texts,
            tokens=torch.from_numpy(tokens),
            mask=torch.from_numpy(mask),
            shown=torch.from_numpy(shown),
            vocabulary=self.vocabulary.fingerprint,
        )

    def _pack_instances(self, results: dict) -> InstanceData:
        instances = InstanceData()
        for key, (name, dtype) in self.instance_keys.items():
            if key in results:
                value = results[key]
                instances[name] = value if dtype is None else torch.as_tensor(value, dtype=dtype)
        return instances

    def _pack_label(self, results: dict) -> PixelData:
        maps = {'label': results['gt_destylized']}
        for name in ('ignore', 'dropped', 'weight'):
            if f'gt_destylized_{name}' in results:
                maps[name] = results[f'gt_destylized_{name}']
        return PixelData(**{name: torch.from_numpy(map_)[None] for name, map_ in maps.items()})

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(vocabulary={self.vocabulary}, max_words={self.max_words}, '
            f'meta_keys={self.meta_keys})'
        )
