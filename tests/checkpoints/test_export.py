import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.registry import init_default_scope
from mmocr.registry import MODELS

from odm_mmocr import __version__
from odm_mmocr.checkpoints import (
    architecture_name,
    export_backbone,
    extract_backbone,
    halve_backbone,
    load_config,
    save_checkpoint,
)

RESNET18 = dict(type='mmdet.ResNet', depth=18, norm_eval=False, init_cfg=dict(type='Xavier'))
PREFIX = 'image_encoder.backbone.'


@pytest.fixture(scope='module')
def checkpoint(training_checkpoint):
    return training_checkpoint(dict(RESNET18, init_cfg=None))


def test_file_holds_bare_keys_and_plain_meta(checkpoint, tmp_path):
    source, out = tmp_path / 'iter_1234.pth', tmp_path / 'new' / 'backbone.pth'
    torch.save(checkpoint, source)
    written = export_backbone(source, out)
    # Without the list of allowed classes of odm_mmocr: plain MMOCR must be able to read it.
    allowed = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        content = torch.load(out, weights_only=True)
    finally:
        torch.serialization.add_safe_globals(allowed)
    assert (
        content['meta']
        == written['meta']
        == dict(
            odm_mmocr=__version__,
            architecture=dict(type='mmdet.ResNet', depth=18, norm_eval=False),
            normalization=dict(
                mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
            ),
            iteration=1234,
            weights='raw',
        )
    )
    own = {k: v for k, v in checkpoint['state_dict'].items() if k.startswith(PREFIX)}
    assert {PREFIX + key for key in content['state_dict']} == set(own)
    assert all(
        torch.equal(content['state_dict'][key.removeprefix(PREFIX)], own[key]) for key in own
    )
    assert architecture_name(content) == architecture_name(checkpoint) == 'resnet18'


def test_the_real_model_keeps_its_backbone_where_it_is_looked_for():
    cfg = load_config('odm_pretrain_quickstart.py')
    init_default_scope('mmocr')
    model = MODELS.build(cfg.model)
    meta = dict(cfg=cfg.pretty_text, iter=0)
    backbone = extract_backbone(dict(state_dict=model.state_dict(), meta=meta))
    own = model.image_encoder.backbone.state_dict()
    assert backbone['state_dict'].keys() == own.keys()
    assert backbone['meta']['architecture']['depth'] == 18


def test_plain_mmocr_loads_the_file(backbone_file, caplog):
    path = backbone_file('resnet18')
    model = MODELS.build(
        dict(type='mmdet.ResNet', depth=18, init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    )
    model.init_weights()
    weights = torch.load(path, weights_only=True)['state_dict']
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())


def test_averaged_weights_are_what_emahook_leaves_in_state_dict():
    """MMEngine's own hook makes the checkpoint: which of the two is which is its decision."""

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.image_encoder = torch.nn.Module()
            self.image_encoder.backbone = torch.nn.Linear(1, 1)

    class Runner:
        model = Encoder()
        iter = 0

    weight = Runner.model.image_encoder.backbone.weight
    weight.data.fill_(1)
    hook = EMAHook(momentum=0.5)
    hook.before_run(Runner)
    hook.after_train_iter(Runner, 0)
    weight.data.fill_(3)
    hook.after_train_iter(Runner, 1)
    checkpoint = dict(state_dict=dict(Runner.model.state_dict()), meta={})
    hook.before_save_checkpoint(Runner, checkpoint)
    known = dict(architecture=dict(type='Linear'), normalization=dict(mean=[0.0], std=[1.0]))

    averaged = extract_backbone(checkpoint, **known)
    assert averaged['state_dict']['weight'].item() == 2
    assert averaged['meta']['weights'] == 'averaged'
    raw = extract_backbone(checkpoint, prefer_ema=False, **known)
    assert raw['state_dict']['weight'].item() == 3
    assert raw['meta']['weights'] == 'raw'


def test_views_and_memory_order_do_not_swell_the_file(checkpoint, tmp_path):
    weights = dict(checkpoint['state_dict'])
    plain = export_backbone(dict(checkpoint, state_dict=weights), tmp_path / 'plain.pth')
    large, name = torch.zeros(10_000_000), f'{PREFIX}conv1.weight'
    weights[name] = large[: weights[name].numel()].view_as(weights[name])
    weights[f'{PREFIX}bn1.bias'] = torch.zeros(1).expand(64)
    export_backbone(dict(checkpoint, state_dict=weights), tmp_path / 'views.pth')
    sizes = [(tmp_path / f'{file}.pth').stat().st_size for file in ('plain', 'views')]
    assert abs(sizes[1] - sizes[0]) < 1000 < plain['state_dict']['conv1.weight'].nbytes


def test_normalization_of_the_config_counts(training_checkpoint):
    clip = dict(mean=[122.77, 116.75, 104.09], std=[68.5, 66.63, 70.32], bgr_to_rgb=False)
    content = extract_backbone(training_checkpoint(dict(RESNET18, init_cfg=None), **clip))
    assert content['meta']['normalization'] == clip


@pytest.mark.parametrize(
    ('weights', 'found'),
    [
        ({'visual.conv1.weight': 1}, 'reference implementation'),
        ({'a.b': 1, 'c.d': 1}, 'has 2 keys, the first are a.b, c.d'),
        ({}, 'has 0 keys, the first are none'),
    ],
)
def test_other_checkpoints_are_told_apart(weights, found):
    with pytest.raises(ValueError, match=f'no checkpoint of a pre-training.*{found}'):
        extract_backbone(dict(state_dict=weights, meta={}))


def test_exported_backbone_is_not_exported_again(backbone_file, tmp_path):
    with pytest.raises(ValueError, match=r'backbone_resnet18\.pth.*was exported already'):
        export_backbone(backbone_file('resnet18'), tmp_path / 'again.pth')
    assert not (tmp_path / 'again.pth').exists()


