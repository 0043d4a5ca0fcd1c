"""Attention pooling of a feature map, as in CLIP's ResNets but with all tokens kept."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .positions import LearnedPositions2d


class AttentionPool2d(nn.Module):
    """Self-attention over [mean of the map; the map cell by cell], then a projection.

    The first token becomes the global image feature, the others stay image tokens: every token
    has seen the whole image. From `CLIP <https://arxiv.org/abs/2103.00020>`_, which keeps the
    first token only; oCLIP and ODM go on with all.

    Args:
        in_channels: Channels of the map.
        out_channels: Channels of the tokens.
        num_heads: Attention heads; must divide ``in_channels``.
        grid: (rows, columns) at which the learned positions are kept. Other sizes are resampled.

    Raises:
        ValueError: ``num_heads`` does not divide ``in_channels``.
    """

    def __init__(self, in_channels: int, out_channels: int, num_heads: int, grid=(16, 16)):
        super().__init__()
        if in_channels % num_heads:
            raise ValueError(f'{num_heads} heads do not divide {in_channels} channels')
        self.num_heads = num_heads
        std = in_channels**-0.5
        self.global_position = nn.Parameter(std * torch.randn(1, in_channels))
        self.positions = LearnedPositions2d(grid, in_channels, std)
        self.query = nn.Linear(in_channels, in_channels)
        self.key = nn.Linear(in_channels, in_channels)
        self.value = nn.Linear(in_channels, in_channels)
        self.projection = nn.Linear(in_channels, out_channels)
        for layer in (self.query, self.key, self.value, self.projection):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pool a map.

        Args:
            x: (B, C, H, W).

        Returns:
            Global feature (B, out_channels) and tokens as a map (B, out_channels, H, W).
        """
        size = x.shape[-2:]
        cells = x.flatten(2).transpose(1, 2)  # (B, H * W, C)
        tokens = torch.cat([cells.mean(1, keepdim=True), cells], 1)  # (B, 1 + H * W, C)
        tokens = tokens + torch.cat([self.global_position, self.positions(size)])
        query, key, value = (
            layer(tokens).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )  # each (B, heads, 1 + H * W, C / heads)
        tokens = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        tokens = self.projection(tokens)  # (B, 1 + H * W, out_channels)
        return tokens[:, 0], tokens[:, 1:].transpose(1, 2).unflatten(2, size)
