"""At the place of a word, which word of the batch stands there?"""

import torch.nn.functional as F
from mmocr.registry import MODELS
from torch import Tensor, nn

from .processes import mean_over_processes


@MODELS.register_module()
class WordContrastiveLoss(nn.Module):
    """Cross-entropy of the right word among all words that the batch is prompted with.

    L_bc tells whole images and whole prompts apart; this tells apart words and their places. It
    is no part of ODM's paper. Where a run has minutes rather than days, it makes the model listen
    to its prompt much sooner.

    Args:
        loss_weight: Factor.
    """

    def __init__(self, loss_weight: float = 1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        """Compare scores with the truth.

        Args:
            scores: (B, N, M), how well each of N places in the B images of this process fits each
                of M words, those of all processes.
            target: int64 (B, N), the word that stands there, -1 for none.

        Returns:
            Scalar, averaged over the places of all processes; zero without one.
        """
        losses = F.cross_entropy(
            scores.flatten(0, 1).float(), target.flatten(), reduction='sum', ignore_index=-1
        )
        return self.loss_weight * mean_over_processes(losses, (target >= 0).sum())
