import pytest
import torch
import torch.nn.functional as F

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


@pytest.mark.parametrize('size', [(3, 4), (5, 11), (12, 16), (24, 7), (1, 1), (7, 9)])
@pytest.mark.parametrize('grid', [(6, 8), (16, 16), (1, 3)])
def test_values_and_gradients_of_pytorch(grid, size):
    ours = torch.randn(grid[0] * grid[1], 5, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    drawn = resample_positions(ours, grid, size)
    image = theirs.T.reshape(1, -1, *grid)
    wanted = F.interpolate(image, size, mode='bicubic', antialias=True).flatten(2)[0].T
    torch.testing.assert_close(drawn, wanted, rtol=1e-4, atol=1e-5)
    weights = torch.randn_like(wanted)
    (drawn * weights).sum().backward()
    (wanted * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5)


def test_autocast_rounds_nothing():
    positions = torch.randn(16, 5)
    wanted = resample_positions(positions, (4, 4), (7, 5))
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(resample_positions(positions, (4, 4), (7, 5)), wanted)


def test_gradient_reaches_the_kept_positions():
    positions = LearnedPositions2d((4, 4), 3)
    positions((5, 7)).sum().backward()
    assert positions.weight.grad.abs().min() > 0
