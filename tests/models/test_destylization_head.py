import pytest
import torch
import torch.nn.functional as F
from mmocr.registry import MODELS

CHANNELS, STRIDES = (8, 16, 24, 32), (4, 8, 16, 32)


def head(**settings):
    torch.manual_seed(0)
    config = dict(
        type='DestylizationHead',
        in_channels=CHANNELS,
        strides=STRIDES,
        text_channels=12,
        channels=16,
        hidden_channels=(8, 4),
    )
    return MODELS.build({**config, **settings}).eval()


def stages(height=64, width=96):
    torch.manual_seed(1)
    return [
        torch.randn(2, c, height // s, width // s) for c, s in zip(CHANNELS, STRIDES, strict=True)
    ]


@pytest.mark.parametrize('stride', STRIDES)
@pytest.mark.parametrize(('refine', 'subpixel'), [(4, 4), (4, 2), (2, 2), (2, 1), (1, 1)])
def test_logits_have_the_size_of_the_image(stride, refine, subpixel):
    model = head(text_stride=stride, refine_stride=refine, subpixel=subpixel)
    tokens = torch.randn(2, 12, 64 // stride, 96 // stride)
    assert model(stages(), tokens).shape == (2, 1, 64, 96)


@pytest.mark.parametrize('training', [False, True])
def test_the_faster_order_of_operations_changes_neither_logits_nor_gradients(training):
    model = head(text_stride=32, refine_stride=2, subpixel=1, conv_bias=True).double()
    model.train(training)
    maps = [s.double().requires_grad_() for s in stages()]
    tokens = torch.randn(2, 12, 2, 3, dtype=torch.double, requires_grad=True)

    def as_released(maps, tokens):
        x = model.text_lateral(tokens) + model.laterals[3](maps[3])
        for level in (2, 1, 0):
            x = F.interpolate(x, scale_factor=2) + model.laterals[level](maps[level])
        x, conv = F.interpolate(model.smooth(x), scale_factor=2), model.refine.conv
        x = F.conv2d(x, conv.weight, conv.bias, padding=1)
        x = model.refine.activate(model.refine.norm(x))
        return model.draw(model.squeeze(F.interpolate(x, scale_factor=2)))

    changed = [*maps, tokens, *model.parameters()]
    weight = torch.randn(2, 1, 64, 96, dtype=torch.double)
    outputs = [draw(maps, tokens) for draw in (model, as_released)]
    gradients = [torch.autograd.grad((o * weight).sum(), changed) for o in outputs]
    torch.testing.assert_close(*outputs, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(*gradients, rtol=1e-8, atol=1e-8)


def test_untrained_head_draws_little():
    probability = head(ink_prior=0.05)(stages(), torch.randn(2, 12, 4, 6)).sigmoid()
    assert 0.01 < probability.median() < 0.2


@pytest.mark.parametrize(
    'wrong', [dict(text_stride=12), dict(refine_stride=8), dict(refine_stride=2, subpixel=4)]
)
def test_strides_must_fit(wrong):
    with pytest.raises(ValueError, match='stride'):
        head(**wrong)


def test_match_adds_to_the_logits_of_its_cells():
    model, tokens = head(), torch.randn(2, 12, 4, 6)
    match = torch.randn(2, 1, 4, 6)
    added = model(stages(), tokens, match) - model(stages(), tokens)
    added = added.unflatten(-1, (6, 16)).unflatten(-3, (4, 16))  # (2, 1, 4, 16, 6, 16)
    torch.testing.assert_close(added[:, :, :, 7:9, :, 7:9].mean((3, 5)), match, rtol=0, atol=0.2)
