import pytest
import torch

from odm_mmocr.models.rivals import masked_image
from odm_mmocr.models.rivals.masked_image import draw_patches


@pytest.mark.parametrize(('size', 'count'), [((64, 96), 15), ((64, 90), 15), ((32, 32), 3)])
def test_patches_are_whole_and_as_many_in_each_image(size, count):
    torch.manual_seed(0)
    masked = draw_patches(torch.zeros(5, 3, *size), 16, 0.6)
    assert masked.shape == (5, 1, *size)
    corners = masked[:, :, ::16, ::16]
    assert corners.sum((1, 2, 3)).tolist() == [count] * 5
    assert torch.equal(
        masked, corners.repeat_interleave(16, 2).repeat_interleave(16, 3)[..., : size[1]]
    )
    assert len({tuple(image.flatten().tolist()) for image in corners}) > 1


@pytest.fixture
def left_half(monkeypatch):
    """The left half of every image is masked."""

    def draw(images, patch_size, ratio):
        masked = torch.zeros_like(images[:, :1], dtype=torch.bool)
        masked[..., : images.shape[-1] // 2] = True
        return masked

    monkeypatch.setattr(masked_image, 'draw_patches', draw)


def test_what_is_masked_is_not_seen(build_rival, make_batch, left_half):
    model = build_rival('mim').eval()
    batch = make_batch(model, [[]], [(64, 64)])
    before = model(**batch)['predicted']
    batch['inputs'][..., :32] += 1
    assert torch.equal(model(**batch)['predicted'], before)
    batch['inputs'][..., 32:] += 1
    assert not torch.allclose(model(**batch)['predicted'], before)


def test_only_masked_pixels_count(build_rival, make_batch, left_half):
    model = build_rival('mim').eval()
    batch = make_batch(model, [[]], [(64, 64)])
    predicted = model(**batch)['predicted']
    expected = (predicted - batch['inputs'])[..., :32].abs().mean()
    torch.testing.assert_close(model(**batch, mode='loss')['loss_pixels'], expected)
    # The backbone of this one is blind, so that the right half could matter as a target only.
    for weight in model.image_encoder.backbone.parameters():
        weight.data.zero_()
    before = model(**batch, mode='loss')['loss_pixels']
    batch['inputs'][..., 32:] += 1
    assert model(**batch, mode='loss')['loss_pixels'] == before
    batch['inputs'][..., :32] += 1
    assert model(**batch, mode='loss')['loss_pixels'] != before


def test_padding_of_a_batch_does_not_count(build_rival, make_batch):
    model = build_rival('mim', mask_ratio=0.99).eval()
    batch = make_batch(model, [[], []], [(64, 64), (40, 50)])
    masked = model(**batch)['masked']
    assert masked[0].all()
    assert masked[1, :, :40, :50].all()
    assert masked[1].sum() == 40 * 50


def test_first_colour_is_the_mean_of_images_and_it_is_learned(build_rival, make_batch):
    model = build_rival('mim')
    assert not model.mask_colour.any()
    batch = make_batch(model, [[]], [(64, 64)])
    model.train()(**batch, mode='loss')['loss_pixels'].backward()
    assert model.mask_colour.grad.abs().min() > 0


@pytest.mark.parametrize('wrong', [dict(mask_ratio=0), dict(mask_ratio=1.0), dict(patch_size=0)])
def test_settings_out_of_range(build_rival, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        build_rival('mim', **wrong)
