import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from odm_mmocr.models.ocr_features.frozen_layers import FrozenConv2d, HalvingMaxPool2d


def convolution(relu=True, dilation=1):
    torch.manual_seed(0)
    return FrozenConv2d(
        torch.randn(5, 4, 3, 3), torch.randn(5), padding=dilation, dilation=dilation, relu=relu
    )


def picture(*shape, **settings):
    torch.manual_seed(1)
    return torch.randn(*shape, requires_grad=True, **settings)


def value_and_gradient(function, x):
    y = function(x)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(2))
    return y, *torch.autograd.grad((y * weights).sum(), x)


def kept_bytes(function, x):
    """Size of what is kept for the backward pass, parameters aside."""
    kept = []

    def pack(tensor):
        if not isinstance(tensor, torch.nn.Parameter):
            kept.append(tensor.numel() * tensor.element_size())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        function(x)
    return sum(kept)


@pytest.mark.parametrize('relu', [True, False])
@pytest.mark.parametrize('dilation', [1, 2])
def test_convolution_is_that_of_torch(relu, dilation):
    layer, x = convolution(relu, dilation), picture(2, 4, 9, 12)

    def plain(x):
        y = F.conv2d(x, layer.weight, layer.bias, padding=dilation, dilation=dilation)
        return y.relu() if relu else y

    for ours, theirs in zip(value_and_gradient(layer, x), value_and_gradient(plain, x)):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_gradient_of_convolution_in_double_precision():
    assert gradcheck(convolution().double(), picture(1, 4, 5, 6, dtype=torch.double))


@pytest.mark.parametrize('relu', [True, False])
@pytest.mark.parametrize('size', [(8, 10), (9, 11), (2, 3)])
def test_pooling_is_that_of_torch(relu, size):
    x = picture(2, 4, *size)

    def plain(x):
        return F.max_pool2d(x.relu() if relu else x, 2)

    pairs = zip(value_and_gradient(HalvingMaxPool2d(relu), x), value_and_gradient(plain, x))
    for ours, theirs in pairs:
        assert torch.equal(ours, theirs)


def test_of_equal_pixels_one_gets_the_gradient():
    # Blank paper: without a rule for ties, every pixel of a window would get all of it.
    x = torch.ones(1, 3, 6, 6, requires_grad=True)
    for ours, theirs in zip(
        value_and_gradient(HalvingMaxPool2d(), x),
        value_and_gradient(lambda x: F.max_pool2d(x, 2), x),
    ):
        assert torch.equal(ours, theirs)


def test_one_byte_is_kept_where_torch_keeps_more():
    x = picture(1, 4, 16, 16)
    assert kept_bytes(convolution(), x) == 5 * 16 * 16
    assert kept_bytes(convolution(relu=False), x) == 0
    assert kept_bytes(HalvingMaxPool2d(), x) == 4 * 8 * 8


def test_nothing_is_kept_without_a_gradient():
    x = picture(1, 4, 16, 16)
    with torch.no_grad():
        assert kept_bytes(convolution(), x) == 0
    assert kept_bytes(convolution(), x.detach()) == 0


def test_the_input_stays_as_it_is():
    x = picture(1, 4, 8, 8)
    before = x.detach().clone()
    convolution()(x)
    HalvingMaxPool2d()(x)
    assert torch.equal(x, before)


def test_bfloat16_autocast():
    layer, x = torch.nn.Sequential(convolution(), HalvingMaxPool2d()), picture(2, 4, 8, 8)
    expected = value_and_gradient(layer, x)
    with torch.autocast('cpu', torch.bfloat16):
        y, gradient = value_and_gradient(layer, x)
    assert y.dtype == torch.bfloat16
    assert gradient.dtype == torch.float32
    torch.testing.assert_close(y.float(), expected[0], rtol=0.05, atol=0.05)
    assert torch.cosine_similarity(gradient.flatten(), expected[1].flatten(), 0) > 0.98


@pytest.mark.parametrize('relu', [True, False])
def test_torch_compile_keeps_the_gradient(relu):
    layer = torch.nn.Sequential(convolution(relu), HalvingMaxPool2d(relu))
    x = picture(2, 4, 8, 8)
    torch._dynamo.reset()
    compiled = torch.compile(layer, backend='aot_eager', fullgraph=True)
    for ours, theirs in zip(value_and_gradient(compiled, x), value_and_gradient(layer, x)):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')
def test_on_a_gpu_as_on_a_cpu():
    layer, x = torch.nn.Sequential(convolution(), HalvingMaxPool2d()), picture(2, 4, 9, 12)
    y, gradient = value_and_gradient(layer, x)
    layer.cuda()
    image = x.detach().cuda().requires_grad_()
    other = layer(image)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(2)).cuda()
    torch.testing.assert_close(other.cpu(), y, rtol=1e-2, atol=1e-2)
    (other_gradient,) = torch.autograd.grad((other * weights).sum(), image)
    assert torch.cosine_similarity(other_gradient.cpu().flatten(), gradient.flatten(), 0) > 0.99
