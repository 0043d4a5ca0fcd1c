import pytest
import torch
import torch.nn.functional as F

from odm_mmocr.models.layers import UpsampledConv2d


@pytest.mark.parametrize(('kernel', 'scale'), [(3, 1), (3, 2), (3, 4), (5, 2), (1, 3)])
def test_equals_enlarging_and_convolving(kernel, scale):
    torch.manual_seed(0)
    layer = UpsampledConv2d(3, 4, kernel, scale=scale).double()
    x = torch.randn(2, 3, 5, 7, dtype=torch.double)
    enlarged = x.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    expected = F.conv2d(enlarged, layer.weight, layer.bias, padding=kernel // 2)
    torch.testing.assert_close(layer(x), expected)


def test_parameters_are_those_of_a_plain_convolution():
    layer, plain = UpsampledConv2d(3, 4, 3, scale=2, bias=False), torch.nn.Conv2d(3, 4, 3)
    assert set(layer.state_dict()) == {'weight'}
    plain.load_state_dict({**plain.state_dict(), **layer.state_dict()})


@pytest.mark.parametrize(
    'wrong', [dict(kernel_size=4), dict(scale=0), dict(stride=2), dict(groups=3)]
)
def test_needs_a_kernel_that_keeps_the_size(wrong):
    with pytest.raises(ValueError, match='keeps the size'):
        UpsampledConv2d(3, 3, **{'kernel_size': 3, 'scale': 2, **wrong})
