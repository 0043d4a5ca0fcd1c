"""Masked image modelling: what colours have the patches that cannot be seen?"""

import math

import torch
from mmocr.registry import MODELS
from torch import Tensor, nn

from odm_mmocr.structures import ODMDataSample

from .base import PretrainingModel
from .losses import masked_pixel_loss


@MODELS.register_module()
class MaskedImageModel(PretrainingModel):
    """SimMIM, `arXiv 2111.09886 <https://arxiv.org/abs/2111.09886>`_, for any backbone.

    Random patches of the normalised image are painted over with one learned colour, and a linear
    head on the backbone's last stage regresses the pixels that stood there. It needs no words at
    all. SimMIM puts its mask token in place of patch embeddings, which a convolutional backbone has
    none of; a colour in the image itself is the way of A2MIM
    (`arXiv 2205.13943 <https://arxiv.org/abs/2205.13943>`_).

    Args:
        image_encoder: Config of a :class:`BackboneEncoder`.
        patch_size: Side of a masked patch, pixels.
        mask_ratio: Share of the patches that are masked, above 0 and below 1.
        data_preprocessor: Config of an :class:`ODMDataPreprocessor`.
        init_cfg: Initialisation, as everywhere in MMEngine.

    Raises:
        ValueError: ``patch_size`` or ``mask_ratio`` is out of range.
    """

    def __init__(
        self,
        image_encoder: dict,
        patch_size: int = 32,
        mask_ratio: float = 0.6,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(image_encoder, data_preprocessor, init_cfg)
        if patch_size < 1 or not 0 < mask_ratio < 1:
            raise ValueError(
                f'patch_size={patch_size} must be 1 or more, mask_ratio={mask_ratio} above 0 and '
                'below 1'
            )
        self.patch_size = patch_size
        self.mask_ratio = mask_ratio
        # The mean colour of normalised images, to begin with.
        self.mask_colour = nn.Parameter(torch.zeros(1, 3, 1, 1))
        stride = self.image_encoder.strides[-1]
        self.head = nn.Sequential(
            nn.Conv2d(self.image_encoder.channels[-1], 3 * stride**2, 1), nn.PixelShuffle(stride)
        )

    def encode(self, images: Tensor, data_samples: list[ODMDataSample]) -> dict[str, Tensor]:
        """Mask patches and paint them.

        Args:
            images: (B, 3, H, W), normalised.
            data_samples: B samples with ``img_shape``.

        Returns:
            ``predicted`` (B, 3, H, W), on the scale of the images, and ``masked`` bool
            (B, 1, H, W), without what pads an image to the size of the batch.
        """
        masked = draw_patches(images, self.patch_size, self.mask_ratio)
        predicted = self.head(self.image_encoder(images.where(~masked, self.mask_colour))[-1])
        for index, sample in enumerate(data_samples):
            height, width = sample.img_shape[:2]
            masked[index, :, height:] = False
            masked[index, :, :, width:] = False
        return dict(predicted=predicted, masked=masked)

    def loss(self, images: Tensor, data_samples: list[ODMDataSample]) -> dict[str, Tensor]:
        """Mean absolute error on the masked pixels."""
        outputs = self.encode(images, data_samples)
        return dict(loss_pixels=masked_pixel_loss(outputs['predicted'], images, outputs['masked']))


def draw_patches(images: Tensor, patch_size: int, ratio: float) -> Tensor:
    """Choose random patches of each image by PyTorch's generator, the same number in each.

    Args:
        images: (B, C, H, W); only size and device count.
        patch_size: Side of a patch, pixels; those at the right and bottom edge may be cut off.
        ratio: Share of the patches, rounded up to a whole number of them.

    Returns:
        bool (B, 1, H, W).
    """
    batch, _, height, width = images.shape
    rows, columns = math.ceil(height / patch_size), math.ceil(width / patch_size)
    draw = torch.rand(batch, rows * columns, device=images.device)
    chosen = draw.argsort(1).argsort(1) < math.ceil(ratio * rows * columns)
    chosen = chosen.view(batch, 1, rows, columns)
    chosen = chosen.repeat_interleave(patch_size, 2).repeat_interleave(patch_size, 3)
    return chosen[..., :height, :width].contiguous()
