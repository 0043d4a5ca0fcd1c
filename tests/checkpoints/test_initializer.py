import logging

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from mmocr.registry import MODELS
from torch import nn

from odm_mmocr.checkpoints import export_backbone, load_checkpoint, save_checkpoint
from odm_mmocr.checkpoints.initializer import ODMPretrained

RESNET18 = dict(type='mmdet.ResNet', depth=18)
RESNET50 = dict(type='mmdet.ResNet', depth=50)
CLIP_MEAN = dict(mean=[122.77, 116.75, 104.09], std=[68.5, 66.63, 70.32], bgr_to_rgb=True)


@pytest.fixture(scope='module')
def networks():
    """Function that builds a network once and hands it out again."""
    built = {}

    def build(cfg):
        return built.setdefault(str(cfg), MODELS.build(dict(cfg)))

    return build


def start(cfg, path, **kwargs):
    network = MODELS.build(
        dict(cfg, init_cfg=dict(type='ODMPretrained', checkpoint=str(path), **kwargs))
    )
    network.init_weights()
    return network


@pytest.fixture
def log(monkeypatch):
    """What is logged, as a list of messages."""
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield messages
    logger.removeHandler(handler)


def test_every_tensor_is_loaded_and_counted(backbone_file, log):
    path = backbone_file('resnet50')
    network = start(RESNET50, path)
    weights = load_checkpoint(path)['state_dict']
    assert all(torch.equal(value, weights[key]) for key, value in network.state_dict().items())
    assert f'265 of 265 tensors loaded from {path}' in log


def test_harmless_variations_are_accepted(backbone_file):
    variation = dict(
        frozen_stages=1, norm_eval=True, out_indices=(1, 2, 3), style='caffe', with_cp=True
    )
    network = start(dict(RESNET18, **variation), backbone_file('resnet18'))
    weights = load_checkpoint(backbone_file('resnet18'))['state_dict']
    assert all(torch.equal(value, weights[key]) for key, value in network.state_dict().items())


def test_deformable_convolutions_keep_their_own_offsets(backbone_file, log):
    dcn = dict(type='DCNv2', deform_groups=1, fallback_on_stride=False)
    cfg = dict(RESNET50, dcn=dcn, stage_with_dcn=(False, False, False, True))
    network = start(cfg, backbone_file('resnet50'))
    weights = load_checkpoint(backbone_file('resnet50'))['state_dict']
    torch.testing.assert_close(network.layer4[0].conv2.weight, weights['layer4.0.conv2.weight'])
    assert any(
        message.startswith('265 of 265')
        and message.endswith('; 3 layers of the network are not in the file: '
                             'layer4.0.conv2.conv_offset; and 2 more')
        for message in log
    )  # fmt: skip
    assert not network.layer4[0].conv2.conv_offset.weight.any()
    with pytest.raises(ValueError, match=r'layer4\.0\.conv2: Conv2d'):
        ODMPretrained(backbone_file('resnet50'), allow_missing=())(network)


class Child(BaseModule):
    """Resets itself whenever it is initialised."""

    def __init__(self):
        super().__init__(init_cfg=dict(type='Constant', layer='Linear', val=7.0))
        self.linear = nn.Linear(2, 2)


