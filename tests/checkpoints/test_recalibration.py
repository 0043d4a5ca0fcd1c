import itertools

import pytest
import torch
from mmengine.config import Config
from mmocr.registry import MODELS
from torch import nn

from odm_mmocr.checkpoints import extract_backbone, recalibrate_backbone, recalibrate_batch_norm


class Backbone(nn.Module):
    """A normalisation that sees the input itself, and keeps BatchNorm fixed like norm_eval."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3, momentum=0.1)
        self.dropout = nn.Dropout(1.0)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images):
        return self.dropout(self.norm(images))

    def train(self, mode=True):
        super().train(mode)
        self.norm.eval()
        return self


def batches(count):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(4, 3, 8, 8, generator=generator) * (i + 1) + i for i in range(count)]


def test_statistics_are_the_mean_over_batches():
    backbone, data = Backbone().train(), batches(5)
    backbone.norm.running_mean.fill_(100)
    assert recalibrate_batch_norm(backbone, itertools.cycle(data), 5) == 5
    mean = torch.stack([batch.mean((0, 2, 3)) for batch in data]).mean(0)
    variance = torch.stack([batch.var((0, 2, 3)) for batch in data]).mean(0)
    torch.testing.assert_close(backbone.norm.running_mean, mean)
    torch.testing.assert_close(backbone.norm.running_var, variance, rtol=1e-3, atol=1e-3)
    assert backbone.norm.momentum == 0.1
    assert not backbone.training
    assert not backbone.norm.training


def test_fewer_batches_than_asked_for_are_used_and_none_is_an_error():
    assert recalibrate_batch_norm(Backbone(), batches(2), 5) == 2
    with pytest.raises(ValueError, match='the data loader is empty'):
        recalibrate_batch_norm(Backbone(), [], 5)
    with pytest.raises(ValueError, match='num_batches=0'):
        recalibrate_batch_norm(Backbone(), batches(1), 0)
    with pytest.raises(ValueError, match='Conv2d has no BatchNorm'):
        recalibrate_batch_norm(nn.Conv2d(3, 3, 1), batches(1), 1)


def test_model_is_reduced_to_its_backbone_and_prepares_its_batches():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.image_encoder = nn.Module()
            self.image_encoder.backbone = Backbone()
            self.head = nn.BatchNorm2d(3)

        def data_preprocessor(self, batch, training):
            assert not training
            return dict(inputs=batch['inputs'] / 2)

    model = Model()
    assert recalibrate_batch_norm(model, [dict(inputs=torch.full((1, 3, 4, 4), 6.0))], 1) == 1
    assert model.image_encoder.backbone.norm.running_mean.tolist() == [3, 3, 3]
    assert model.head.running_mean.tolist() == [0, 0, 0]


class Grey(torch.utils.data.Dataset):
    """Images of one grey level."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return dict(inputs=torch.full((3, 64, 64), 100, dtype=torch.uint8))


def test_extracted_backbone_is_recalibrated_on_the_data_of_a_config(training_checkpoint):
    backbone = extract_backbone(
        training_checkpoint(dict(type='mmdet.ResNet', depth=18, norm_eval=True))
    )
    cfg = Config(
        dict(
            model=dict(
                data_preprocessor=dict(
                    type='ODMDataPreprocessor', mean=(0, 0, 0), std=(1, 1, 1), bgr_to_rgb=False
                )
            ),
            train_dataloader=dict(
                batch_size=2,
                num_workers=0,
                dataset=Grey(),
                sampler=dict(type='DefaultSampler', shuffle=False),
                collate_fn=dict(type='pseudo_collate'),
            ),
        )
    )
    done = recalibrate_backbone(backbone, cfg, 2)
    assert done['meta'] == dict(backbone['meta'], recalibrated_batches=2)
    assert done['state_dict'].keys() == backbone['state_dict'].keys()
    network = MODELS.build(dict(backbone['meta']['architecture']))
    network.load_state_dict(done['state_dict'])
    images = torch.full((2, 3, 64, 64), 100.0)
    expected = network.conv1(images).mean((0, 2, 3))
    torch.testing.assert_close(
        done['state_dict']['bn1.running_mean'], expected, rtol=1e-3, atol=1e-3
    )
    with pytest.raises(ValueError, match='no train_dataloader'):
        recalibrate_backbone(backbone, Config(dict(model={})), 2)
