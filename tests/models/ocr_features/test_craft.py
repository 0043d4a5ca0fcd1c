import numpy as np
import pytest
import torch
import torch.nn.functional as F

from odm_mmocr.models.losses import ocr_lpips
from odm_mmocr.models.ocr_features import CRAFTFeatures
from odm_mmocr.models.ocr_features import packages as packages_module
from odm_mmocr.models.ocr_features.craft import (
    FC6,
    FC7,
    CRAFTBackbone,
    expected_shapes,
    load_weights,
)

CHANNELS, STRIDES = (128, 256, 512, 512, 1024), (2, 4, 8, 16, 16)


@pytest.fixture(scope='module')
def weights():
    """Random weights under CRAFT's names."""
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, shape in expected_shapes().items():
        value = torch.randn(shape, generator=generator)
        if len(shape) == 4:
            value *= (2 / shape[1:].numel()) ** 0.5
        elif name.endswith('running_var'):
            value = 1 + value.abs()
        weights[name] = value
    return weights


@pytest.fixture(scope='module')
def features():
    pytest.importorskip('easyocr_en_models', reason='the extra "craft" carries the weights')
    return CRAFTFeatures()


def unfolded(weights, images):
    """CRAFT layer by layer in double precision, as its authors define it."""
    weights = {name: value.double() for name, value in weights.items()}
    maps, x = [], images.double()
    for index, part, layer in [
        (1, 1, 0), (2, 1, 3), (3, 1, 7), (4, 1, 10), (5, 2, 14), (6, 2, 17), (7, 3, 20),
        (8, 3, 24), (9, 3, 27), (10, 4, 30), (11, 4, 34), (12, 4, 37),
    ]:  # fmt: skip
        conv, norm = f'basenet.slice{part}.{layer}.', f'basenet.slice{part}.{layer + 1}.'
        x = F.conv2d(x, weights[conv + 'weight'], weights[conv + 'bias'], padding=1)
        x = F.batch_norm(
            x, *(weights[norm + n] for n in ('running_mean', 'running_var', 'weight', 'bias'))
        )
        if index < 12:
            x = x.relu()
        if index in (4, 6, 9, 12):
            maps.append(x)
        if index in (2, 4, 7, 10):
            x = F.max_pool2d(x, 2)
    x = F.max_pool2d(x, 3, 1, 1)
    x = F.conv2d(x, weights[FC6 + '.weight'], weights[FC6 + '.bias'], padding=6, dilation=6)
    maps.append(F.conv2d(x, weights[FC7 + '.weight'], weights[FC7 + '.bias']))
    return maps


@pytest.mark.parametrize('size', [(64, 96), (35, 50)])
def test_maps(weights, size):
    maps = CRAFTBackbone(weights)(torch.zeros(1, 3, *size))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (c, size[0] // s, size[1] // s) for c, s in zip(CHANNELS, STRIDES)
    ]


def test_folding_changes_nothing(weights):
    network = CRAFTBackbone(weights)
    images = torch.randn(1, 3, 64, 80, generator=torch.Generator().manual_seed(1))
    for ours, theirs in zip(network(images), unfolded(weights, images), strict=True):
        error = (ours - theirs).norm() / theirs.norm()
        assert error < 1e-5


def test_too_small_a_picture_is_named(weights):
    with pytest.raises(ValueError, match='12x40, at least 16x16'):
        CRAFTBackbone(weights)(torch.zeros(1, 3, 12, 40))


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_file_with_the_whole_detector(weights, prefix, tmp_path):
    checkpoint = {prefix + name: value for name, value in weights.items()}
    checkpoint[prefix + 'conv_cls.0.weight'] = torch.zeros(1)
    torch.save(checkpoint, tmp_path / 'craft.pth')
    assert load_weights(tmp_path / 'craft.pth').keys() == weights.keys()


def test_broken_files_are_told_apart(weights, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.pth does not exist.*odm_mmocr\[craft\]'):
        CRAFTFeatures(tmp_path / 'none.pth')
    whole = tmp_path / 'craft.pth'
    torch.save(weights, whole)
    short = tmp_path / 'short.pth'
    short.write_bytes(whole.read_bytes()[:100000])
    with pytest.raises(ValueError, match=r'short\.pth \(100,000 bytes\).*cut off.*craft_mlt_25k'):
        CRAFTFeatures(short)
    other = tmp_path / 'other.pth'
    torch.save({'layer1.weight': torch.zeros(3)}, other)
    with pytest.raises(ValueError, match=r'other\.pth holds another network: 76 of the 76 tensors'):
        CRAFTFeatures(other)
    wide = dict(weights, **{FC6 + '.weight': torch.zeros(1024, 512, 1, 1)})
    torch.save(wide, other)
    with pytest.raises(ValueError, match=r'1 of the 76 .* such as basenet\.slice5\.1\.weight'):
        CRAFTFeatures(other)


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(packages_module.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r'easyocr_en_models.*odm_mmocr\[craft\]'):
        CRAFTFeatures()


def test_bfloat16_autocast(features):
    pictures = torch.rand(1, 1, 64, 64, requires_grad=True)
    with torch.autocast('cpu', torch.bfloat16):
        maps = features(pictures)
        distance = ocr_lpips(maps, features(torch.zeros(1, 1, 64, 64)))
    distance.sum().backward()
    assert {m.dtype for m in maps} == {torch.bfloat16}
    assert distance.dtype == torch.float32
    assert pictures.grad.isfinite().all()


def test_value_and_gradient_of_the_released_loss(features, parity):
    folder, recipe = parity
    golden = np.load(folder / 'ocr_lpips_seed0.npz')
    prediction, target = map(torch.from_numpy, recipe.lpips_inputs(seed=0))
    prediction.requires_grad_()
    value = ocr_lpips(features(prediction), features(target))
    value.mean().backward()
    np.testing.assert_allclose(value.detach(), golden['value'], rtol=1e-5)
    gradient = torch.from_numpy(golden['grad'])
    torch.testing.assert_close(prediction.grad, gradient, rtol=1e-3, atol=1e-3 * gradient.std())
    cosine = torch.cosine_similarity(prediction.grad.flatten(1), gradient.flatten(1))
    assert (cosine > 0.999999).all()
