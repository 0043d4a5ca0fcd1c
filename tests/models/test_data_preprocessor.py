import pytest
import torch
from mmengine.model import ImgDataPreprocessor
from mmengine.structures import PixelData

from odm_mmocr.models import ODMDataPreprocessor
from odm_mmocr.models.data_preprocessor import pad_label


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


def test_every_map_of_a_label_is_padded_and_the_padding_is_ignored():
    shape = (1, 5, 7)
    label = PixelData(
        label=torch.full(shape, 9, dtype=torch.uint8),
        ignore=torch.zeros(shape, dtype=torch.bool),
        weight=torch.full(shape, 80, dtype=torch.uint8),
    )
    padded = pad_label(label, 6, 9)
    assert padded.shape == (6, 9)
    for name, value in label.items():
        assert padded.get(name).dtype == value.dtype
        assert torch.equal(padded.get(name)[:, :5, :7], value)
    inside = torch.zeros(1, 6, 9, dtype=torch.bool)
    inside[:, :5, :7] = True
    assert torch.equal(padded.ignore, ~inside)
