"""What every rival of ODM must do."""

import pytest
import torch
from mmengine.config import Config
from mmocr.registry import MODELS

from odm_mmocr.checkpoints import export_backbone, recalibrate_batch_norm

WORDS = [['stop', 'exit'], ['bank']]
SMALL = [(64, 64), (64, 64)]
NAMES = ['oclip', 'stkm', 'mim']

each_rival = pytest.mark.parametrize('name', NAMES)


def losses_of(model, batch, seed=0):
    torch.manual_seed(seed)
    return {name: loss for name, loss in model(**batch, mode='loss').items() if 'loss' in name}


@each_rival
@pytest.mark.parametrize('sizes', [SMALL, [(64, 96), (50, 90)]], ids=['square', 'mixed'])
@pytest.mark.parametrize('words', [WORDS, [['stop'], []], [[], []]], ids=['two', 'one', 'none'])
def test_every_parameter_has_a_gradient(build_rival, make_batch, name, sizes, words):
    """One without would stop training with several processes, whatever the images show."""
    model = build_rival(name).train()
    losses = losses_of(model, make_batch(model, words, sizes))
    assert all(loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    assert [key for key, value in model.named_parameters() if value.grad is None] == []
    assert all(value.grad.isfinite().all() for value in model.parameters())
    reached = model.image_encoder.backbone.conv1.weight.grad.abs().sum() > 0
    assert reached == (any(words) or name == 'mim')


@pytest.mark.parametrize('name', ['oclip', 'stkm'])
def test_images_without_words_contribute_nothing(build_rival, make_batch, name):
    model = build_rival(name).eval()
    losses = losses_of(model, make_batch(model, [[], []], SMALL))
    assert all(loss == 0 for loss in losses.values())
    both, alone = make_batch(model, [['a'], []], SMALL), make_batch(model, [['a'], []], SMALL)
    alone = dict(inputs=alone['inputs'][:1], data_samples=alone['data_samples'][:1])
    torch.testing.assert_close(losses_of(model, both), losses_of(model, alone))


@pytest.mark.parametrize('name', ['oclip', 'stkm'])
def test_noise_words_and_padding_do_not_count(build_rival, make_batch, name):
    """What is drawn is the same for both: each word has one character."""
    model = build_rival(name).eval()
    plain = make_batch(model, [['a', 'b'], ['c']], SMALL)
    noisy = make_batch(model, [['a', 'b', 'x'], ['c', 'y']], SMALL)
    for sample, count in zip(noisy['data_samples'], (2, 1), strict=True):
        sample.prompt.shown[count:] = False
    torch.testing.assert_close(losses_of(model, plain), losses_of(model, noisy))


@each_rival
def test_bfloat16(build_rival, make_batch, name):
    model = build_rival(name).train()
    batch = make_batch(model, WORDS, SMALL)
    expected = losses_of(model, batch)
    with torch.autocast('cpu', torch.bfloat16):
        losses = losses_of(model, batch)
    sum(losses.values()).backward()
    for key, loss in losses.items():
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, expected[key], rtol=0.1, atol=0.05)


@each_rival
def test_all_that_is_drawn_depends_on_the_seed_of_the_step(build_rival, make_batch, name):
    model = build_rival(name, **(dict(dropout=0.5) if name == 'stkm' else {})).train()
    batch = make_batch(model, WORDS, SMALL)
    first, again, other = (losses_of(model, batch, seed) for seed in (1, 1, 2))
    assert first == again != other


@each_rival
def test_one_batch_is_learned(build_rival, make_batch, name):
    model = build_rival(name).train()
    sizes = [(32, 32)] * 2 if name == 'mim' else SMALL
    batch = make_batch(model, WORDS, sizes)
    if name == 'mim':  # nobody can learn noise from its surroundings
        batch['inputs'] = torch.zeros_like(batch['inputs'])
        batch['inputs'][1] = 2.0
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    history = []
    for step in range(60):
        loss = sum(losses_of(model, batch, step).values())
        history.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert sum(history[-5:]) < 0.5 * sum(history[:5])


@each_rival
def test_exported_backbone_starts_a_detector(build_rival, make_batch, name, tmp_path):
    model = build_rival(name)
    backbone = model.image_encoder.backbone
    cfg = dict(type=type(model).__name__, image_encoder=model_config(name))
    checkpoint = dict(
        state_dict=model.state_dict(),
        meta=dict(cfg=Config(dict(model=cfg)).pretty_text, iter=1),
    )
    path = tmp_path / 'backbone.pth'
    export_backbone(checkpoint, path)
    settings = dict(cfg['image_encoder']['backbone'])
    detector = MODELS.build(
        dict(
            type='DBNet',
            backbone=dict(settings, init_cfg=dict(type='ODMPretrained', checkpoint=str(path))),
            neck=dict(type='FPNC', in_channels=[8, 16, 32, 64], lateral_channels=16),
            det_head=dict(
                type='DBHead',
                in_channels=16,
                module_loss=dict(type='DBModuleLoss'),
                postprocessor=dict(type='DBPostprocessor', text_repr_type='quad'),
            ),
        )
    )
    detector.init_weights()
    own = backbone.state_dict()
    assert all(
        torch.equal(value, own[key]) for key, value in detector.backbone.state_dict().items()
    )

    before = backbone.bn1.running_mean.clone()
    assert recalibrate_batch_norm(model, [make_batch(model, WORDS, SMALL)['inputs']], 1) == 1
    assert not torch.equal(backbone.bn1.running_mean, before)


def model_config(name):
    encoder = dict(backbone=dict(type='mmdet.ResNet', depth=18, base_channels=8, norm_eval=False))
    return dict(encoder, type='BackboneEncoder' if name == 'mim' else 'ODMImageEncoder')


@each_rival
def test_other_modes_and_sizes_are_refused(build_rival, make_batch, name):
    model = build_rival(name)
    batch = make_batch(model, WORDS, SMALL)
    with pytest.raises(ValueError, match=r"'predict'.*val_cfg"):
        model(**batch, mode='predict')
    with pytest.raises(ValueError, match=r'50x64.*multiples of 32'):
        model(batch['inputs'][..., :50, :], batch['data_samples'], mode='loss')
    assert set(model(**batch)) >= ({'predicted'} if name == 'mim' else {'logits', 'target'})
