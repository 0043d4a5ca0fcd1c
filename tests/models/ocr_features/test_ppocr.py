import sys

import numpy as np
import pytest
import torch

from odm_mmocr.models.ocr_features import PPOCRFeatures
from odm_mmocr.models.ocr_features.ppocr import STAGES, packaged_file


@pytest.fixture(scope='module')
def features():
    pytest.importorskip('onnx2torch')
    pytest.importorskip('rapidocr_onnxruntime')
    return PPOCRFeatures()


def test_five_stages_at_strides_2_to_32(features):
    maps = features(torch.zeros(1, 3, 96, 160))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (32, 48, 80),
        (48, 24, 40),
        (96, 12, 20),
        (192, 6, 10),
        (384, 3, 5),
    ]


def test_equals_onnxruntime(features):
    onnx = pytest.importorskip('onnx')
    runtime = pytest.importorskip('onnxruntime')
    model = onnx.load(packaged_file())
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in STAGES)
    session = runtime.InferenceSession(model.SerializeToString())
    image = np.random.default_rng(0).standard_normal((2, 3, 64, 96)).astype(np.float32)
    expected = session.run(list(STAGES), {session.get_inputs()[0].name: image})
    for ours, theirs in zip(features(torch.from_numpy(image)), expected, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-4)


def test_gradient_reaches_the_image(features):
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    sum(m.square().mean() for m in features(image)).backward()
    assert image.grad.abs().sum() > 0


def test_wrong_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.onnx'):
        PPOCRFeatures(tmp_path / 'none.onnx')
    other = tmp_path / 'other.onnx'
    other.write_bytes(b'short')
    with pytest.raises(ValueError, match=r'other\.onnx \(5 bytes\) is not the PP-OCRv4'):
        PPOCRFeatures(other)


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnx2torch', None)
    with pytest.raises(ImportError, match=r'odm_mmocr\[ppocr\]'):
        PPOCRFeatures()
