"""What every feature network of OCR-LPIPS has in common: it is there, but never trained."""

from torch import Tensor, nn


class FrozenFeatures(nn.Module):
    """A network that follows the model to its device and is otherwise invisible.

    It has no entry in the state dict, no parameter for an optimizer or a data-parallel wrapper
    to find, and stays in evaluation mode. Gradients pass through it to the picture.

    Args:
        network: Maps (B, 3, H, W), normalised with ImageNet's mean and standard deviation, to a
            sequence of feature maps.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        # Past nn.Module's bookkeeping, which would make it a part of the model.
        self.__dict__['network'] = network.eval().requires_grad_(False)

    def _apply(self, fn, recurse=True):
        self.network._apply(fn)
        return super()._apply(fn)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps of (B, 3, H, W), fine to coarse."""
        return list(self.network(images))
