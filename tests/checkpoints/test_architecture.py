import pytest
import torch
from mmengine.config import ConfigDict
from mmocr.registry import MODELS

from odm_mmocr.checkpoints.architecture import (
    build_backbone,
    describe_architecture,
    effective_normalization,
    initialises_itself,
    module_differences,
    name_architecture,
    same_normalization,
)

RESNET18 = dict(type='mmdet.ResNet', depth=18)
IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)


def test_description_is_plain_and_builds():
    cfg = ConfigDict(
        RESNET18, out_indices=(0, 1), norm_cfg=dict(type='BN'), init_cfg=dict(type='X')
    )
    architecture = describe_architecture(cfg)
    assert architecture == dict(RESNET18, out_indices=(0, 1), norm_cfg=dict(type='BN'))
    assert type(architecture['norm_cfg']) is dict
    build_backbone(architecture)
    scoped = dict(type='ResNet', depth=18)
    assert describe_architecture(scoped, 'mmdet')['type'] == 'mmdet.ResNet'
    assert describe_architecture(dict(scoped, _scope_='mmocr'), 'mmdet')['type'] == 'ResNet'
    with pytest.raises(ValueError, match='no type, only depth, style'):
        describe_architecture(dict(depth=18, style='caffe'))
    with pytest.raises(ValueError, match='not of a plain type'):
        describe_architecture(dict(RESNET18, hook=print))


@pytest.mark.parametrize(
    ('architecture', 'name'),
    [
        (RESNET18, 'resnet18'),
        (dict(type='CLIPResNet'), 'clip-resnet50'),
        (dict(type='mmdet.ResNet', depth=50, dcn=dict(type='DCNv2')), 'resnet50-dcnv2'),
        (dict(type='mmdet.SwinTransformer', depths=(2, 2)), 'swintransformer'),
    ],
)
def test_names(architecture, name):
    assert name_architecture(architecture) == name


def test_building_leaves_the_random_state():
    state = torch.get_rng_state()
    build_backbone(RESNET18)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize('name', ['os.system', 'subprocess.Popen', 'NoSuchNetwork'])
def test_nothing_but_networks_is_built(name):
    for architecture in (dict(type=name), dict(RESNET18, norm_cfg=dict(type=name))):
        with pytest.raises(ValueError, match=f"'{name}', which is no registered network"):
            build_backbone(architecture)


def differences(first, second, **kwargs):
    return module_differences(build_backbone(first), build_backbone(second), **kwargs)


def test_what_changes_nothing_is_no_difference():
    training = dict(frozen_stages=1, norm_eval=False, out_indices=(1, 2), with_cp=True)
    momentum = dict(norm_cfg=dict(type='SyncBN', momentum=0.5))
    # A basic block has no 1x1 convolution to put the stride on: `style` does not touch it.
    assert differences(RESNET18, dict(RESNET18, style='caffe', **training, **momentum)) == []


def test_what_changes_something_is_named():
    resnet50 = dict(type='mmdet.ResNet', depth=50)
    style = differences(resnet50, dict(resnet50, style='caffe'))
    assert len(style) == 6
    assert style[0].startswith('layer2.0.conv1: Conv2d')
    assert 'stride=(2, 2)' in style[0]
    assert 'maxpool: MaxPool2d' in ' '.join(differences(RESNET18, dict(type='CLIPResNet')))
    dilated = dict(RESNET18, dilations=(1, 1, 1, 2))
    assert all(line.startswith('layer4') for line in differences(RESNET18, dilated))
    three = dict(num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(0, 1, 2))
    assert differences(RESNET18, dict(RESNET18, **three))
    eps = differences(RESNET18, dict(RESNET18, norm_cfg=dict(type='BN', eps=1e-3)))
    assert eps[0] == (
        'bn1: BatchNorm(64, eps=1e-05, affine=True) in the file, '
        'BatchNorm(64, eps=0.001, affine=True) in the network'
    )


def test_deformable_convolutions_may_be_added_but_not_lost():
    resnet50 = dict(type='mmdet.ResNet', depth=50)
    dcn = dict(type='DCNv2', deform_groups=1, fallback_on_stride=False)
    deformable = dict(resnet50, dcn=dcn, stage_with_dcn=(False, False, False, True))
    assert differences(resnet50, deformable, additions=('conv_offset',)) == []
    assert len(differences(resnet50, deformable)) == 6
    assert len(differences(deformable, resnet50, additions=('conv_offset',))) >= 3


def test_normalization_is_read_with_the_defaults_of_the_class():
    assert effective_normalization(dict(type='TextDetDataPreprocessor', **IMAGENET)) == IMAGENET
    swapped = dict(mean=IMAGENET['mean'], std=IMAGENET['std'], rgb_to_bgr=True)
    assert effective_normalization(swapped) == IMAGENET
    none = dict(mean=[0, 0, 0], std=[1, 1, 1], bgr_to_rgb=False)
    assert effective_normalization(dict(type='TextDetDataPreprocessor')) == none
    assert effective_normalization(None) == none
    own = MODELS.get('ODMDataPreprocessor')
    if own is not None:
        assert effective_normalization(dict(type='ODMDataPreprocessor')) == IMAGENET


def test_normalizations_agree_up_to_written_digits():
    rounded = dict(mean=[123.68, 116.28, 103.53], std=[58.4, 57.12, 57.38], bgr_to_rgb=True)
    assert same_normalization(IMAGENET, rounded)
    assert not same_normalization(IMAGENET, dict(rounded, bgr_to_rgb=False))
    assert not same_normalization(IMAGENET, dict(rounded, mean=[122.77, 116.28, 103.53]))


def test_backbones_with_their_own_initialisation_are_known():
    assert not initialises_itself(build_backbone(RESNET18))
    tiny = dict(type='mmdet.SwinTransformer', embed_dims=8, depths=(1,) * 4, num_heads=(1,) * 4)
    assert initialises_itself(build_backbone(tiny))
