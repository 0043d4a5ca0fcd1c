import pytest
import torch
from mmengine.config import Config
from mmocr.registry import MODELS

from odm_mmocr.models.ocr_features import DetectorFeatures

DETECTOR = 'mmocr::textdet/dbnet/dbnet_resnet18_fpnc_1200e_icdar2015.py'


@pytest.fixture(scope='module')
def backbone():
    torch.manual_seed(0)
    backbone = MODELS.build(dict(type='mmdet.ResNet', depth=18, num_stages=4))
    backbone.eval()
    return backbone


@pytest.fixture(scope='module')
def checkpoint(backbone, tmp_path_factory):
    """What a DBNet with ResNet-18 leaves, but for its head."""
    neck = MODELS.build(
        dict(type='mmocr.FPNC', in_channels=[64, 128, 256, 512], lateral_channels=256)
    )
    parts = dict(backbone=backbone, neck=neck)
    weights = {
        f'{name}.{key}': value
        for name, part in parts.items()
        for key, value in part.state_dict().items()
    }
    path = tmp_path_factory.mktemp('detector') / 'epoch_1.pth'
    torch.save(dict(state_dict=weights, meta={}), path)
    return path


def test_maps_are_those_of_the_detector(backbone, checkpoint):
    features = DetectorFeatures(DETECTOR, checkpoint)
    grey = torch.rand(1, 1, 64, 96)
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    images = (grey * 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    for ours, theirs in zip(features(grey), backbone(images), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_stages_and_neck(checkpoint):
    pictures = torch.rand(1, 1, 64, 64)
    every = DetectorFeatures(DETECTOR, checkpoint)(pictures)
    chosen = DetectorFeatures(DETECTOR, checkpoint, stages=[0, 2])(pictures)
    assert [m.shape[1] for m in chosen] == [64, 256]
    torch.testing.assert_close(chosen[1], every[2])
    (fused,) = DetectorFeatures(DETECTOR, checkpoint, with_neck=True)(pictures)
    assert fused.shape == (1, 256, 16, 16)


def test_bare_backbone_and_wrapped_detector(backbone, checkpoint, tmp_path):
    pictures = torch.rand(1, 1, 64, 64)
    expected = DetectorFeatures(DETECTOR, checkpoint)(pictures)[-1]
    path = tmp_path / 'weights.pth'
    for prefix in ('', 'module.backbone.', 'wrapped_model.backbone.'):
        torch.save({prefix + k: v for k, v in backbone.state_dict().items()}, path)
        assert torch.equal(DetectorFeatures(DETECTOR, path)(pictures)[-1], expected)


def test_detector_of_mmdetection(checkpoint):
    network = dict(type='MaskRCNN', backbone=dict(type='ResNet', depth=18))
    cfg = Config(dict(model=dict(type='MMDetWrapper', cfg=network)))
    assert len(DetectorFeatures(cfg, checkpoint)(torch.rand(1, 1, 64, 64))) == 4


def test_frozen(checkpoint):
    features = DetectorFeatures(DETECTOR, checkpoint).train()
    assert not features.state_dict()
    pictures = torch.rand(1, 1, 64, 64, requires_grad=True)
    first, second = features(pictures)[-1], features(pictures)[-1]
    assert torch.equal(first, second)
    first.sum().backward()
    assert pictures.grad.abs().sum() > 0


def test_mistakes_are_named(checkpoint, tmp_path):
    with pytest.raises(ValueError, match=r'stages=\[4\], but there are 4 maps; .* from 0 to 3'):
        DetectorFeatures(DETECTOR, checkpoint, stages=[4])
    other = 'mmocr::textdet/dbnet/dbnet_resnet50_1200e_icdar2015.py'
    with pytest.raises(ValueError, match=r'backbone in .*epoch_1\.pth is of another model'):
        DetectorFeatures(other, checkpoint)
    with pytest.raises(FileNotFoundError, match=r'none\.pth'):
        DetectorFeatures(DETECTOR, tmp_path / 'none.pth')
    with pytest.raises(FileNotFoundError, match=r'none\.py'):
        DetectorFeatures('none.py', checkpoint)
    with pytest.raises(ValueError, match=r'no model\.backbone'):
        DetectorFeatures(Config(dict(model=dict(type='ODM'))), checkpoint)
    without = Config(dict(model=dict(backbone=dict(type='mmdet.ResNet', depth=18))))
    with pytest.raises(ValueError, match='has no neck; give with_neck=False'):
        DetectorFeatures(without, checkpoint, with_neck=True)
