"""L_seg: is there ink of a prompted word at this pixel?"""

import torch
import torch.nn.functional as F
from mmocr.registry import MODELS
from torch import Tensor, nn

from .processes import mean_over_processes

INK_THRESHOLD = 30  # a label of at least this, out of 255, is ink


def bce_loss(
    logits: Tensor,
    target: Tensor,
    valid: Tensor,
    positive_weight: float | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """Binary cross-entropy, averaged over the valid pixels of the batch, of all processes.

    Args:
        logits: (B, 1, H, W).
        target: bool (B, 1, H, W).
        valid: bool (B, 1, H, W); other pixels do not count.
        positive_weight: How much more a pixel of ink weighs.
        weight: float (B, 1, H, W), 0 or more, of each pixel in the average; None: 1 everywhere.

    Returns:
        Scalar.
    """
    ink_weight = None
    if positive_weight is not None:  # filled there: a copy from the CPU would wait for the GPU
        ink_weight = torch.full((), positive_weight, device=logits.device)
    loss = F.binary_cross_entropy_with_logits(
        logits.float(), target.float(), reduction='none', pos_weight=ink_weight
    )
    weight = valid if weight is None else valid * weight
    return mean_over_processes((loss * weight).sum(), weight.sum())


def dice_loss(
    logits: Tensor, target: Tensor, valid: Tensor, weight: Tensor | None = None
) -> Tensor:
    """1 - 2 |P T| / (|P| + |T|) for each image, averaged over the images that have ink.

    From `V-Net <https://arxiv.org/abs/1606.04797>`_, without the squares; the average is over the
    images of all processes. With weights, the pixels of P and T count by theirs, and so do the
    images in the average, since the quotient alone stays the same however little all ink of an
    image weighs: an image weighs as much as its ink does on average, which is an average by weight
    itself, so that ink without weight does not count.

    Args:
        logits: (B, 1, H, W).
        target: bool (B, 1, H, W).
        valid: bool (B, 1, H, W); other pixels do not count.
        weight: float (B, 1, H, W), 0 or more; None: 1 everywhere.

    Returns:
        Scalar.
    """
    weight = (valid.float() if weight is None else valid * weight).flatten(1)
    target = target.flatten(1)
    ink = target * weight
    prediction = logits.float().sigmoid().flatten(1) * weight
    both = (prediction * target).sum(1)
    dice = 1 - 2 * both / (prediction.sum(1) + ink.sum(1)).clamp(min=1e-6)
    image_weight = (ink * weight).sum(1) / ink.sum(1).clamp(min=1e-6)  # 0 without ink
    return mean_over_processes((dice * image_weight).sum(), image_weight.sum())


@MODELS.register_module()
class DestylizationSegLoss(nn.Module):
    """Segmentation loss of ODM: binary cross-entropy, as in the paper, or weighted with Dice.

    Ink covers a few per cent of an image. Plain cross-entropy learns that slowly; a weight on
    ink and Dice learn it within minutes, at the price of somewhat fat letters.

    Args:
        loss_weight: Factor of the whole.
        positive_weight: How much more a pixel of ink weighs in the cross-entropy; None: no more.
        dice_weight: Factor of the Dice loss; 0: without.
        threshold: A label of at least this (0 to 255) is ink.
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        positive_weight: float | None = None,
        dice_weight: float = 0.0,
        threshold: int = INK_THRESHOLD,
    ):
        super().__init__()
        self.loss_weight = loss_weight
        self.positive_weight = positive_weight
        self.dice_weight = dice_weight
        self.threshold = threshold

    def forward(
        self, logits: Tensor, label: Tensor, ignore: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """Compare logits with a label.

        Args:
            logits: (B, 1, H, W).
            label: uint8 (B, 1, H, W), 0 to 255.
            ignore: bool (B, 1, H, W), True where nothing is known.
            weight: uint8 (B, 1, H, W), how sure the label is of each pixel, 255 for wholly; None:
                wholly everywhere. 0 does the same as ``ignore``.

        Returns:
            Scalar.
        """
        target, valid = label >= self.threshold, ~ignore
        if weight is not None:
            weight = weight.float() / 255
        loss = bce_loss(logits, target, valid, self.positive_weight, weight)
        if self.dice_weight:
            loss = loss + self.dice_weight * dice_loss(logits, target, valid, weight)
        return self.loss_weight * loss