@pytest.mark.parametrize(
    'meta',
    [{}, None, dict(cfg=Config(dict(model=dict(type='DBNet'))).pretty_text), dict(cfg='f()')],
)
def test_missing_config_is_named(checkpoint, meta):
    with pytest.raises(ValueError, match='does not carry the config of an ODM model'):
        extract_backbone(dict(checkpoint, meta=meta))


def test_diverged_weights_are_not_exported(checkpoint, tmp_path):
    weights = dict(checkpoint['state_dict'])
    weights[f'{PREFIX}bn1.bias'] = torch.full((64,), float('nan'))
    with pytest.raises(ValueError, match=r'bn1\.bias of the backbone.*not finite'):
        export_backbone(dict(checkpoint, state_dict=weights), tmp_path / 'backbone.pth')
    assert not list(tmp_path.iterdir())


def test_half_precision_halves_the_file_and_starts_a_network_as_before(checkpoint, tmp_path):
    whole = export_backbone(checkpoint, tmp_path / 'whole.pth')
    half = halve_backbone(whole)
    save_checkpoint(half, tmp_path / 'half.pth')
    sizes = [(tmp_path / name).stat().st_size for name in ('half.pth', 'whole.pth')]
    assert sizes[0] < 0.51 * sizes[1]
    assert half['meta'] == dict(whole['meta'], precision='float16')
    init_default_scope('mmocr')
    network = MODELS.build(
        dict(
            RESNET18,
            init_cfg=dict(type='ODMPretrained', checkpoint=str(tmp_path / 'half.pth')),
        )
    )
    network.init_weights()
    for key, tensor in network.state_dict().items():
        assert tensor.dtype == whole['state_dict'][key].dtype
        torch.testing.assert_close(tensor, whole['state_dict'][key], rtol=1e-3, atol=1e-6)
        if tensor.dim() == 1:
            assert torch.equal(tensor, whole['state_dict'][key])


def test_weights_beyond_half_precision(checkpoint):
    backbone = extract_backbone(checkpoint)
    weights = dict(backbone['state_dict'])
    weights['conv1.weight'] = weights['conv1.weight'] + 1e5
    with pytest.raises(ValueError, match=r'conv1\.weight has weights beyond'):
        halve_backbone(dict(backbone, state_dict=weights))


NORMALIZATION = dict(mean=[10.0, 20.0, 30.0], std=[2.0, 3.0, 4.0], bgr_to_rgb=True)


def detector_checkpoint(prefix='backbone.', preprocessor=NORMALIZATION, **cfg):
    """What a detector with a ResNet-18 saves, in a wrapper where the prefix says so."""
    network = dict(backbone=dict(RESNET18, init_cfg=None), type='DBNet')
    if preprocessor:
        network['data_preprocessor'] = dict(type='TextDetDataPreprocessor', **preprocessor)
    if prefix != 'backbone.':
        network = dict(type='MMDetWrapper', cfg=dict(network, type='MaskRCNN', _scope_='mmdet'))
        network['cfg']['backbone'].update(type='ResNet')
    init_default_scope('mmocr')
    weights = MODELS.build(dict(RESNET18, init_cfg=None)).state_dict()
    return dict(
        state_dict={
            **{f'{prefix}{key}': value for key, value in weights.items()},
            'det_head.conv.weight': torch.ones(1),
        },
        meta=dict(cfg=Config(dict(model=network, **cfg)).pretty_text, iter=7),
    )


@pytest.mark.parametrize('prefix', ['backbone.', 'wrapped_model.backbone.'])
def test_a_detector_gives_its_backbone_and_its_normalization(prefix):
    checkpoint = detector_checkpoint(prefix)
    content = extract_backbone(checkpoint)
    assert content['meta']['architecture'] == dict(type='mmdet.ResNet', depth=18, norm_eval=False)
    assert content['meta']['normalization'] == NORMALIZATION
    assert content['meta']['iteration'] == 7
    assert architecture_name(checkpoint) == architecture_name(content) == 'resnet18'
    own = {key for key in checkpoint['state_dict'] if key.startswith(prefix)}
    assert {prefix + key for key in content['state_dict']} == own


def test_a_detector_without_normalization_is_not_taken_for_one_with_that_of_odm():
    content = extract_backbone(detector_checkpoint(preprocessor=None))
    assert content['meta']['normalization'] == dict(mean=[0] * 3, std=[1] * 3, bgr_to_rgb=False)


def test_normalization_in_a_pipeline_is_recorded_but_not_one_on_top_of_another():
    pipeline = [dict(type='Normalize', mean=[0.0] * 3, std=[255.0] * 3)]
    loader = dict(dataset=dict(type='OCRDataset', pipeline=pipeline))
    content = extract_backbone(detector_checkpoint(preprocessor=None, train_dataloader=loader))
    assert content['meta']['normalization'] == dict(mean=[0] * 3, std=[255] * 3, bgr_to_rgb=True)
    checkpoint = detector_checkpoint(train_dataloader=loader)
    with pytest.raises(ValueError, match=r'in train_dataloader\.dataset\.pipeline\.0 and again'):
        extract_backbone(checkpoint)
    content = extract_backbone(checkpoint, normalization=NORMALIZATION)
    assert content['meta']['normalization'] == NORMALIZATION


def test_config_of_another_kind_of_model_is_refused(checkpoint):
    """Its normalisation need not be that of the weights."""
    with pytest.raises(
        ValueError, match=r'backbone is in model\.image_encoder.*weights in backbone'
    ):
        extract_backbone(dict(detector_checkpoint(), meta=checkpoint['meta']))
