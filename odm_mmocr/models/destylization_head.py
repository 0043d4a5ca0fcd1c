"""The destylization head: fuses steered tokens with the backbone's stages and draws the words."""

import math
import warnings

import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmocr.registry import MODELS
from torch import Tensor, nn

from .layers import UpsampledConv2d


@MODELS.register_module()
class DestylizationHead(BaseModule):
    """Top-down fusion, a refining convolution, and one logit for each pixel.

    All stages and the steered tokens are brought to ``channels`` and added from coarse to fine;
    each joins the sum at its own stride. No map is enlarged before a layer that can do without:
    the refining convolution works on the small map (:class:`UpsampledConv2d`), all layers that
    work position by position run before the last upsampling. This changes nothing in the result
    and a lot in the cost.

    Args:
        in_channels: Channels of the backbone's stages, fine to coarse.
        strides: Their strides.
        text_channels: Channels of the steered tokens.
        text_stride: Stride of the steered tokens, one of ``strides``.
        channels: Channels of the fused map.
        hidden_channels: Channels after the refining 3x3 convolution and after the 1x1
            convolution behind it.
        refine_stride: Stride at which the refining convolution works. 2 as in the released
            model, or the first stage's own (4): a quarter of the cost.
        subpixel: Each position of the refined map draws subpixel x subpixel logits. With
            ``subpixel == refine_stride`` every pixel has a logit of its own; whatever is
            missing is upsampled.
        upsample: Mode of that last upsampling, ``'nearest'`` as in the released model or
            ``'bilinear'``.
        ink_prior: Share of ink that the untrained head predicts; sets the last bias. None
            leaves the usual initial value.
        norm_cfg: Normalisation of the convolutions.
        conv_bias: Give the convolutions biases too, as the released model has them. A
            normalisation takes them out again.
        init_cfg: Initialisation, as everywhere in MMEngine.

    Raises:
        ValueError: Strides that do not fit each other.
    """

    def __init__(
        self,
        in_channels: list[int],
        strides: list[int],
        text_channels: int = 512,
        text_stride: int = 16,
        channels: int = 256,
        hidden_channels: tuple[int, int] = (128, 64),
        refine_stride: int = 4,
        subpixel: int = 4,
        upsample: str = 'nearest',
        ink_prior: float | None = 0.05,
        norm_cfg: dict = dict(type='BN'),  # noqa: B006, never changed
        conv_bias: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        if text_stride not in strides:
            raise ValueError(f'text_stride={text_stride} is none of the strides {strides}')
        if refine_stride > strides[0] or strides[0] % refine_stride or refine_stride % subpixel:
            raise ValueError(
                f'refine_stride={refine_stride} must divide the first stride {strides[0]}, '
                f'and subpixel={subpixel} must divide refine_stride'
            )
        self.text_level = list(strides).index(text_stride)
        self.last_scale = refine_stride // subpixel
        self.upsample = upsample

        def conv(inputs: int, outputs: int, size: int, **conv_cfg) -> ConvModule:
            with warnings.catch_warnings():
                warnings.filterwarnings('ignore', 'Unnecessary conv bias')  # wanted for parity
                return ConvModule(
                    inputs,
                    outputs,
                    size,
                    padding=size // 2,
                    conv_cfg=conv_cfg or None,
                    norm_cfg=norm_cfg,
                    bias=conv_bias or 'auto',
                )

        self.laterals = nn.ModuleList(conv(c, channels, 1) for c in in_channels)
        self.text_lateral = conv(text_channels, channels, 1)
        self.smooth = conv(channels, channels, 3)
        scale = strides[0] // refine_stride
        self.refine = conv(channels, hidden_channels[0], 3, type=UpsampledConv2d, scale=scale)
        self.squeeze = conv(hidden_channels[0], hidden_channels[1], 1)
        self.draw = nn.Conv2d(hidden_channels[1], subpixel**2, 1)
        self.shuffle = nn.PixelShuffle(subpixel)
        if ink_prior is not None:
            nn.init.constant_(self.draw.bias, math.log(ink_prior / (1 - ink_prior)))

    def forward(self, stages: list[Tensor], tokens: Tensor, match: Tensor | None = None) -> Tensor:
        """Draw the words.

        Args:
            stages: Maps of the backbone, fine to coarse.
            tokens: Steered tokens as a map, (B, text_channels, h, w).
            match: Log-odds that a prompted word stands in a cell, (B, 1, h, w); added to the
                logits.

        Returns:
            Logits (B, 1, H, W) at the size of the image.
        """
        logits = self.draw_map(self.fuse(stages, tokens))
        if match is not None:
            logits = logits + F.interpolate(match, logits.shape[-2:], mode='bilinear')
        return logits  # (B, 1, H, W)

    def fuse(self, stages: list[Tensor], tokens: Tensor) -> Tensor:
        """Add stages and steered tokens from coarse to fine: (B, channels, H / 4, W / 4)."""
        x = None
        for level in reversed(range(len(stages))):
            lateral = self.laterals[level](stages[level])
            if level == self.text_level:
                lateral = lateral + self.text_lateral(tokens)
            if x is not None:
                lateral = lateral + F.interpolate(x, lateral.shape[-2:], mode='nearest')
            x = lateral
        return self.smooth(x)

    def draw_map(self, x: Tensor) -> Tensor:
        """Turn the fused map into logits, (B, 1, H, W)."""
        x = self.squeeze(self.refine(x))
        logits = self.shuffle(self.draw(x))
        if self.last_scale > 1:
            logits = F.interpolate(logits, scale_factor=self.last_scale, mode=self.upsample)
        return logits