class Stubborn(nn.Module):
    """No BaseModule, but it has `init_weights`."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))

    def init_weights(self):
        self.weight.data.fill_(7.0)


@MODELS.register_module()
class BackboneWithInitialisedChildren(BaseModule):
    """Its children would write over what an initializer has loaded."""

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.child = Child()
        self.stubborn = Stubborn()
        self.deeper = nn.Sequential(nn.ReLU())


@MODELS.register_module()
class BackboneThatInitialisesItself(BackboneWithInitialisedChildren):
    """Never calls an initializer, like `mmdet.SwinTransformer`."""

    def init_weights(self):
        self.child.linear.weight.data.fill_(7.0)


@MODELS.register_module()
class Around(BaseModule):
    """A network with a backbone."""

    def __init__(self, backbone, init_cfg=None):
        super().__init__(init_cfg)
        self.backbone = MODELS.build(backbone)


@pytest.fixture
def ones(tmp_path):
    """Function from the name of a class to a file in which all its weights are 1."""

    def make(name):
        weights = {
            k: torch.ones_like(v) for k, v in MODELS.build(dict(type=name)).state_dict().items()
        }
        checkpoint = dict(state_dict={f'image_encoder.backbone.{k}': v for k, v in weights.items()})
        path = tmp_path / 'backbone.pth'
        export_backbone(checkpoint, path, architecture=dict(type=name), normalization=CLIP_MEAN)
        return path

    return make


def all_ones(network):
    return all(bool((value == 1).all()) for value in network.state_dict().values())


def test_children_do_not_write_over_the_loaded_weights(ones):
    name = 'BackboneWithInitialisedChildren'
    init_cfg = dict(type='ODMPretrained', checkpoint=str(ones(name)))
    alone = MODELS.build(dict(type=name, init_cfg=init_cfg))
    alone.init_weights()
    assert all_ones(alone)
    around = Around(dict(type=name, init_cfg=init_cfg))
    around.init_weights()
    assert all_ones(around.backbone)


def test_backbone_that_initialises_itself_is_loaded_from_around(ones):
    name = 'BackboneThatInitialisesItself'
    init_cfg = dict(type='ODMPretrained', checkpoint=str(ones(name)), submodule='backbone')
    around = Around(dict(type=name), init_cfg=init_cfg)
    around.init_weights()
    assert all_ones(around.backbone)


@pytest.mark.parametrize(
    ('name', 'cfg', 'difference'),
    [
        ('clip-resnet50', RESNET50, 'CLIPResNet in the file.*mmdet.*ResNet in the network'),
        ('resnet50', dict(type='CLIPResNet'), 'mmdet.*ResNet in the file.*CLIPResNet in the net'),
        ('resnet18', RESNET50, r'layer1\.0: BasicBlock.* Bottleneck.*and \d+ more.*depth.: 18'),
        ('resnet50', dict(RESNET50, style='caffe'), r'layer2\.0\.conv1.*stride=\(2, 2\)'),
    ],
)
def test_other_architectures_are_refused(backbone_file, networks, name, cfg, difference):
    with pytest.raises(ValueError, match=difference):
        ODMPretrained(backbone_file(name))(networks(cfg))


@pytest.mark.parametrize(
    ('change', 'difference'),
    [
        (lambda weights: weights.pop('bn1.bias'), r'1 missing, 0 un.*bn1\.bias is missing'),
        (lambda w: w.update(fc=torch.ones(1)), r'0 missing, 1 unexpected.*fc is not in the net'),
        (
            lambda weights: weights.update({'bn1.bias': torch.ones(3)}),
            r'101 of 102 tensors.*1 of another shape: bn1\.bias is \(3,\) .*\(64,\)',
        ),
    ],
)
def test_keys_and_shapes_are_checked(backbone_file, networks, tmp_path, change, difference):
    network = networks(RESNET18)
    content = load_checkpoint(backbone_file('resnet18'))
    change(content['state_dict'])
    save_checkpoint(content, tmp_path / 'backbone.pth')
    before = network.conv1.weight.clone()
    if 'of 102' in difference:
        count = sum('num_batches' not in key for key in network.state_dict())
        difference = difference.replace('101 of 102', f'{count - 1} of {count}')
    with pytest.raises(ValueError, match=difference):
        ODMPretrained(tmp_path / 'backbone.pth')(network)
    assert torch.equal(network.conv1.weight, before)


def test_keys_with_a_prefix_are_refused(backbone_file, networks, tmp_path):
    content = load_checkpoint(backbone_file('resnet18'))
    content['state_dict'] = {f'backbone.{k}': v for k, v in content['state_dict'].items()}
    save_checkpoint(content, tmp_path / 'backbone.pth')
    with pytest.raises(ValueError, match=r'only 0 of \d+ tensors do.*conv1\.weight is missing'):
        ODMPretrained(tmp_path / 'backbone.pth')(networks(RESNET18))


def test_normalization_is_compared_when_given(backbone_file, networks):
    imagenet = dict(
        type='TextDetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    )
    network, path = networks(RESNET18), backbone_file('resnet18')
    ODMPretrained(path, normalization=imagenet)(network)
    with pytest.raises(ValueError, match=r'mean=\[123\.675.*network has mean=\[122\.77'):
        ODMPretrained(path, normalization=CLIP_MEAN)(network)


@pytest.mark.parametrize('content', [dict(state_dict={}), dict(state_dict={}, meta={}), dict(a=1)])
def test_files_from_elsewhere_are_refused_with_advice(tmp_path, networks, content):
    save_checkpoint(content, tmp_path / 'other.pth')
    with pytest.raises(
        ValueError, match=r'other\.pth is no exported backbone.*export_backbone\.py'
    ):
        ODMPretrained(tmp_path / 'other.pth')(networks(RESNET18))
