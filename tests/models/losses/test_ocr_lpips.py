import pytest
import torch
from mmocr.registry import MODELS
from torch import nn

from odm_mmocr.models.losses import OCRLPIPSLoss, ocr_lpips
from odm_mmocr.models.losses.ocr_lpips import to_feature_input
from odm_mmocr.models.ocr_features import FrozenFeatures


@MODELS.register_module()
class TinyFeatures(FrozenFeatures):
    def __init__(self):
        torch.manual_seed(0)
        super().__init__(TwoMaps())


class TwoMaps(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 6, 3, 2, 1)
        self.two = nn.Conv2d(6, 8, 3, 2, 1)

    def forward(self, x):
        x = self.one(x)
        return x, self.two(x)


@pytest.fixture
def loss():
    return OCRLPIPSLoss(dict(type='mmocr.TinyFeatures'))


def picture(seed):
    label = (torch.rand(2, 1, 32, 48, generator=torch.Generator().manual_seed(seed)) > 0.5) * 255
    return label.to(torch.uint8)


NOTHING = torch.zeros(2, 1, 32, 48, dtype=torch.bool)


def test_input_is_normalised_as_for_imagenet():
    grey = torch.full((1, 1, 2, 2), 0.3)
    expected = (0.3 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(to_feature_input(grey)[0, :, 0, 0], expected, rtol=1e-4, atol=1e-4)


def test_distance_by_hand():
    one = [torch.tensor([[3.0], [4.0]]).view(1, 2, 1, 1)]
    other = [torch.tensor([[0.0], [7.0]]).view(1, 2, 1, 1)]
    torch.testing.assert_close(ocr_lpips(one, other), torch.tensor([0.6**2 + 0.2**2]))


def test_right_drawing_costs_nothing_and_a_wrong_one_something(loss):
    label = picture(0)
    right = torch.where(label > 127, 50.0, -50.0)
    assert loss(right, label, NOTHING) == pytest.approx(0, abs=1e-6)
    assert loss(right, picture(1), NOTHING) > 0.1


def test_ignored_pixels_do_not_count(loss):
    label, ignore = picture(0), NOTHING.clone()
    ignore[..., 20:] = True
    logits = torch.where(label > 127, 50.0, -50.0)
    logits[..., 20:] *= -1
    logits.requires_grad_()
    value = loss(logits, label, ignore)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6)
    assert (logits.grad[..., 20:] == 0).all()


def test_gradient_reaches_the_drawing_and_not_the_network(loss):
    logits = torch.zeros(2, 1, 32, 48, requires_grad=True)
    loss(logits, picture(0), NOTHING).backward()
    assert logits.grad.isfinite().all()
    assert logits.grad.abs().sum() > 0
    assert all(p.grad is None for p in loss.features.network.parameters())


def test_network_is_no_part_of_the_model_but_follows_it(loss):
    assert not loss.state_dict()
    assert not list(loss.parameters())
    loss.train()
    assert not loss.features.network.training
    loss.double()
    assert next(loss.features.network.parameters()).dtype == torch.double


def test_scale_must_shrink():
    with pytest.raises(ValueError, match='scale=2'):
        OCRLPIPSLoss(dict(type='mmocr.TinyFeatures'), scale=2)
