"""OCR-LPIPS: does the drawing look like the label to a network that reads?"""

import torch
import torch.nn.functional as F
from mmocr.registry import MODELS
from torch import Tensor, nn

# Channel-wise shift and scale of LPIPS (arXiv 1801.03924) for images in [-1, 1]; together with
# the step from [0, 1] to [-1, 1] the same as ImageNet's mean and standard deviation.
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)


def to_feature_input(image: Tensor) -> Tensor:
    """Turn a grey picture (B, 1, H, W) in [0, 1] into the three channels that LPIPS takes."""
    shift = image.new_tensor(SHIFT).view(1, 3, 1, 1)
    scale = image.new_tensor(SCALE).view(1, 3, 1, 1)
    return (2 * image - 1 - shift) / scale


def ocr_lpips(features: list[Tensor], targets: list[Tensor]) -> Tensor:
    """Distance of two lists of feature maps, one value for each sample.

    Maps are normalised along the channels, squared differences summed over channels and
    averaged over space, and the layers summed, as in LPIPS without learned weights.

    Args:
        features: Maps (B, C_i, H_i, W_i) of the predictions.
        targets: The same of the labels.

    Returns:
        (B,), at least 0 and at most 4 for each layer.
    """
    distance = 0
    for feature, target in zip(features, targets, strict=True):
        difference = unit(feature.float()) - unit(target.float())
        distance = distance + difference.square().sum(1).mean((1, 2))
    return distance


def unit(x: Tensor, eps: float = 1e-10) -> Tensor:
    """Divide every position of (B, C, H, W) by its length along the channels."""
    # The small number inside the root keeps the gradient finite where all channels are zero.
    return x / (x.square().sum(1, keepdim=True) + eps**2).sqrt().clamp(min=eps)


@MODELS.register_module()
class OCRLPIPSLoss(nn.Module):
    """Perceptual loss of ODM in the features of a frozen OCR network.

    Args:
        features: Config of the feature network, see :mod:`odm_mmocr.models.ocr_features`.
        loss_weight: Factor.
        scale: Both pictures are shrunk by this factor (0 to 1] before the network sees them:
            half the side is a quarter of the cost.
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
            Scalar, averaged over the batch.
        """
        target = label.float() / 255
        prediction = torch.where(ignore, target, logits.float().sigmoid())
        if self.scale != 1:
            prediction, target = (
                F.interpolate(x, scale_factor=self.scale, mode='area') for x in (prediction, target)
            )
        with torch.no_grad():
            wanted = self.features(to_feature_input(target))
        drawn = self.features(to_feature_input(prediction))
        return self.loss_weight * ocr_lpips(drawn, wanted).mean()
