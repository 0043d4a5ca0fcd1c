import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from odm_mmocr.models.losses import BatchContrastiveLoss, bounded_scale, contrastive_loss

ALL = torch.ones(4, dtype=torch.bool)


def features():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(4, 8, generator=generator, requires_grad=True)
    return images, torch.randn(4, 8, generator=generator, requires_grad=True)


def test_is_the_symmetric_cross_entropy_of_cosines():
    images, texts = features()
    logits = 5 * F.cosine_similarity(images[:, None], texts[None], dim=-1)
    expected = -(logits.log_softmax(0) + logits.log_softmax(1)).diagonal().mean() / 2
    torch.testing.assert_close(contrastive_loss(images, texts, ALL, torch.tensor(5.0)), expected)


def test_pairs_without_words_neither_count_nor_compete():
    images, texts = features()
    valid = torch.tensor([True, False, True, True])
    loss = contrastive_loss(images, texts, valid, torch.tensor(5.0))
    without = contrastive_loss(images[valid], texts[valid], valid[valid], torch.tensor(5.0))
    torch.testing.assert_close(loss, without)
    loss.backward()
    assert (images.grad[1] == 0).all()
    assert images.grad.isfinite().all()


def test_no_valid_pair_is_zero_and_finite():
    images, texts = features()
    loss = BatchContrastiveLoss()(images, torch.zeros_like(texts), ~ALL, torch.tensor(14.0))
    loss.backward()
    assert loss == 0
    assert (images.grad == 0).all()


@pytest.mark.parametrize('start', [math.log(90), math.log(500)])
def test_scale_has_a_bound_from_which_it_can_come_back(start):
    parameter = nn.Parameter(torch.tensor(start))
    scale = bounded_scale(parameter)
    assert scale.item() == pytest.approx(min(math.exp(start), 100))
    scale.backward()
    assert parameter.grad.item() == pytest.approx(scale.item())
    assert parameter.item() <= math.log(100) + 1e-6


def test_similarities_are_exact_in_mixed_precision():
    images, texts = features()
    exact = contrastive_loss(images, texts, ALL, torch.tensor(100.0))
    with torch.autocast('cpu', torch.bfloat16):
        mixed = contrastive_loss(images, texts, ALL, torch.tensor(100.0))
    torch.testing.assert_close(mixed, exact, rtol=1e-6, atol=0)
