import pytest
import torch
from torch import nn

from odm_mmocr.models.layers import AttentionPool2d


def test_equals_attention_over_mean_and_cells():
    torch.manual_seed(0)
    pool = AttentionPool2d(32, 8, num_heads=4, grid=(3, 5)).double().eval()
    x = torch.randn(2, 32, 3, 5, dtype=torch.double)
    feature, tokens = pool(x)

    cells = x.flatten(2).permute(0, 2, 1)
    sequence = torch.cat([cells.mean(1, keepdim=True), cells], 1)
    sequence = sequence + torch.cat([pool.global_position, pool.positions.weight])
    reference = nn.MultiheadAttention(32, 4, batch_first=True).double()
    reference.in_proj_weight.data = torch.cat(
        [pool.query.weight, pool.key.weight, pool.value.weight]
    )
    reference.in_proj_bias.data = torch.cat([pool.query.bias, pool.key.bias, pool.value.bias])
    reference.out_proj.weight.data = torch.eye(32, dtype=torch.double)
    expected = pool.projection(reference(sequence, sequence, sequence)[0])
    torch.testing.assert_close(feature, expected[:, 0])
    torch.testing.assert_close(tokens.flatten(2).transpose(1, 2), expected[:, 1:])


def test_takes_any_size():
    pool = AttentionPool2d(16, 8, num_heads=2, grid=(4, 4))
    feature, tokens = pool(torch.randn(1, 16, 2, 9))
    assert feature.shape == (1, 8)
    assert tokens.shape == (1, 8, 2, 9)


def test_heads_must_divide_channels():
    with pytest.raises(ValueError, match='3 heads do not divide 16'):
        AttentionPool2d(16, 8, num_heads=3)
