"""The two transformer blocks of ODM: one reads the letters of a word, one looks for words."""

import torch
from torch import Tensor, nn


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x), the approximation of GELU that CLIP and ODM were trained with."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


def mlp(channels: int, ratio: int = 4) -> nn.Sequential:
    """Linear, QuickGELU, linear; the hidden layer is ``ratio`` times as wide."""
    hidden = ratio * channels
    return nn.Sequential(nn.Linear(channels, hidden), QuickGELU(), nn.Linear(hidden, channels))


class SelfAttentionBlock(nn.Module):
    """Pre-norm transformer block with causal attention.

    Because a position sees only what stands before it, padding on the right never reaches a
    real position and needs no mask.

    Args:
        channels: Width.
        num_heads: Attention heads.
    """

    def __init__(self, channels: int, num_heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attention = nn.MultiheadAttention(channels, num_heads, batch_first=True)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = mlp(channels)

    def forward(self, x: Tensor, causal_mask: Tensor) -> Tensor:
        """Transform (N, L, C) under a boolean (L, L) mask, True where attention is forbidden."""
        y = self.norm1(x)
        y = self.attention(y, y, y, attn_mask=causal_mask, need_weights=False, is_causal=True)[0]
        x = x + y
        return x + self.mlp(self.norm2(x))


class CrossAttentionBlock(nn.Module):
    """Image tokens look at word vectors: q + norm(attention(q, words)), then q + mlp(norm(q)).

    The first normalisation stands after the attention, as in the released ODM.

    Args:
        channels: Width of tokens and word vectors.
        num_heads: Attention heads.
    """

    def __init__(self, channels: int, num_heads: int):
        super().__init__()
        self.attention = nn.MultiheadAttention(channels, num_heads, batch_first=True)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = mlp(channels)

    def forward(
        self, tokens: Tensor, words: Tensor, padding: Tensor | None, need_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Steer image tokens by words.

        Args:
            tokens: (B, N, C).
            words: (B, W, C).
            padding: bool (B, W), True where there is no word; None: every slot is attended to.
            need_weights: Also return where each token looked, which costs time and memory.

        Returns:
            Tokens (B, N, C), and the attention weights (B, N, W), averaged over the heads, or None.
        """
        found, weights = self.attention(
            tokens, words, words, key_padding_mask=padding, need_weights=need_weights
        )
        tokens = tokens + self.norm1(found)
        return tokens + self.mlp(self.norm2(tokens)), weights
