"""OCR-LPIPS: does the drawing look like the label to a network that reads?"""

import torch
from mmocr.registry import MODELS
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from .processes import mean_over_processes

# Vectors shorter than this have no direction.
SHORTEST = 1e-10


def ocr_lpips(features: list[Tensor], targets: list[Tensor]) -> Tensor:
    """Distance of two lists of feature maps, one value for each sample.

    Maps are normalised along the channels, squared differences summed over channels and
    averaged over space, and the layers summed, as in LPIPS (`arXiv 1801.03924
    <https://arxiv.org/abs/1801.03924>`_) without learned weights. Where all channels of a map are
    zero, it has no direction: there it counts as zero and has no gradient.

    Args:
        features: Maps (B, C_i, H_i, W_i) of the predictions, of any float type.
        targets: The same of the labels.

    Returns:
        (B,), at least 0 and at most 4 for each layer, float32 (double for double).
    """
    return sum(
        direction_distance(feature, target)
        for feature, target in zip(features, targets, strict=True)
    )


def direction_distance(feature: Tensor, target: Tensor) -> Tensor:
    """Squared distance of the directions of two maps, averaged over space.

    Args:
        feature: (B, C, H, W); a direction is that of the C values at a position.
        target: Likewise.

    Returns:
        (B,), 0 to 4, float32 (double for double).
    """
    return _DirectionDistance.apply(feature, target)


class _DirectionDistance(Function):
    """Keeps the two maps and three numbers a position; autograd alone keeps five more maps."""

    @staticmethod
    def forward(ctx, feature, target):
        scale, target_scale = inverse_length(feature), inverse_length(target)
        # Not 2 minus twice the cosine, of which nothing is left where directions are close.
        difference = feature * scale
        difference -= target * target_scale
        squares = torch.linalg.vector_norm(difference, dim=1, keepdim=True).square()
        cosine = ((scale > 0).to(squares) + (target_scale > 0) - squares) / 2
        ctx.save_for_backward(feature, target, scale, target_scale, cosine)
        return squares.mean((1, 2, 3))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        feature, target, scale, target_scale, cosine = ctx.saved_tensors
        grad = grad.view(-1, 1, 1, 1) * (2 / cosine[0].numel())
        gradients = [None, None]
        if ctx.needs_input_grad[0]:
            gradients[0] = pull(feature, scale, target, target_scale, cosine, grad)
        if ctx.needs_input_grad[1]:
            gradients[1] = pull(target, target_scale, feature, scale, cosine, grad)
        return tuple(gradients)


def inverse_length(x: Tensor) -> Tensor:
    """One over the length along the channels of (B, C, H, W), 0 where that is 0; (B, 1, H, W)."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True, dtype=dtype)
    return torch.where(length > SHORTEST, 1 / length, 0)


def pull(
    x: Tensor, scale: Tensor, other: Tensor, other_scale: Tensor, cosine: Tensor, grad: Tensor
) -> Tensor:
    """Gradient with respect to ``x`` of half the squared distance of two directions."""
    factor = grad * scale
    gradient = x * (factor * scale * cosine)
    gradient -= other * (factor * other_scale)
    return gradient


@MODELS.register_module()
class OCRLPIPSLoss(nn.Module):
    """Perceptual loss of ODM in the features of a frozen OCR network.

    Args:
        features: Config of the feature network, see :mod:`odm_mmocr.models.ocr_features`.
        loss_weight: Factor.
        scale: Both pictures are shrunk by this factor (0 to 1] before the network sees them:
            half the side is a quarter of the cost.

    Raises:
        ValueError: ``scale`` is out of range.
    """

    def __init__(self, features: dict, loss_weight: float = 1.0, scale: float = 1.0):
        super().__init__()
        if not 0 < scale <= 1:
            raise ValueError(f'scale={scale} must lie in (0, 1]')
        self.features = MODELS.build(features)
        self.loss_weight = loss_weight
        self.scale = scale

    def forward(self, logits: Tensor, label: Tensor, ignore: Tensor) -> Tensor:
        """Compare a drawing with its label.

        Args:
            logits: (B, 1, H, W).
            label: uint8 (B, 1, H, W), 0 to 255.
            ignore: bool (B, 1, H, W); there the drawing is taken to be right.

        Returns:
            Scalar, averaged over the images of all processes.
        """
        target = label.float() / 255
        prediction = torch.where(ignore, target, logits.float().sigmoid())
        prediction, target = shrink(prediction, self.scale), shrink(target, self.scale)
        with torch.no_grad():
            wanted = self.features(target)
        drawn = self.features(prediction)
        distances = ocr_lpips(drawn, wanted)
        count = torch.full((), len(distances), device=distances.device)
        return self.loss_weight * mean_over_processes(distances.sum(), count)


def shrink(pictures: Tensor, scale: float) -> Tensor:
    """Shrink pictures by averaging over areas, also where a pixel becomes no whole number of them.

    Args:
        pictures: (B, C, H, W).
        scale: Factor (0 to 1]; sides are rounded, to at least one pixel.

    Returns:
        (B, C, H', W').
    """
    if scale == 1:
        return pictures
    rows, columns = (
        area_weights(side, max(1, round(side * scale)), pictures) for side in pictures.shape[-2:]
    )
    # Autocast would round the pictures to three digits.
    with torch.autocast(pictures.device.type, enabled=False):
        return rows @ pictures @ columns.T


def area_weights(side: int, target: int, like: Tensor) -> Tensor:
    """Share of each of ``side`` pixels in each of ``target`` larger ones: (target, side)."""
    # F.interpolate(mode='area') counts pixels that are shared by two larger ones fully in both.
    # In this unit, of which the picture has side * target, all edges are whole numbers.
    larger = side * torch.arange(target + 1, device=like.device)
    pixels = target * torch.arange(side + 1, device=like.device)
    end = torch.minimum(larger[1:, None], pixels[1:])
    start = torch.maximum(larger[:-1, None], pixels[:-1])
    return (end - start).clamp(min=0).to(like.dtype) / side
