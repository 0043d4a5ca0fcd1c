"""Learned positions of a grid, and how they follow the grid to another size."""

import torch
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
    # As F.interpolate(mode='bicubic', antialias=True), whose gradient CUDA adds up in any order.
    rows, columns = (
        bicubic_weights(side, target, positions.device) for side, target in zip(grid, size)
    )
    image = positions.float().view(*grid, -1)  # (h, w, C)
    # Autocast would round the positions to three digits.
    with torch.autocast(positions.device.type, enabled=False):
        image = columns @ image  # (h, w', C)
        image = rows @ image.flatten(1)  # (h', w' * C)
    return image.view(size[0] * size[1], -1).to(positions.dtype)


def bicubic_weights(side: int, target: int, device: torch.device) -> Tensor:
    """Weights by which ``side`` values in a row become ``target`` values, antialiased down.

    Args:
        side: How many there are.
        target: How many are wanted.
        device: Where the weights are wanted; they are made there, so that nothing waits.

    Returns:
        float32 (target, side); each row adds up to 1.
    """
    # In this unit, of which a row has 2 * side * target, all centres are whole numbers.
    wanted = side * (2 * torch.arange(target, device=device) + 1)
    given = target * (2 * torch.arange(side, device=device) + 1)
    # Distance in cells, of the larger kind.
    x = (given - wanted[:, None]).abs() / (2 * max(side, target))
    # Cubic convolution (Keys 1981) with a = -1/2; PyTorch has another a without antialias.
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((2.5 - 0.5 * x) * x - 4) * x + 2
    weights = torch.where(x < 1, near, torch.where(x < 2, far, 0))
    return weights / weights.sum(1, keepdim=True)


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
