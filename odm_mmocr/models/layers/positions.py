"""Learned positions of a grid, and how they follow the grid to another size."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def resample_positions(positions: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Interpolate the positions of one grid for a grid of another size.

    Args:
        positions: (h * w, C), row by row.
        grid: (h, w), rows and columns that ``positions`` belongs to.
        size: (h', w'), rows and columns wanted.

    Returns:
        (h' * w', C), the same tensor when the size is the same; bicubic, antialiased down.
    """
    if grid == size:
        return positions
    image = positions.float().T.reshape(1, -1, *grid)  # (1, C, h, w)
    image = F.interpolate(image, size, mode='bicubic', antialias=True, align_corners=False)
    return image.flatten(2)[0].T.to(positions.dtype)  # (h' * w', C)


class LearnedPositions2d(nn.Module):
    """One learned vector for each cell of a grid, resampled for inputs of another size.

    Args:
        grid: (rows, columns) at which the positions are kept.
        channels: Width of a vector.
        std: Standard deviation of the initial values.
    """

    def __init__(self, grid: tuple[int, int], channels: int, std: float = 0.02):
        super().__init__()
        self.grid = tuple(grid)
        self.weight = nn.Parameter(std * torch.randn(grid[0] * grid[1], channels))

    def forward(self, size: tuple[int, int]) -> Tensor:
        """Return (rows * columns, channels) for a grid of ``size`` (rows, columns)."""
        return resample_positions(self.weight, self.grid, tuple(size))
