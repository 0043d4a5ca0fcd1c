import cv2
import numpy as np
import pytest
import torch
from mmocr.registry import MODELS
from torch import nn
from torch.autograd import gradcheck

from odm_mmocr.models.losses import OCRLPIPSLoss, ocr_lpips
from odm_mmocr.models.losses.ocr_lpips import shrink
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


def picture(seed, size=(32, 48)):
    label = (torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(seed)) > 0.5) * 255
    return label.to(torch.uint8)


def maps(seed, dtype=torch.float, shapes=((2, 6, 4, 5), (2, 3, 2, 3))):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]


def plain_distance(features, targets):
    """The definition, left to autograd."""
    return sum(
        (nn.functional.normalize(f, dim=1) - nn.functional.normalize(t, dim=1))
        .square().sum(1).mean((1, 2))
        for f, t in zip(features, targets)
    )  # fmt: skip


NOTHING = torch.zeros(2, 1, 32, 48, dtype=torch.bool)


class TestDistance:
    def test_by_hand(self):
        one = [torch.tensor([[3.0], [4.0]]).view(1, 2, 1, 1)]
        other = [torch.tensor([[0.0], [7.0]]).view(1, 2, 1, 1)]
        torch.testing.assert_close(ocr_lpips(one, other), torch.tensor([0.6**2 + 0.2**2]))

    def test_value_and_gradient_are_those_of_the_definition(self):
        results = []
        for function in (ocr_lpips, plain_distance):
            features = [f.requires_grad_() for f in maps(0, torch.double)]
            value = function(features, maps(1, torch.double))
            (value * torch.tensor([1.0, -3.0])).sum().backward()
            results.append((value, *(f.grad for f in features)))
        for ours, theirs in zip(*results):
            torch.testing.assert_close(ours, theirs)

    def test_gradients_of_both_sides(self):
        one, other = (maps(seed, torch.double)[0].requires_grad_() for seed in (0, 1))
        assert gradcheck(lambda a, b: ocr_lpips([a], [b]), (one, other))

    def test_digits_are_kept_where_directions_are_close(self):
        target = maps(0)[0]
        feature = target + 1e-4 * maps(1)[0]
        exact = ocr_lpips([feature.double()], [target.double()])
        torch.testing.assert_close(
            ocr_lpips([feature], [target]).double(), exact, rtol=1e-2, atol=0
        )

    def test_without_direction_there_is_no_gradient(self):
        feature, target = maps(0)[0], maps(1)[0]
        feature[0, :, 0, 0] = 0
        target[1, :, 2, 2] = 0
        feature.requires_grad_()
        value = ocr_lpips([feature], [target])
        value.sum().backward()
        torch.testing.assert_close(value, plain_distance([feature], [target]))
        assert (feature.grad[0, :, 0, 0] == 0).all()
        assert (feature.grad[1, :, 2, 2].abs() < 1e-7).all()
        assert feature.grad.abs().max() < 10

    def test_length_does_not_matter(self):
        one, other = maps(0), maps(1)
        scaled = [1e6 * f for f in one]
        torch.testing.assert_close(ocr_lpips(scaled, other), ocr_lpips(one, other))

    def test_only_the_maps_are_kept(self):
        feature, target = (m[0].requires_grad_() for m in (maps(0), maps(1)))
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(kept.append, lambda packed: packed):
            ocr_lpips([feature], [target])
        # Of other tensors than the maps themselves there are three values a position.
        own = {feature.data_ptr(), target.data_ptr()}
        assert sum(t.numel() for t in kept if t.data_ptr() not in own) == 3 * 2 * 4 * 5

    @pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
    def test_half_precision_maps_are_compared_in_float32(self, dtype):
        feature, target = maps(0)[0].to(dtype), maps(1)[0].to(dtype)
        expected = ocr_lpips([feature.float()], [target.float()])
        feature.requires_grad_()
        value = ocr_lpips([feature], [target])
        value.sum().backward()
        torch.testing.assert_close(value, expected)
        assert feature.grad.dtype == dtype

    def test_lists_of_different_lengths_are_refused(self):
        with pytest.raises(ValueError, match='zip'):
            ocr_lpips(maps(0), maps(1)[:1])


