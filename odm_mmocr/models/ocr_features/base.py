"""What every feature network of OCR-LPIPS has in common: it is there, but never trained."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

# The shift and scale of LPIPS (arXiv 1801.03924) come to the same, after its step to [-1, 1].
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class NormalizedNetwork(nn.Module):
    """A network behind the normalisation that it was trained with.

    Args:
        network: Takes normalised images (B, 3, H, W).
        mean: Mean of each channel on the scale 0 to 1, in the order of the network's input.
        std: Standard deviation of each channel, likewise.
    """

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.network = network
        for name, values in (('mean', mean), ('std', std)):
            value = next(network.parameters()).new_tensor(values).view(-1, 1, 1)
            self.register_buffer(name, value)

    def forward(self, pictures: Tensor) -> Sequence[Tensor]:
        """Normalise pictures, then run the network."""
        return self.network((pictures - self.mean) / self.std)


class FrozenFeatures(nn.Module):
    """A network that follows the model to its device and is otherwise invisible.

    It has no entry in the state dict, no parameter for an optimizer or a data-parallel wrapper
    to find, and stays in evaluation mode. Gradients pass through it to the picture. Copies, such
    as an averaged model, share its weights until one of them is moved.

    Args:
        network: Maps normalised images (B, 3, H, W) to a sequence of feature maps.
        mean: What the network wants subtracted from each channel, on the scale 0 to 1.
        std: What it then wants each channel divided by.
    """

    def __init__(
        self,
        network: nn.Module,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ):
        super().__init__()
        network = NormalizedNetwork(network, mean, std)
        # CPUs and most GPUs convolve faster in this layout; the maps take it over.
        network.to(memory_format=torch.channels_last)
        # Past nn.Module's bookkeeping, which would make it a part of the model.
        self.__dict__['network'] = network.eval().requires_grad_(False)
        self._shared = False

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Extract features.

        Args:
            pictures: Grey (B, 1, H, W) or with three channels (B, 3, H, W), 0 to 1.

        Returns:
            Feature maps (B, C_i, H_i, W_i), fine to coarse.
        """
        return list(self.network(pictures))

    def _apply(self, fn, recurse=True):
        if self._shared:
            self.__dict__['network'] = copy.deepcopy(self.network)
            self._shared = False
        self.network._apply(fn)
        return super()._apply(fn, recurse)

    def __deepcopy__(self, memo):
        self._shared = True
        clone = memo[id(self)] = type(self).__new__(type(self))
        memo[id(self.network)] = self.network
        clone.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return clone
