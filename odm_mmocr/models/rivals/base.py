"""What the rivals of ODM share: the image encoder, ODM's batches, and how they are called."""

from abc import abstractmethod

import torch
from mmengine.model import BaseModel, BaseModule
from mmocr.registry import MODELS
from torch import Tensor

from odm_mmocr.datasets.vocabulary import Vocabulary
from odm_mmocr.structures import ODMDataSample

from ..image_encoder import check_size, probe_stages
from ..prompts import check_vocabulary


class PretrainingModel(BaseModel):
    """A model that exists to train the backbone of its image encoder.

    `BackboneExportHook` and `tools/export_backbone.py` find ``image_encoder.backbone`` as in
    :class:`ODM`. There is nothing to predict, so there is no validation either.

    Args:
        image_encoder: Config of a module with ``backbone`` and ``strides``.
        data_preprocessor: Config of an :class:`ODMDataPreprocessor`.
        init_cfg: Initialisation, as everywhere in MMEngine.
    """

    def __init__(
        self,
        image_encoder: dict,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(data_preprocessor or dict(type='ODMDataPreprocessor'), init_cfg)
        self.image_encoder = MODELS.build(image_encoder)
        self.image_encoder.to(memory_format=torch.channels_last)

    def forward(
        self, inputs: Tensor, data_samples: list[ODMDataSample], mode: str = 'tensor'
    ) -> dict[str, Tensor]:
        """Run the model.

        Args:
            inputs: (B, 3, H, W), normalised; H and W multiples of the backbone's last stride.
            data_samples: B samples.
            mode: ``tensor``: raw outputs; ``loss``: losses.

        Returns:
            What :meth:`encode` or :meth:`loss` gives.

        Raises:
            ValueError: Another mode, or an input size that the backbone cannot take.
        """
        if mode not in ('tensor', 'loss'):
            raise ValueError(
                f"mode={mode!r} is neither 'tensor' nor 'loss': {type(self).__name__} only "
                'pre-trains, give it no validation (val_cfg, val_dataloader and val_evaluator None)'
            )
        check_size(inputs, self.image_encoder.strides[-1])
        return (
            self.loss(inputs, data_samples) if mode == 'loss' else self.encode(inputs, data_samples)
        )

    @abstractmethod
    def encode(self, images: Tensor, data_samples: list[ODMDataSample]) -> dict[str, Tensor]:
        """Outputs of a batch, before any loss."""

    @abstractmethod
    def loss(self, images: Tensor, data_samples: list[ODMDataSample]) -> dict[str, Tensor]:
        """Losses of a batch, each already weighted, and what else is worth a log."""


@MODELS.register_module()
class BackboneEncoder(BaseModule):
    """A backbone and nothing else, where :class:`ODMImageEncoder` also pools.

    A pool that no loss looks at would have no gradient, and stop training with several processes.

    Args:
        backbone: Config of a registered backbone with four stages.
        init_cfg: Initialisation, as everywhere in MMEngine.

    Raises:
        ValueError: The backbone does not give four stages.
    """

    def __init__(self, backbone: dict, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.backbone = MODELS.build(backbone)
        self.channels, self.strides = probe_stages(self.backbone)

    def forward(self, images: Tensor) -> list[Tensor]:
        """The four stages of images (B, 3, H, W)."""
        return list(self.backbone(images))


def stack_words(data_samples: list[ODMDataSample], vocabulary: Vocabulary) -> tuple[Tensor, Tensor]:
    """Batch the words of the images, cut to the largest number of them.

    Args:
        data_samples: B samples with a ``prompt``.
        vocabulary: That of the model.

    Returns:
        Tokens, int64 (B, words, characters), and bool (B, words), True where there is a word that
        the image shows; noise words are as good as none.

    Raises:
        ValueError: The prompts were encoded with another vocabulary than the model's.
    """
    prompts = [sample.prompt for sample in data_samples]
    check_vocabulary(prompts, vocabulary)
    count = max(1, *(len(prompt.texts) for prompt in prompts))
    tokens = torch.stack([prompt.tokens[:count] for prompt in prompts])
    return tokens, torch.stack([prompt.shown[:count] for prompt in prompts])
