import copy
import os

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmocr.registry import MODELS

from odm_mmocr.checkpoints import (
    export_backbone,
    load_checkpoint,
    load_config,
    save_checkpoint,
    swap_backbone,
    write_swapped_config,
)
from odm_mmocr.checkpoints.configs import config_folders

DBNET18 = 'mmocr::textdet/dbnet/dbnet_resnet18_fpnc_1200e_icdar2015.py'
DBNET50 = 'mmocr::textdet/dbnet/dbnet_resnet50_1200e_icdar2015.py'
DBNET50_DCN = 'mmocr::textdet/dbnet/dbnet_resnet50-dcnv2_fpnc_1200e_icdar2015.py'
FCENET50 = 'mmocr::textdet/fcenet/fcenet_resnet50_fpn_1500e_icdar2015.py'
FCENET_CLIP = 'mmocr::textdet/fcenet/fcenet_resnet50-oclip_fpn_1500e_icdar2015.py'
MASKRCNN = 'mmocr::textdet/maskrcnn/mask-rcnn_resnet50_fpn_160e_icdar2015.py'
CLIP_MEAN = dict(mean=[122.77, 116.75, 104.09], std=[68.5, 66.63, 70.32], bgr_to_rgb=True)


def small(backbone, **settings):
    """Config of a detector with little around its backbone."""
    model = dict(type='DBNet', backbone=backbone, data_preprocessor=IMAGENET, **settings)
    return Config(dict(model=copy.deepcopy(model)))


RESNET18 = dict(type='mmdet.ResNet', depth=18)
IMAGENET = dict(
    type='TextDetDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
)


@pytest.mark.parametrize(
    ('stock', 'name', 'count'),
    [
        (DBNET18, 'resnet18', 100),
        (DBNET50, 'resnet50', 265),
        (DBNET50_DCN, 'resnet50', 265),
        (FCENET50, 'resnet50', 265),
        (FCENET_CLIP, 'clip-resnet50', 275),
    ],
)
def test_stock_detectors_start_from_an_exported_backbone(backbone_file, stock, name, count, capfd):
    cfg = load_config(stock)
    changes = swap_backbone(cfg, backbone_file(name))
    init_default_scope('mmocr')
    model = MODELS.build(cfg.model)
    model.init_weights()
    weights = load_checkpoint(backbone_file(name))['state_dict']
    loaded = model.backbone.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in weights.items())
    assert {key.split('.')[-2] for key in loaded.keys() - weights.keys()} <= {'conv_offset'}
    assert len([key for key in weights if 'num_batches' not in key]) == count
    assert any(f'({count} tensors' in change for change in changes)
    assert not cfg.get('load_from')
    assert 'odm_mmocr' in cfg.custom_imports.imports


STOCK = [
    path
    for folder in config_folders('mmocr')
    for path in sorted((folder / 'textdet').glob('*/[!_]*.py'))
    # The last one reads a variable that its base does not have.
    if path.parent.name != '_base_' and path.stem != 'dbnet_resnet50-dcnv2_fpnc_100k_synthtext'
]


@pytest.mark.parametrize('stock', STOCK, ids=lambda path: path.stem)
def test_written_config_of_every_stock_detector_loads_the_whole_file(
    backbone_file, stock, tmp_path
):
    cfg = load_config(str(stock))
    original = copy.deepcopy(cfg)
    resnet = 'resnet18' if 'resnet18' in stock.stem else 'resnet50'
    file = backbone_file('clip-resnet50' if 'oclip' in stock.stem else resnet)
    changes = swap_backbone(cfg, file, adapt_architecture=True)
    out = tmp_path / 'mine.py'
    write_swapped_config(stock, original, cfg, out)
    assert out.read_text().startswith(f"_base_ = 'mmocr::textdet/{stock.parent.name}/{stock.name}'")
    assert len(out.read_text().splitlines()) < 30

    written = Config.fromfile(out)
    assert written.load_from is None
    init_default_scope('mmocr')
    if 'backbone' in written.model:
        backbone = MODELS.build(written.model.backbone)
    else:
        settings = written.model.cfg.backbone
        backbone = MODELS.build(dict(settings, _scope_=settings.get('_scope_', 'mmdet')))
    backbone.init_weights()
    loaded = backbone.state_dict()
    weights = load_checkpoint(file)['state_dict']
    assert all(torch.equal(loaded[key], value) for key, value in weights.items())
    beyond = {key.rpartition('.')[0] for key in loaded.keys() - weights.keys()}
    assert all(name.endswith('conv_offset') for name in beyond)
    said = f'{len(beyond)} layers of the network are not in the file: layer2.0.conv2.conv_offset'
    assert any(said in change for change in changes) == bool(beyond)


