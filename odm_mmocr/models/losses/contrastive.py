"""L_bc: in a batch, which image belongs to which words?"""

import math

import torch
import torch.nn.functional as F
from mmengine.dist import get_world_size
from mmocr.registry import MODELS
from torch import Tensor, nn

from .processes import gather_rows

MAX_LOG_SCALE = math.log(100)


def start_log_scale(trained: bool = True) -> nn.Parameter:
    """Logarithm of CLIP's first factor of the similarities, 1 / 0.07."""
    return nn.Parameter(torch.tensor(math.log(1 / 0.07)), requires_grad=trained)


def bounded_scale(log_scale: nn.Parameter) -> Tensor:
    """Factor of the similarities, at most 100.

    As CLIP does, it is the parameter that is held back: one that was merely cut off on the way to
    the loss would have no gradient above the bound, and stay there.

    Args:
        log_scale: Its logarithm, a scalar; changed where it is above the bound.

    Returns:
        Scalar with a gradient.
    """
    with torch.no_grad():
        log_scale.clamp_(max=MAX_LOG_SCALE)
    return log_scale.exp()


def contrastive_loss(images: Tensor, texts: Tensor, valid: Tensor, scale: Tensor) -> Tensor:
    """Symmetric cross-entropy over the cosine similarities of all valid pairs.

    From `CLIP <https://arxiv.org/abs/2103.00020>`_, figure 3.

    Args:
        images: (B, C), any length.
        texts: (B, C); row i belongs to image i.
        valid: bool (B,); pairs without words are no candidates and have no loss.
        scale: Scalar, factor of the similarities.

    Returns:
        Scalar, averaged over both directions and the valid pairs; zero without one.
    """
    images = F.normalize(images.float(), dim=-1)
    texts = F.normalize(texts.float(), dim=-1)
    with torch.autocast(images.device.type, enabled=False):  # bfloat16 has 3 digits for up to 100
        logits = scale.float() * images @ texts.T  # (B, B)
    target = torch.arange(len(logits), device=logits.device)
    # An invalid candidate gets no probability, but a row must keep one finite entry.
    forbidden = ~valid & ~torch.eye(len(valid), dtype=torch.bool, device=valid.device)
    loss = 0
    for direction in (logits, logits.T):
        losses = F.cross_entropy(
            direction.masked_fill(forbidden, -torch.inf), target, reduction='none'
        )
        loss = loss + (losses * valid).sum() / (2 * valid.sum().clamp(min=1))
    return loss


@MODELS.register_module()
class BatchContrastiveLoss(nn.Module):
    """Batch-level image-text contrastive loss over the images of all processes.

    Args:
        loss_weight: Factor.
    """

    def __init__(self, loss_weight: float = 0.5):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, images: Tensor, texts: Tensor, valid: Tensor, scale: Tensor) -> Tensor:
        """Compare the features of the batches of all processes, see :func:`contrastive_loss`.

        Batches may be of different sizes, and a process may have no valid pair.
        """
        if get_world_size() > 1:
            pairs = torch.cat([images.float(), texts.float(), valid.unsqueeze(1).float()], 1)
            images, texts, valid = gather_rows(pairs).split(
                [images.shape[1], texts.shape[1], 1], dim=1
            )
            valid = valid.squeeze(1) > 0
        return self.loss_weight * contrastive_loss(images, texts, valid, scale)
