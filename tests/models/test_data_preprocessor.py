import pytest
import torch
from mmengine.model import ImgDataPreprocessor

from odm_mmocr.models import ODMDataPreprocessor


@pytest.mark.parametrize('bgr_to_rgb', [True, False])
def test_normalises_and_pads_as_mmengine(bgr_to_rgb):
    settings = dict(mean=[1.0, 20.0, 40.0], std=[2.0, 3.0, 5.0], bgr_to_rgb=bgr_to_rgb)
    generator = torch.Generator().manual_seed(0)
    images = [
        torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator)
        for size in ((40, 64), (33, 20))
    ]
    data = dict(inputs=images, data_samples=None)
    wanted = ImgDataPreprocessor(**settings, pad_size_divisor=32)(data)['inputs']
    batch = ODMDataPreprocessor(**settings)(data)['inputs']
    torch.testing.assert_close(batch, wanted)
    assert batch.is_contiguous(memory_format=torch.channels_last)