@pytest.mark.parametrize(
    ('name', 'settings', 'advice'),
    [
        ('resnet50', dict(style='caffe'), "style='pytorch'"),
        ('resnet18', dict(deep_stem=True, stem_channels=128), 'deep_stem=False'),
        ('resnet50', dict(style='caffe', avg_down=True), "style='pytorch', avg_down=False"),
    ],
)
def test_other_strides_or_stem_are_an_error_or_taken_over(backbone_file, name, settings, advice):
    own = dict(norm_eval=True, frozen_stages=1, out_indices=(1, 2, 3))
    cfg = small(dict(type='mmdet.ResNet', depth=int(name[6:]), **settings, **own))
    before = cfg.to_dict()
    with pytest.raises(ValueError, match=rf'{advice}.*--adapt-architecture'):
        swap_backbone(cfg, backbone_file(name))
    assert cfg.to_dict() == before
    changes = '\n'.join(swap_backbone(cfg, backbone_file(name), adapt_architecture=True))
    for key, value in settings.items():
        assert f'model.backbone.{key}: {value} -> {cfg.model.backbone[key]}' in changes
    for key, value in own.items():
        assert cfg.model.backbone[key] == value
    swap_backbone(cfg, backbone_file(name))  # fits now


def test_nothing_is_adapted_that_necks_would_notice(backbone_file):
    cfg = small(dict(type='mmdet.ResNet', depth=50, style='caffe'))
    with pytest.raises(ValueError, match='BasicBlock') as caught:
        swap_backbone(cfg, backbone_file('resnet18'), adapt_architecture=True)
    assert '--adapt-architecture' not in str(caught.value)


def test_backbones_that_do_not_build(backbone_file):
    for backbone, message in (
        (dict(depth=18), 'no type, only depth'),
        (dict(RESNET18, colour='red'), 'does not build: TypeError'),
        (dict(RESNET18, depth=19), 'does not build: KeyError'),
        (dict(type='NoSuchNetwork'), "'NoSuchNetwork', which is no registered"),
    ):
        with pytest.raises(ValueError, match=message):
            swap_backbone(small(backbone), backbone_file('resnet18'))


def test_several_initializers(backbone_file):
    several = [dict(type='Kaiming', layer='Conv2d'), dict(type='Pretrained', checkpoint='old.pth')]
    cfg = small(dict(RESNET18, init_cfg=several), init_cfg=several)
    changes = '\n'.join(swap_backbone(cfg, backbone_file('resnet18')))
    assert 'model.init_cfg: Kaiming, old.pth -> None' in changes
    assert 'model.backbone.init_cfg: Kaiming, old.pth -> ' in changes


def test_config_that_imports_its_classes(backbone_file, tmp_path):
    own = tmp_path / 'own.py'
    own.write_text(
        'from mmdet.models.backbones import ResNet\n'
        'from mmocr.models.textdet.detectors import DBNet\n'
        f'model = dict(type=DBNet, backbone=dict(type=ResNet, depth=18), '
        f'data_preprocessor={IMAGENET!r})\n'
    )
    cfg = Config.fromfile(own)
    original = copy.deepcopy(cfg)
    swap_backbone(cfg, backbone_file('resnet18'))
    assert cfg.model.backbone.init_cfg.type == 'ODMPretrained'
    with pytest.raises(ValueError, match='imports its classes.*--backbone'):
        write_swapped_config(own, original, cfg, tmp_path / 'mine.py')
    assert not (tmp_path / 'mine.py').exists()


