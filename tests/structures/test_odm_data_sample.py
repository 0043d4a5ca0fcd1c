"""The data sample keeps its parts typed and takes its tensors along to a device."""

import pytest
import torch

pytest.importorskip('mmocr')

from mmengine.structures import InstanceData, LabelData, PixelData

from odm_mmocr.structures import ODMDataSample


@pytest.mark.parametrize(
    ('name', 'wrong'),
    [
        ('gt_destylized', LabelData()),
        ('pred_destylized', InstanceData()),
        ('pred_features', PixelData()),
        ('pred_attention', LabelData()),
        ('prompt', PixelData()),
    ],
)
def test_parts_are_typed(name, wrong):
    with pytest.raises(AssertionError):
        setattr(ODMDataSample(), name, wrong)


def test_tensors_of_all_parts_are_converted():
    sample = ODMDataSample()
    sample.gt_destylized = PixelData(label=torch.zeros(1, 4, 6), ignore=torch.zeros(1, 4, 6))
    sample.prompt = LabelData(texts=['a'], tokens=torch.zeros(2, 3))
    sample = sample.to(torch.float64)
    assert sample.gt_destylized.label.dtype == torch.float64
    assert sample.prompt.tokens.dtype == torch.float64
    assert sample.prompt.texts == ['a']


def test_a_part_can_be_removed():
    sample = ODMDataSample()
    sample.pred_destylized = PixelData(probability=torch.zeros(1, 4, 6))
    assert 'pred_destylized' in sample
    del sample.pred_destylized
    assert 'pred_destylized' not in sample


def test_all_tensors_are_pinned(monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda x: pinned.append(x.shape) or x.clone())
    sample = ODMDataSample(metainfo=dict(img_shape=(4, 6)))
    sample.gt_destylized = PixelData(label=torch.zeros(1, 4, 6), ignore=torch.zeros(1, 4, 6))
    sample.prompt = LabelData(texts=['a'], tokens=torch.zeros(2, 3))
    copy = sample.pin_memory()
    assert sorted(pinned) == [(1, 4, 6), (1, 4, 6), (2, 3)]
    assert copy.prompt.texts == ['a']
    assert copy.img_shape == (4, 6)
    assert type(copy) is ODMDataSample


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')
def test_a_pinned_sample_reaches_the_gpu():
    sample = ODMDataSample()
    sample.prompt = LabelData(tokens=torch.arange(6).view(2, 3))
    pinned = sample.pin_memory()
    assert pinned.prompt.tokens.is_pinned()
    moved = pinned.to('cuda', non_blocking=True)
    assert moved.prompt.tokens.cpu().tolist() == [[0, 1, 2], [3, 4, 5]]
