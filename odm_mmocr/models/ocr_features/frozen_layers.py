"""Layers of a frozen network that keep next to nothing for the gradient of their input.

PyTorch keeps the input of a convolution for the gradient of its weights, which nobody asks for
here, and 64-bit positions for max pooling. These keep one byte a value after a ReLU and one after
pooling.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

# In place of the number of a pixel in its 2x2 window: the ReLU lets no gradient pass.
BLOCKED = 4


class FrozenConv2d(nn.Module):
    """Convolution of stride 1 with fixed weights, with or without a ReLU.

    Args:
        weight: (C_out, C_in, K, K).
        bias: (C_out,).
        padding: Zeros at each side.
        dilation: Distance of the kernel's taps.
        relu: Whether a ReLU follows.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        padding: int = 0,
        dilation: int = 1,
        relu: bool = True,
    ):
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.padding = padding
        self.dilation = dilation
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C_in, H, W)."""
        return _Convolve.apply(x, self.weight, self.bias, self.padding, self.dilation, self.relu)


class HalvingMaxPool2d(nn.Module):
    """The maximum of each 2x2 window, with or without a ReLU; an odd row or column is left out.

    A ReLU after pooling gives the values and gradients of one before it, for a quarter of the
    work.

    Args:
        relu: Whether a ReLU follows.
    """

    def __init__(self, relu: bool = True):
        super().__init__()
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """Pool (B, C, H, W) to (B, C, H // 2, W // 2)."""
        return _Halve.apply(x, self.relu)


class _Convolve(Function):
    @staticmethod
    def forward(ctx, x, weight, bias, padding, dilation, relu):
        y = F.conv2d(x, weight, bias, padding=padding, dilation=dilation)
        if relu:
            y = _relu(y)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(weight, *([y.bool()] if relu else []))
            ctx.settings = x.shape, padding, dilation
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        weight, *passed = ctx.saved_tensors
        shape, padding, dilation = ctx.settings
        if passed:
            grad = grad * passed[0]
        # Under autocast the maps, and so their gradients, are of another type than the weights.
        grad = torch.nn.grad.conv2d_input(
            shape, weight.to(grad.dtype), grad, padding=padding, dilation=dilation
        )
        return grad, None, None, None, None, None


class _Halve(Function):
    @staticmethod
    def forward(ctx, x, relu):
        y = F.max_pool2d(x, 2)
        if ctx.needs_input_grad[0]:
            # As everywhere, the first of equal pixels gets the gradient.
            first, second, third, _ = _pixels(x)
            later = first != y
            winner = later.byte()
            for pixel in (second, third):
                later &= pixel != y
                winner += later
            if relu:
                winner.masked_fill_(y <= 0, BLOCKED)
            ctx.save_for_backward(winner)
            ctx.shape = x.shape
        return _relu(y) if relu else y

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (winner,) = ctx.saved_tensors
        spread = torch.empty(
            ctx.shape, dtype=grad.dtype, device=grad.device, memory_format=torch.channels_last
        ).zero_()
        for number, pixel in enumerate(_pixels(spread)):
            pixel.copy_(grad * (winner == number))
        return spread, None


def _relu(y: Tensor) -> Tensor:
    # In place, torch.compile would give no gradient at all (seen with PyTorch 2.11).
    return y.relu() if torch.compiler.is_compiling() else y.relu_()


def _pixels(x: Tensor) -> list[Tensor]:
    """Take (B, C, H, W) apart into the four pixels of each 2x2 window, row by row."""
    height, width = x.shape[-2] // 2 * 2, x.shape[-1] // 2 * 2
    return [x[:, :, row:height:2, column:width:2] for row in (0, 1) for column in (0, 1)]