def test_wrapped_detector_of_mmdet(backbone_file):
    cfg = load_config(MASKRCNN)
    swap_backbone(cfg, backbone_file('resnet50'))
    assert cfg.model.cfg.backbone.init_cfg.type == 'ODMPretrained'
    init_default_scope('mmocr')
    backbone = MODELS.build(dict(cfg.model.cfg.backbone, type='mmdet.ResNet'))
    backbone.init_weights()
    weights = load_checkpoint(backbone_file('resnet50'))['state_dict']
    assert torch.equal(backbone.layer4[2].conv3.weight, weights['layer4.2.conv3.weight'])


def test_everything_that_would_replace_the_weights_is_taken_away(backbone_file):
    cfg = small(
        dict(RESNET18, pretrained='torchvision://resnet18'),
        init_cfg=dict(type='Pretrained', checkpoint='detector.pth'),
    )
    cfg.load_from = 'old.pth'
    cfg.custom_imports = dict(imports='my_package', allow_failed_imports=True)
    changes = '\n'.join(swap_backbone(cfg, backbone_file('resnet18')))
    assert cfg.model.init_cfg is None
    assert cfg.model.backbone.pretrained is None
    assert cfg.load_from is None
    assert cfg.custom_imports.imports == ['my_package', 'odm_mmocr']
    for word in ('detector.pth', 'torchvision://resnet18', 'old.pth', 'custom_imports'):
        assert word in changes


@pytest.mark.parametrize(
    ('stock', 'name', 'difference'),
    [
        (
            DBNET50,
            'clip-resnet50',
            'another architecture.*CLIPResNet in the file.*ResNet in the ne',
        ),
        (FCENET_CLIP, 'resnet50', 'another architecture.*CLIPResNet in the network'),
        (DBNET18, 'resnet50', r'another ResNet.*BasicBlock.*depth.: 50'),
    ],
)
def test_wrong_architecture_is_refused_and_nothing_changed(backbone_file, stock, name, difference):
    cfg = load_config(stock)
    before = cfg.to_dict()
    with pytest.raises(ValueError, match=difference):
        swap_backbone(cfg, backbone_file(name))
    assert cfg.to_dict() == before


@pytest.fixture
def clip_normalized(backbone_file, tmp_path):
    """ResNet-18 that was pre-trained with the mean and std of CLIP."""
    content = load_checkpoint(backbone_file('resnet18'))
    content['meta']['normalization'] = CLIP_MEAN
    save_checkpoint(content, tmp_path / 'clip.pth')
    return tmp_path / 'clip.pth'


def test_other_normalization_is_an_error_or_taken_over(clip_normalized):
    cfg = small(RESNET18)
    before = cfg.to_dict()
    message = r'clip\.pth.*mean=\[122\.77.*network has mean=\[123\.675.*--adapt-normalization'
    with pytest.raises(ValueError, match=message):
        swap_backbone(cfg, clip_normalized)
    assert cfg.to_dict() == before
    changes = swap_backbone(cfg, clip_normalized, adapt_normalization=True)
    assert cfg.model.data_preprocessor == dict(type='TextDetDataPreprocessor', **CLIP_MEAN)
    assert any('123.675' in change and '122.77' in change for change in changes)
    swap_backbone(cfg, clip_normalized)  # fits now


@pytest.mark.parametrize('preprocessor', [None, dict(type='TextDetDataPreprocessor')])
def test_missing_normalization_is_noticed(backbone_file, preprocessor):
    cfg = small(RESNET18)
    cfg.model.data_preprocessor = preprocessor
    with pytest.raises(ValueError, match=r'network has mean=\[0, 0, 0\]'):
        swap_backbone(cfg, backbone_file('resnet18'))


