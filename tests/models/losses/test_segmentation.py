import math

import pytest
import torch

from odm_mmocr.models.losses import DestylizationSegLoss, bce_loss, dice_loss


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


def test_an_image_without_ink_has_no_dice(maps):
    logits, target, valid = maps
    first = dice_loss(logits[:1], target[:1], valid[:1])
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
