"""ODM's image encoder: any four-stage backbone and an attention pool on top of it."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmocr.registry import MODELS
from torch import Tensor, nn

from .layers import AttentionPool2d


def probe_stages(backbone: nn.Module, size: int = 128) -> tuple[list[int], list[int]]:
    """Find channels and strides of a backbone's stages by running it once on a black image.

    Args:
        backbone: Maps (1, 3, size, size) to a sequence of maps, from fine to coarse.
        size: Side of the image in pixels.

    Returns:
        Channels and strides, one number for each stage.

    Raises:
        ValueError: The backbone does not give four maps.
    """
    training = backbone.training
    backbone.eval()
    with torch.no_grad():
        stages = backbone(torch.zeros(1, 3, size, size))
    backbone.train(training)
    if not isinstance(stages, (list, tuple)) or len(stages) != 4:
        count = len(stages) if isinstance(stages, (list, tuple)) else 1
        raise ValueError(
            f'{type(backbone).__name__} gives {count} stage(s), ODM needs four: '
            'set out_indices=(0, 1, 2, 3)'
        )
    return [s.shape[1] for s in stages], [size // s.shape[-1] for s in stages]


def check_size(images: Tensor, stride: int) -> None:
    """Refuse images that a backbone cannot take.

    Args:
        images: (B, C, H, W).
        stride: Of the backbone's last stage.

    Raises:
        ValueError: H or W is no multiple of it.
    """
    height, width = images.shape[-2:]
    if height % stride or width % stride:
        raise ValueError(
            f'input of {height}x{width}: both must be multiples of {stride}; '
            f'let the data preprocessor pad (pad_size_divisor={stride})'
        )


@MODELS.register_module()
class ODMImageEncoder(BaseModule):
    """Image to stages, image tokens for the words to look at, and a global feature.

    The backbone is what pre-training is for; all else here is thrown away afterwards. The pool
    works on the last stage. Where ``text_stride`` is finer than that, its tokens are upsampled
    and the finer stages are added through 1x1 convolutions, so that small words have cells of
    their own: at 512x512 most words of ICDAR 2015 share a stride-32 cell with another word.

    Args:
        backbone: Config of a registered backbone with four stages.
        embed_dims: Channels of image tokens and of the global feature.
        text_stride: Stride of the image tokens, one of the backbone's strides. The released
            model has 32.
        pool_heads: Attention heads of the pool; None: one for each 64 channels, or
            the next number below that divides the channels.
        grid: (rows, columns) of the last stage at the usual input size, where the pool's
            positions are kept.
        init_cfg: Initialisation, as everywhere in MMEngine.

    Raises:
        ValueError: The backbone has no stage of ``text_stride``, or not four stages, or
            ``pool_heads`` does not divide the channels of the last one.
    """

    def __init__(
        self,
        backbone: dict,
        embed_dims: int = 512,
        text_stride: int = 16,
        pool_heads: int | None = None,
        grid: tuple[int, int] = (16, 16),
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.backbone = MODELS.build(backbone)
        self.channels, self.strides = probe_stages(self.backbone)
        if text_stride not in self.strides:
            raise ValueError(f'text_stride={text_stride}: the backbone has strides {self.strides}')
        self.embed_dims = embed_dims
        self.text_stride = text_stride
        channels = self.channels[-1]
        if pool_heads is None:
            pool_heads = usual_heads(channels)
        if pool_heads < 1 or channels % pool_heads:
            raise ValueError(
                f'pool_heads={pool_heads} does not divide the {channels} channels of the last stage'
            )
        self.pool = AttentionPool2d(channels, embed_dims, pool_heads, grid)
        levels = range(self.strides.index(text_stride), len(self.strides))
        self.laterals = nn.ModuleDict(
            {str(level): nn.Conv2d(self.channels[level], embed_dims, 1) for level in levels}
            if len(levels) > 1
            else {}
        )

    def forward(self, images: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Encode images.

        Args:
            images: (B, 3, H, W), normalised; H and W multiples of the last stride.

        Returns:
            The four stages, image tokens as a map (B, embed_dims, H / s, W / s) at the text
            stride s, and the global feature (B, embed_dims).
        """
        stages = list(self.backbone(images))
        image_feature, tokens = self.pool(stages[-1])
        for level, lateral in reversed(self.laterals.items()):
            stage = lateral(stages[int(level)])
            tokens = F.interpolate(tokens, stage.shape[-2:], mode='nearest') + stage
        return stages, tokens, image_feature


def usual_heads(channels: int) -> int:
    """The largest number of attention heads of 64 channels or more that divides the channels."""
    return next(heads for heads in range(max(1, channels // 64), 0, -1) if channels % heads == 0)
