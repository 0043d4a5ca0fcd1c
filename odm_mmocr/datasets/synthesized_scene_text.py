"""Endless scene-text images as a data set of MMOCR."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmocr.registry import DATASETS

from odm_mmocr.synthesis import SceneSynthesizer


@DATASETS.register_module()
class SynthesizedSceneText(BaseDataset):
    """Scene-text images that are made when they are asked for.

    An image depends on the seed, the epoch, the index and the settings, and on nothing else: it is
    the same with any number of worker processes. The epoch is that of the `SampleIndex` by which
    it is asked for; a plain int means epoch 0, hence the same images again and again.

    The pipeline starts with `LoadImageFromNDArray` and `LoadOCRAnnotations(with_polygon=True,
    with_bbox=True, with_label=True, with_text=True)`. It is given the keys

    - img (uint8 (H, W, 3), BGR), img_path (str), height, width, sample_idx (int)
    - instances (list[dict] with polygon, bbox, bbox_label, ignore, text)
    - gt_char_polygons (list of float32 (C, 4, 2))
    - gt_glyphs (uint8 (H, W), 0 to 255), with the setting `with_glyphs` only

    Args:
        epoch_length (int): Number of images in an epoch. Defaults to 10000.
        seed (int): Seed, 0 or more. Training and validation sets need different ones. Defaults
            to 0.
        pipeline (Sequence[dict or Callable]): Transforms. Defaults to ().
        test_mode (bool): Whether a pipeline that returns None is an error rather than a reason to
            draw another image. Defaults to False.
        metainfo (dict, optional): Metainfo to add. Defaults to None.
        max_refetch (int): Most images to draw in place of one for which the pipeline returns None.
            Defaults to 100.
        **synthesizer: Settings of :class:`odm_mmocr.synthesis.SceneSynthesizer`.

    Raises:
        FileNotFoundError: If a file or folder of the settings does not exist.
        ValueError: If a setting is out of range or a folder or file has nothing usable in it.
    """

    METAINFO = dict(
        dataset_type='SynthesizedSceneText',
        task_name='textspotting',
        category=[dict(id=0, name='text')],
    )

    def __init__(
        self,
        epoch_length: int = 10000,
        seed: int = 0,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        metainfo: dict | None = None,
        max_refetch: int = 100,
        **synthesizer: Any,
    ) -> None:
        if epoch_length < 1 or seed < 0:
            raise ValueError(
                f'epoch_length is {epoch_length} and seed {seed}; expected at least 1 and 0'
            )
        self.epoch_length = epoch_length
        self.seed = seed
        self.synthesizer = SceneSynthesizer(**synthesizer)
        super().__init__(
            metainfo=metainfo,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=True,
            max_refetch=max_refetch,
        )
        self.full_init()

    def full_init(self) -> None:
        """Do nothing: there is no annotation file to load."""
        self._fully_initialized = True

    def __len__(self) -> int:
        return self.epoch_length

    def get_data_info(self, index: int, attempt: int = 0) -> dict:
        """Make the image of an index and its annotation.

        Args:
            index (int): Index, or `SampleIndex` with the epoch.
            attempt (int): Number of images drawn for this index before. Defaults to 0.

        Returns:
            dict: What the pipeline is given.
        """
        if not -self.epoch_length <= index < self.epoch_length:
            raise IndexError(f'index {int(index)} of {self.epoch_length} images')
        index, epoch = int(index) % self.epoch_length, getattr(index, 'epoch', 0)
        # A second image of an index has one number more: no other index can have the same state.
        state = (self.seed, epoch, index, attempt)[: 4 if attempt else 3]
        scene = self.synthesizer(np.random.default_rng(state))
        height, width = scene.image.shape[:2]
        info = dict(
            img=scene.image,
            img_path=f'synthesized/{self.seed}-{epoch}-{index}.png',
            height=height,
            width=width,
            sample_idx=index,
            instances=[
                dict(
                    polygon=polygon.ravel().tolist(),
                    bbox=[*polygon.min(0).tolist(), *polygon.max(0).tolist()],
                    bbox_label=0,
                    ignore=False,
                    text=text,
                )
                for polygon, text in zip(scene.polygons, scene.texts)
            ],
            gt_char_polygons=scene.character_quads,
        )
        if self.synthesizer.with_glyphs:
            info['gt_glyphs'] = scene.glyph_mask()
        return info

    def __getitem__(self, index: int) -> Any:
        """Make the sample of an index, an int or a `SampleIndex`.

        Raises:
            IndexError: If the index is beyond the epoch.
            RuntimeError: If the pipeline returns None: in testing at once, in training for
                `max_refetch` other images too.
        """
        attempts = 1 if self.test_mode else self.max_refetch + 1
        for attempt in range(attempts):
            sample = self.pipeline(self.get_data_info(index, attempt))
            if sample is not None:
                return sample
        raise RuntimeError(
            f'the pipeline of SynthesizedSceneText returned None for {attempts} image(s) in a row '
            f'at index {int(index)}; find the transform that gives up on them'
        )
