import numpy as np
import pytest
import torch
from mmocr.registry import MODELS
from mmocr.structures import TextDetDataSample

import odm_mmocr  # noqa: F401, registers

SETTINGS = dict(fourier_degree=5, num_reconstr_points=50, text_repr_type='quad', scales=(8, 16, 32))


@pytest.fixture(scope='module')
def both():
    """MMOCR's postprocessor and the fast one."""
    names = 'FCEPostprocessor', 'FastFCEPostprocessor'
    return [MODELS.build(dict(type=name, **SETTINGS)) for name in names]


def curves(rng, count):
    """Random closed curves of 50 points, most of which cross themselves."""
    series = rng.normal(0, 3, (count, 11)) + 1j * rng.normal(0, 3, (count, 11))
    series[:, 5] = rng.uniform(0, 200, count) + 1j * rng.uniform(0, 200, count)
    series[:, 6] += 20
    angle = 2j * np.pi * np.outer(np.arange(-5, 6), np.arange(50)) / 50
    points = series @ np.exp(angle)
    return np.stack([points.real, points.imag], 2).astype(int).reshape(count, 100).tolist()


@pytest.mark.parametrize('threshold', [0.1, 0.5])
@pytest.mark.parametrize('count', [0, 1, 40])
def test_keeps_what_mmocr_keeps(both, count, threshold):
    rng = np.random.default_rng(count)
    polygons = curves(rng, count)
    if count > 9:
        polygons[1] = polygons[0]
        polygons[2], polygons[3] = [5] * 100, [99] * 100  # points only
        polygons[4] = [0, 0] * 25 + [50, 50] * 25  # a line
    scores = rng.uniform(0.3, 1, (count, 1)).round(1).tolist()  # several are equal
    expected, found = (one.poly_nms(list(polygons), list(scores), threshold) for one in both)
    assert [list(part) for part in found] == [list(part) for part in expected]
    if count > 9:
        assert 2 < len(found[0]) < count


def test_polygons_of_an_image(both):
    generator = torch.Generator().manual_seed(0)
    maps = [
        dict(
            cls_res=2 * torch.randn(4, side, side, generator=generator),
            reg_res=torch.randn(22, side, side, generator=generator),
        )
        for side in (48, 24, 12)
    ]
    data_sample = TextDetDataSample()
    expected, found = (
        one.get_text_instances(maps, data_sample.clone()).pred_instances for one in both
    )
    assert len(found.scores) > 5
    assert torch.equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.polygons, expected.polygons)
