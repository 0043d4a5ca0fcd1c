import math

import pytest
import torch

from odm_mmocr.models.losses import DestylizationSegLoss, bce_loss, dice_loss, processes


@pytest.fixture
def maps():
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 5, 7)
    target = torch.rand(2, 1, 5, 7) > 0.7
    valid = torch.rand(2, 1, 5, 7) > 0.3
    return logits, target, valid


def test_bce_is_the_mean_over_the_valid_pixels_of_the_whole_batch(maps):
    logits, target, valid = maps
    probability = logits.sigmoid()
    each = -torch.where(target, probability.log(), (1 - probability).log())
    torch.testing.assert_close(bce_loss(*maps), each[valid].mean())
    weighted = torch.where(target, 3 * each, each)
    torch.testing.assert_close(bce_loss(*maps, positive_weight=3.0), weighted[valid].mean())


def test_invalid_pixels_have_no_gradient(maps):
    logits, target, valid = maps
    logits.requires_grad_()
    (bce_loss(logits, target, valid) + dice_loss(logits, target, valid)).backward()
    assert (logits.grad[~valid] == 0).all()
    assert (logits.grad[valid] != 0).all()


def test_dice_is_zero_for_a_perfect_map_and_one_for_its_opposite(maps):
    _, target, valid = maps
    perfect = torch.where(target, 100.0, -100.0)
    assert dice_loss(perfect, target, valid) == pytest.approx(0, abs=1e-6)
    assert dice_loss(-perfect, target, valid) == pytest.approx(1, abs=1e-6)


def test_dice_is_the_mean_over_the_images_with_ink(maps):
    logits, target, valid = maps
    first, second = (
        dice_loss(logits[i : i + 1], target[i : i + 1], valid[i : i + 1]) for i in range(2)
    )
    torch.testing.assert_close(dice_loss(logits, target, valid), (first + second) / 2)
    target = target.clone()
    target[1] = False
    torch.testing.assert_close(dice_loss(logits, target, valid), first)


def test_nothing_valid_is_zero_and_finite(maps):
    logits, target, _ = maps
    logits.requires_grad_()
    nothing = torch.zeros_like(target)
    loss = bce_loss(logits, target, nothing) + dice_loss(logits, target, nothing)
    loss.backward()
    assert loss == 0
    assert (logits.grad == 0).all()


def test_ink_begins_at_the_threshold():
    label = torch.tensor([29, 30], dtype=torch.uint8).view(1, 1, 1, 2)
    logits = torch.tensor([-2.0, 2.0]).view(1, 1, 1, 2)
    ignore = torch.zeros(1, 1, 1, 2, dtype=torch.bool)
    loss = DestylizationSegLoss(loss_weight=2.0)(logits, label, ignore)
    assert loss == pytest.approx(2 * math.log1p(math.exp(-2)), rel=1e-5)


LOSSES = [bce_loss, dice_loss]


def gradient(loss, logits, *args, **kwargs):
    logits = logits.detach().clone().requires_grad_()
    value = loss(logits, *args, **kwargs)
    value.backward()
    return value.detach(), logits.grad


@pytest.mark.parametrize('loss', LOSSES)
def test_weights_of_one_change_nothing(maps, loss):
    plain, weighted = gradient(loss, *maps), gradient(loss, *maps, weight=torch.ones(2, 1, 5, 7))
    assert torch.equal(plain[0], weighted[0])
    assert torch.equal(plain[1], weighted[1])


@pytest.mark.parametrize('loss', LOSSES)
def test_a_weight_of_zero_is_the_same_as_to_ignore(maps, loss):
    logits, target, valid = maps
    known = torch.rand(2, 1, 5, 7) > 0.4
    ignored = gradient(loss, logits, target, valid & known)
    torch.testing.assert_close(gradient(loss, *maps, weight=known.float()), ignored)
    nothing = gradient(loss, *maps, weight=torch.zeros(2, 1, 5, 7))
    assert nothing[0] == 0
    assert not nothing[1].any()


@pytest.mark.parametrize('loss', LOSSES)
def test_only_how_weights_compare_matters(maps, loss):
    weight = torch.rand(2, 1, 5, 7)
    light = gradient(loss, *maps, weight=weight / 1000)
    torch.testing.assert_close(light, gradient(loss, *maps, weight=weight))


def test_the_gradient_of_a_pixel_scales_with_its_weight(maps):
    weight = torch.ones(2, 1, 5, 7)
    weight[0, 0, 2] = 0.25
    valid = torch.ones_like(maps[2])
    _, plain = gradient(bce_loss, *maps[:2], valid)
    _, weighted = gradient(bce_loss, *maps[:2], valid, weight=weight)
    torch.testing.assert_close(weighted, plain * weight * weight.numel() / weight.sum())


def test_an_image_of_unsure_ink_counts_less_in_dice(maps):
    logits, target, valid = maps
    valid = torch.ones_like(valid)
    alone = [dice_loss(logits[i : i + 1], target[i : i + 1], valid[:1]) for i in range(2)]
    weight = torch.ones(2, 1, 5, 7)
    weight[1] = 0.25
    both = dice_loss(logits, target, valid, weight)
    torch.testing.assert_close(both, (alone[0] + 0.25 * alone[1]) / 1.25)
    # As little as its ink weighs, though its background is sure.
    weight = torch.where(target, weight, 1.0)
    _, sure = gradient(dice_loss, logits, target, valid)
    _, unsure = gradient(dice_loss, logits, target, valid, weight)
    assert unsure[1][target[1]].abs().sum() < sure[1][target[1]].abs().sum() / 2


@pytest.mark.parametrize('loss', LOSSES)
def test_processes_together_are_one_batch(maps, loss, monkeypatch):
    weight = torch.rand(2, 1, 5, 7)
    expected = loss(*maps, weight=weight)
    counts = []
    monkeypatch.setattr(processes, 'get_world_size', lambda: 2)
    parts = [[part[i : i + 1] for part in (*maps, weight)] for i in range(2)]
    for step in (
        lambda count: counts.append(count.clone()),
        lambda count: count.copy_(sum(counts)),
    ):
        monkeypatch.setattr(processes, 'all_reduce', step)
        each = [loss(*part[:3], weight=part[3]) for part in parts]
    torch.testing.assert_close(sum(each) / 2, expected)


def test_255_is_a_weight_of_one():
    torch.manual_seed(0)
    logits, label = torch.randn(1, 1, 4, 6), torch.randint(0, 256, (1, 1, 4, 6)).byte()
    ignore = torch.rand(1, 1, 4, 6) > 0.8
    module = DestylizationSegLoss(positive_weight=2.0, dice_weight=1.0)
    full = torch.full_like(label, 255)
    assert torch.equal(module(logits, label, ignore, full), module(logits, label, ignore))
    weight = full.clone()
    weight[..., :3] = 0
    hidden = ignore.clone()
    hidden[..., :3] = True
    expected = module(logits, label, hidden)
    torch.testing.assert_close(module(logits, label, ignore, weight), expected)
    assert expected != module(logits, label, ignore)
