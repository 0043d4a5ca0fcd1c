import importlib.util
import sys

import numpy as np
import pytest
import torch

from odm_mmocr.models.ocr_features import PPOCRFeatures
from odm_mmocr.models.ocr_features import packages as packages_module
from odm_mmocr.models.ocr_features.packages import packaged_file
from odm_mmocr.models.ocr_features.ppocr import DETECTORS

FIRST = {'v4': 32, 'v6': 48}


@pytest.fixture(scope='module', params=list(DETECTORS))
def detector(request):
    detector = DETECTORS[request.param]
    pytest.importorskip('onnx2torch')
    if importlib.util.find_spec(detector.module) is None:
        pytest.skip(detector.install)
    return detector


@pytest.fixture(scope='module')
def features(detector):
    return PPOCRFeatures(version(detector))


def version(detector):
    return next(name for name, other in DETECTORS.items() if other == detector)


def file_of(detector):
    return packaged_file(detector.module, detector.file, 'test', detector.install)


def test_five_stages_at_strides_2_to_32(features, detector):
    maps = features(torch.zeros(1, 3, 96, 160))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (FIRST[version(detector)], 48, 80),
        (48, 24, 40),
        (96, 12, 20),
        (192, 6, 10),
        (384, 3, 5),
    ]


@pytest.mark.parametrize('size', [(64, 96), (67, 101)])
def test_equals_onnxruntime(features, detector, size):
    onnx = pytest.importorskip('onnx')
    runtime = pytest.importorskip('onnxruntime')
    model = onnx.load(file_of(detector))
    model.graph.value_info.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in detector.stages
    )
    # Without what follows the backbone, which takes multiples of 32 only.
    model = onnx.utils.Extractor(model).extract_model(['x'], list(detector.stages))
    session = runtime.InferenceSession(model.SerializeToString())
    images = np.random.default_rng(0).standard_normal((2, 3, *size)).astype(np.float32)
    expected = session.run(list(detector.stages), {'x': images})
    ours = features.network.network(torch.from_numpy(images))
    for our, their in zip(ours, expected, strict=True):
        np.testing.assert_allclose(our.numpy(), their, rtol=1e-4, atol=1e-4 * np.abs(their).max())


def test_gradient_reaches_the_image(features):
    pictures = torch.rand(1, 1, 64, 64, requires_grad=True)
    sum(m.square().mean() for m in features(pictures)).backward()
    assert pictures.grad.abs().sum() > 0


def test_unknown_version_is_named():
    with pytest.raises(ValueError, match="version='v5' is none of v4, v6"):
        PPOCRFeatures('v5')


def test_broken_files_are_told_apart(detector, tmp_path):
    onnx = pytest.importorskip('onnx')
    name = version(detector)
    with pytest.raises(FileNotFoundError, match=rf'none\.onnx; expected is the .*PP-OCR{name}'):
        PPOCRFeatures(name, tmp_path / 'none.onnx')
    whole = file_of(detector).read_bytes()
    path = tmp_path / 'given.onnx'
    path.write_bytes(whole[:100000])
    with pytest.raises(ValueError, match=r'given\.onnx \(100,000 bytes\) is cut off or no ONNX'):
        PPOCRFeatures(name, path)
    model = onnx.load_model_from_string(whole)
    model.graph.node.pop()
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=r'given\.onnx .* is another network, or was changed'):
        PPOCRFeatures(name, path)
    path.write_bytes(whole)
    other = next(other for other in DETECTORS if other != name)
    with pytest.raises(ValueError, match=rf"is the .*PP-OCR{name}.*; give version='{name}'"):
        PPOCRFeatures(other, path)


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnx2torch', None)
    with pytest.raises(ImportError, match=r'onnx2torch.*odm_mmocr\[ppocr\]'):
        PPOCRFeatures()


def test_missing_weights_name_the_package(monkeypatch):
    pytest.importorskip('onnx2torch')
    monkeypatch.setattr(packages_module.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r'rapidocr_onnxruntime.*odm_mmocr\[ppocr\]'):
        PPOCRFeatures('v4')
    with pytest.raises(ImportError, match=r'pip install --no-deps rapidocr==3\.10\.0'):
        PPOCRFeatures('v6')