def test_pipelines_that_normalise_count(backbone_file, clip_normalized):
    normalize = dict(type='Normalize', mean=IMAGENET['mean'], std=IMAGENET['std'], to_rgb=True)
    dataset = dict(datasets=[dict(pipeline=[dict(type='LoadImageFromFile'), normalize])])
    cfg = small(RESNET18)
    cfg.train_dataloader = dict(dataset=dataset)
    with pytest.raises(ValueError, match=r'train_dataloader\.dataset.*1 normalises.*again'):
        swap_backbone(copy.deepcopy(cfg), backbone_file('resnet18'))
    cfg.model.data_preprocessor = dict(type='TextDetDataPreprocessor')
    swap_backbone(copy.deepcopy(cfg), backbone_file('resnet18'))
    with pytest.raises(ValueError, match=r'train_dataloader\.dataset.*mean=\[122\.77'):
        swap_backbone(cfg, clip_normalized)


def test_config_without_backbone(backbone_file):
    with pytest.raises(ValueError, match=r'no model\.backbone.*: type, encoder'):
        swap_backbone(Config(dict(model=dict(type='X', encoder={}))), backbone_file('resnet18'))
    with pytest.raises(ValueError, match='none'):
        swap_backbone(Config({}), backbone_file('resnet18'))


def test_pretraining_may_start_from_a_backbone_too(backbone_file):
    cfg = load_config('odm_pretrain_resnet18.py')
    swap_backbone(cfg, backbone_file('resnet18'))
    assert cfg.model.image_encoder.backbone.init_cfg.type == 'ODMPretrained'


def test_swin_which_ignores_initializers(tmp_path):
    swin = dict(type='mmdet.SwinTransformer', embed_dims=8, depths=(1,) * 4, num_heads=(1,) * 4)
    weights = MODELS.build(dict(swin)).state_dict()
    weights = {key: torch.full_like(value, 0.5) if value.is_floating_point() else value
               for key, value in weights.items()}  # fmt: skip
    export_backbone(
        dict(state_dict={f'image_encoder.backbone.{k}': v for k, v in weights.items()}),
        tmp_path / 'swin.pth',
        architecture=swin,
        normalization=IMAGENET,
    )
    cfg = small(swin, neck=dict(type='FPNC', in_channels=[8, 16, 32, 64]),
                det_head=dict(type='DBHead', in_channels=256,
                              module_loss=dict(type='DBModuleLoss'),
                              postprocessor=dict(type='DBPostprocessor')))  # fmt: skip
    swap_backbone(cfg, tmp_path / 'swin.pth')
    assert cfg.model.backbone.init_cfg is None
    model = MODELS.build(cfg.model)
    model.init_weights()
    loaded = model.backbone.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in weights.items())


def test_written_config_says_the_same(backbone_file, tmp_path):
    cfg = load_config(DBNET50_DCN)
    original = copy.deepcopy(cfg)
    cfg.model.data_preprocessor.mean = [1.0, 2.0, 3.0]
    swap_backbone(cfg, backbone_file('resnet50'), adapt_normalization=True)
    out = tmp_path / 'mine.py'
    write_swapped_config(original.filename, original, cfg, out)
    text = out.read_text()
    assert text.startswith(f'_base_ = {DBNET50_DCN!r}')
    assert len(text.splitlines()) < 40
    again = Config.fromfile(out)
    for key in ('model', 'load_from', 'custom_imports'):
        assert without_scope(again[key]) == without_scope(cfg[key])
    assert without_scope(again.train_dataloader) == without_scope(original.train_dataloader)


def test_written_config_inherits_an_own_config_by_relative_path(backbone_file, tmp_path):
    own, out = tmp_path / 'own' / 'detector.py', tmp_path / 'new' / 'mine.py'
    own.parent.mkdir()
    cfg = small(RESNET18)
    cfg.dump(own)
    original, cfg = Config.fromfile(own), Config.fromfile(own)
    swap_backbone(cfg, backbone_file('resnet18'))
    write_swapped_config(own, original, cfg, out)
    assert out.read_text().startswith(f"_base_ = '{os.path.join('..', 'own', 'detector.py')}'")
    assert Config.fromfile(out).model == cfg.model


def without_scope(value):
    if isinstance(value, (dict, ConfigDict)):
        return {k: without_scope(v) for k, v in value.items() if k != '_scope_'}
    if isinstance(value, (list, tuple)):
        return [without_scope(v) for v in value]
    return value
