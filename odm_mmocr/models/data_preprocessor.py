"""From samples of any size to one normalised, padded batch."""

import torch
import torch.nn.functional as F
from mmengine.model import ImgDataPreprocessor
from mmengine.structures import PixelData
from mmocr.registry import MODELS

from odm_mmocr.datasets.collate import CopyTogether, PackedBatch
from odm_mmocr.structures import map_tensors


@MODELS.register_module()
class ODMDataPreprocessor(ImgDataPreprocessor):
    """Normalise and stack images, and pad labels along with them.

    Images are padded at right and bottom to the largest of the batch, rounded up to a multiple
    of ``pad_size_divisor``. The padding of a label is ignored by the losses. The annotation,
    ``gt_instances``, stays on the host: what reads it there must not wait for a GPU.

    Args:
        mean: Mean of each channel, 0 to 255, in RGB order when ``bgr_to_rgb``.
        std: Standard deviation of each channel, likewise.
        bgr_to_rgb: Turn the images' channels round.
        pad_size_divisor: Multiple of pixels; the last stride of the backbone.
        channels_last: Keep the batch in channels-last memory, which most CPUs and GPUs convolve
            faster.
    """

    def __init__(
        self,
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        bgr_to_rgb: bool = True,
        pad_size_divisor: int = 32,
        channels_last: bool = True,
    ):
        super().__init__(mean, std, pad_size_divisor=pad_size_divisor)
        # Channels are turned in the whole batch: MMEngine's way waits for the GPU at each image.
        self.bgr_to_rgb = bgr_to_rgb
        if bgr_to_rgb and mean is not None:
            self.mean, self.std = self.mean.flip(0), self.std.flip(0)
        self.channels_last = channels_last

    def cast_data(self, data: dict) -> dict:
        """Copy a batch to the device of the model, with one copy for each memory of a packed one.

        Args:
            data: A batch of any collate function.

        Returns:
            Another one, of other samples.
        """

        def copy(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.to(self.device, non_blocking=True)  # from pinned memory beside the rest

        packed = isinstance(data, PackedBatch)
        return map_tensors(data, CopyTogether(copy) if packed else copy, leave=['gt_instances'])

    def forward(self, data: dict, training: bool = False) -> dict:
        """Make a batch.

        Args:
            data: ``inputs``, a list of uint8 (3, H, W) tensors, and ``data_samples``, a list of
                :class:`ODMDataSample` or None.
            training: Not used.

        Returns:
            ``inputs`` (B, 3, H', W') float32 and the ``data_samples`` with padded labels, all
            but ``gt_instances`` on the device of the model.
        """
        data = super().forward(data, training)
        images = data['inputs']
        if self.bgr_to_rgb:
            images = data['inputs'] = images.flip(1)
        if self.channels_last:
            data['inputs'] = images.contiguous(memory_format=torch.channels_last)
        for sample in data.get('data_samples') or []:
            sample.set_metainfo(dict(batch_input_shape=tuple(images.shape[-2:])))
            if 'gt_destylized' in sample:
                sample.gt_destylized = pad_label(sample.gt_destylized, *images.shape[-2:])
        return data


def pad_label(label: PixelData, height: int, width: int) -> PixelData:
    """Pad all maps of a label at right and bottom; the padding is marked as ignored."""
    padding = (0, width - label.shape[1], 0, height - label.shape[0])
    if not any(padding):
        return label
    return PixelData(
        **{
            name: F.pad(value, padding, value=1 if name == 'ignore' else 0)
            for name, value in label.items()
        }
    )
