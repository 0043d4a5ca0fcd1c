"""L_seg: is there ink of a prompted word at this pixel?"""

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, get_world_size
from mmocr.registry import MODELS
from torch import Tensor, nn

INK_THRESHOLD = 30  # a label of at least this, out of 255, is ink


def mean_over_processes(total: Tensor, count: Tensor) -> Tensor:
    """Divide a sum of this process by the count of all, so that the gradients add up right.

    Data-parallel training averages gradients over processes; with this scaling that average is
    the gradient of (sum over all processes) / (count over all processes).

    Args:
        total: Scalar with gradient, the sum over what this process has.
        count: Scalar without gradient, how many this process has.

    Returns:
        Scalar; zero (and with zero gradient) where all processes together have none.
    """
    count = count.detach().float().clone()
    all_reduce(count)
    return total * get_world_size() / count.clamp(min=1)


def bce_loss(
    logits: Tensor, target: Tensor, valid: Tensor, positive_weight: float | None = None
) -> Tensor:
    """Binary cross-entropy, averaged over the valid pixels of the whole batch.

    Args:
        logits: (B, 1, H, W).
        target: bool (B, 1, H, W).
        valid: bool (B, 1, H, W); other pixels do not count.
        positive_weight: How much more a pixel of ink weighs.

    Returns:
        Scalar.
    """
    weight = None
    if positive_weight is not None:  # filled there: a copy from the CPU would wait for the GPU
        weight = torch.full((), positive_weight, device=logits.device)
    loss = F.binary_cross_entropy_with_logits(
        logits.float(), target.float(), reduction='none', pos_weight=weight
    )
    return mean_over_processes((loss * valid).sum(), valid.sum())


def dice_loss(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """1 - 2 |P T| / (|P| + |T|) for each image, averaged over the images that have ink.

    From `V-Net <https://arxiv.org/abs/1606.04797>`_, without the squares.

    Args:
        logits: (B, 1, H, W).
        target: bool (B, 1, H, W).
        valid: bool (B, 1, H, W); other pixels do not count.

    Returns:
        Scalar.
    """
    target = (target & valid).flatten(1).float()
    prediction = (logits.float().sigmoid() * valid).flatten(1)
    has_ink = target.sum(1) > 0
    both = (prediction * target).sum(1)
    dice = 1 - 2 * both / (prediction.sum(1) + target.sum(1)).clamp(min=1e-6)
    return mean_over_processes((dice * has_ink).sum(), has_ink.sum())


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

    def forward(self, logits: Tensor, label: Tensor, ignore: Tensor) -> Tensor:
        """Compare logits with a label.

        Args:
            logits: (B, 1, H, W).
            label: uint8 (B, 1, H, W), 0 to 255.
            ignore: bool (B, 1, H, W), True where nothing is known.

        Returns:
            Scalar.
        """
        target, valid = label >= self.threshold, ~ignore
        loss = bce_loss(logits, target, valid, self.positive_weight)
        if self.dice_weight:
            loss = loss + self.dice_weight * dice_loss(logits, target, valid)
        return self.loss_weight * loss
