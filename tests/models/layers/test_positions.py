import torch

from odm_mmocr.models.layers import LearnedPositions2d, resample_positions


def test_same_size_is_the_same_tensor():
    positions = torch.randn(12, 5)
    assert resample_positions(positions, (3, 4), (3, 4)) is positions


def test_resampling_keeps_rows_and_columns_apart():
    row = torch.arange(4.0).repeat_interleave(6)
    column = torch.arange(6.0).repeat(4)
    resampled = resample_positions(torch.stack([row, column], 1), (4, 6), (8, 3)).view(8, 3, 2)
    assert (resampled[1:, :, 0] > resampled[:-1, :, 0]).all()
    assert (resampled[:, 1:, 1] > resampled[:, :-1, 1]).all()
    assert resampled[..., 0].std(1).max() < 1e-5
    assert resampled[..., 1].std(0).max() < 1e-5


def test_gradient_reaches_the_kept_positions():
    positions = LearnedPositions2d((4, 4), 3)
    positions((5, 7)).sum().backward()
    assert positions.weight.grad.abs().min() > 0
