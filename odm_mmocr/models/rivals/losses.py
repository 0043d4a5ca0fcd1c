"""What the rivals of ODM minimise: which character is it, what colour has a masked pixel?"""

import torch.nn.functional as F
from torch import Tensor

from ..losses import mean_over_processes


def character_loss(logits: Tensor, target: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy over the ids of characters, averaged over those of all processes.

    Args:
        logits: (B, N, ids).
        target: int64 (B, N), the right id; 0, the id of padding and of unknown characters, does
            not count.
        label_smoothing: Share of the target that is spread evenly over all ids.

    Returns:
        Scalar; zero where nothing counts.
    """
    total = F.cross_entropy(
        logits.flatten(0, 1).float(),
        target.flatten(),
        ignore_index=0,
        reduction='sum',
        label_smoothing=label_smoothing,
    )
    return mean_over_processes(total, (target > 0).sum())


def character_accuracy(logits: Tensor, target: Tensor) -> Tensor:
    """Share of the characters that are guessed right, over those of all processes.

    Args:
        logits: (B, N, ids).
        target: int64 (B, N), the right id; 0 does not count.

    Returns:
        Scalar without gradient, 0 to 1; zero where nothing counts.
    """
    right = (logits.detach().argmax(-1) == target) & (target > 0)
    return mean_over_processes(right.sum().float(), (target > 0).sum())


def masked_pixel_loss(predicted: Tensor, images: Tensor, masked: Tensor) -> Tensor:
    """Mean absolute error on masked pixels, averaged over those of all processes.

    Args:
        predicted: (B, C, H, W).
        images: (B, C, H, W), on the same scale.
        masked: bool (B, 1, H, W); other pixels do not count.

    Returns:
        Scalar; zero where nothing is masked.
    """
    error = (predicted.float() - images.float()).abs() * masked
    return mean_over_processes(error.sum(), masked.sum() * images.shape[1])
