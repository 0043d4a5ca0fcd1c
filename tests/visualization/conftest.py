import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, LabelData, PixelData

from odm_mmocr.structures import ODMDataSample


@pytest.fixture
def predicted():
    """A grey image of 40x60 and its sample, whose label is padded to 64x64.

    Left of column 20 is the prompted word, in the next 20 columns the dropped one; the upper half
    of all is drawn. The last five rows are ignored.
    """
    label, dropped = torch.zeros(2, 1, 64, 64, dtype=torch.uint8)
    label[:, :40, :20] = 255
    dropped[:, :40, 20:40] = 255
    ignore = torch.zeros(1, 64, 64, dtype=torch.bool)
    ignore[:, 35:] = True
    ignore[..., 60:] = True
    probability = torch.zeros(1, 40, 60)
    probability[:, :20] = 0.75
    sample = ODMDataSample(metainfo=dict(batch_input_shape=(64, 64), img_shape=(40, 60)))
    sample.prompt = LabelData(
        texts=['noise', 'in'],
        mask=torch.tensor([True, True, False]),
        shown=torch.tensor([False, True, False]),
    )
    sample.gt_instances = InstanceData(
        texts=['in', 'out'],
        ignored=torch.tensor([False, False]),
        prompted=torch.tensor([True, False]),
    )
    sample.gt_destylized = PixelData(label=label, dropped=dropped, ignore=ignore)
    sample.pred_destylized = PixelData(probability=probability)
    attention = torch.zeros(2, 4, 4)
    attention[1, 0, 0] = 1
    sample.pred_attention = PixelData(attention=attention, located=torch.zeros(2, 4, 4))
    return np.full((40, 60, 3), 90, np.uint8), sample