class TestLoss:
    def test_right_drawing_costs_nothing_and_a_wrong_one_something(self, loss):
        label = picture(0)
        right = torch.where(label > 127, 50.0, -50.0)
        assert loss(right, label, NOTHING) == pytest.approx(0, abs=1e-6)
        assert loss(right, picture(1), NOTHING) > 0.1

    def test_ignored_pixels_do_not_count(self, loss):
        label, ignore = picture(0), NOTHING.clone()
        ignore[..., 20:] = True
        logits = torch.where(label > 127, 50.0, -50.0)
        logits[..., 20:] *= -1
        logits.requires_grad_()
        value = loss(logits, label, ignore)
        value.backward()
        assert value.item() == pytest.approx(0, abs=1e-6)
        assert (logits.grad[..., 20:] == 0).all()

    def test_gradient_reaches_the_drawing_and_not_the_network(self, loss):
        logits = torch.zeros(2, 1, 32, 48, requires_grad=True)
        loss(logits, picture(0), NOTHING).backward()
        assert logits.grad.isfinite().all()
        assert logits.grad.abs().sum() > 0
        assert all(p.grad is None for p in loss.features.network.parameters())

    def test_network_is_no_part_of_the_model_but_follows_it(self, loss):
        assert not loss.state_dict()
        assert not list(loss.parameters())
        loss.train()
        assert not loss.features.network.training
        loss.double()
        assert next(loss.features.network.parameters()).dtype == torch.double

    @pytest.mark.parametrize('scale', [1.0, 0.5])
    def test_bfloat16_autocast_changes_little(self, scale):
        loss = OCRLPIPSLoss(dict(type='mmocr.TinyFeatures'), scale=scale)
        logits = torch.randn(2, 1, 32, 48, generator=torch.Generator().manual_seed(0))
        expected = loss(logits, picture(0), NOTHING)
        logits.requires_grad_()
        with torch.autocast('cpu', torch.bfloat16):
            value = loss(logits, picture(0), NOTHING)
        value.backward()
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(expected.item(), rel=0.02)
        assert logits.grad.isfinite().all()

    def test_weight(self, loss):
        logits = torch.zeros(2, 1, 32, 48)
        heavy = OCRLPIPSLoss(dict(type='mmocr.TinyFeatures'), loss_weight=3)
        expected = 3 * loss(logits, picture(0), NOTHING)
        torch.testing.assert_close(heavy(logits, picture(0), NOTHING), expected)


class TestScale:
    @pytest.mark.parametrize('scale', [0, -0.5, 2])
    def test_must_shrink(self, scale):
        with pytest.raises(ValueError, match=f'scale={scale}'):
            OCRLPIPSLoss(dict(type='mmocr.TinyFeatures'), scale=scale)

    @pytest.mark.parametrize(
        ('size', 'scale', 'shrunk'),
        [
            ((736, 1280), 0.5, (368, 640)),
            ((320, 640), 0.3, (96, 192)),
            ((320, 640), 0.9, (288, 576)),
            ((67, 101), 0.7, (47, 71)),
            ((3, 5), 0.1, (1, 1)),
        ],
    )
    def test_is_the_mean_over_areas(self, size, scale, shrunk):
        pictures = np.random.default_rng(0).random(size, np.float32)
        ours = shrink(torch.from_numpy(pictures)[None, None], scale)[0, 0]
        assert ours.shape == shrunk
        theirs = cv2.resize(pictures, shrunk[::-1], interpolation=cv2.INTER_AREA)
        np.testing.assert_allclose(ours, theirs, atol=1e-5)

    def test_gradient_is_spread_evenly(self):
        pictures = torch.rand(1, 1, 33, 50, requires_grad=True)
        shrink(pictures, 0.7).mean().backward()
        torch.testing.assert_close(pictures.grad, torch.full_like(pictures, 1 / 33 / 50))

    def test_one_leaves_the_picture_alone(self):
        pictures = torch.rand(1, 1, 8, 8)
        assert shrink(pictures, 1.0) is pictures

    def test_network_sees_the_smaller_pictures(self, monkeypatch):
        loss = OCRLPIPSLoss(dict(type='mmocr.TinyFeatures'), scale=0.3)
        seen = []
        forward = loss.features.forward
        monkeypatch.setattr(
            loss.features, 'forward', lambda x: seen.append(tuple(x.shape)) or forward(x)
        )
        size = (320, 640)
        ignore = torch.zeros(2, 1, *size, dtype=torch.bool)
        logits = torch.zeros(2, 1, *size, requires_grad=True)
        loss(logits, picture(0, size), ignore).backward()
        assert seen == [(2, 1, 96, 192)] * 2
        assert (logits.grad != 0).float().mean() > 0.99
