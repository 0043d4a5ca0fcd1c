import pytest
import torch
from mmocr.registry import MODELS

from odm_mmocr.models.image_encoder import probe_stages

RESNET18 = dict(type='mmdet.ResNet', depth=18)


def encoder(**settings):
    torch.manual_seed(0)
    settings = {'backbone': RESNET18, 'embed_dims': 16, 'grid': (2, 2), **settings}
    return MODELS.build(dict(type='ODMImageEncoder', **settings))


@pytest.mark.parametrize('stride', [4, 8, 16, 32])
def test_tokens_come_at_the_text_stride(stride):
    stages, tokens, feature = encoder(text_stride=stride)(torch.randn(2, 3, 64, 96))
    assert [s.shape[1] for s in stages] == [64, 128, 256, 512]
    assert tokens.shape == (2, 16, 64 // stride, 96 // stride)
    assert feature.shape == (2, 16)


@pytest.mark.parametrize(
    'backbone',
    [
        dict(type='CLIPResNet', depth=50),
        dict(type='mmdet.SwinTransformer', embed_dims=24, depths=(1, 1, 1, 1), window_size=4),
        dict(
            type='mmdet.ResNet',
            depth=50,
            dcn=dict(type='DCNv2', deform_groups=1, fallback_on_stride=False),
            stage_with_dcn=(False, True, True, True),
        ),
        dict(type='mmdet.RegNet', arch='regnetx_800mf'),  # 672 channels, no multiple of 64
    ],
    ids=['clip', 'swin', 'dcn', 'regnet'],
)
def test_any_backbone_with_four_stages(backbone):
    model = encoder(backbone=backbone)
    stages, tokens, _ = model(torch.randn(1, 3, 64, 64))
    assert [s.shape[1] for s in stages] == model.channels
    assert [64 // s.shape[-1] for s in stages] == model.strides == [4, 8, 16, 32]
    assert tokens.shape == (1, 16, 4, 4)


def test_probing_leaves_the_backbone_as_it_was():
    backbone = MODELS.build(dict(RESNET18, norm_eval=False))
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    probe_stages(backbone)
    assert backbone.training
    assert backbone.bn1.training
    assert all(torch.equal(v, before[k]) for k, v in backbone.state_dict().items())


def test_three_stages_are_too_few():
    with pytest.raises(ValueError, match=r'gives 3 stage.*out_indices'):
        encoder(backbone=dict(RESNET18, out_indices=(1, 2, 3)))


def test_heads_of_the_pool():
    assert encoder().pool.num_heads == 8  # of 64 channels
    assert encoder(backbone=dict(type='mmdet.RegNet', arch='regnetx_800mf')).pool.num_heads == 8
    with pytest.raises(ValueError, match='pool_heads=7 does not divide the 512 channels'):
        encoder(pool_heads=7)


def test_stride_must_be_one_of_the_backbone():
    with pytest.raises(ValueError, match=r'text_stride=12.*\[4, 8, 16, 32\]'):
        encoder(text_stride=12)
