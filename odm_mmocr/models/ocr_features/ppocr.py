"""Features of the PP-OCRv4 text detector, carried by the package rapidocr-onnxruntime."""

import hashlib
import importlib.util
from pathlib import Path

from mmocr.registry import MODELS
from torch import nn

from .base import FrozenFeatures

PACKAGE = 'rapidocr_onnxruntime'
MODEL_FILE = 'models/ch_PP-OCRv4_det_infer.onnx'
MODEL_SHA256 = 'd2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9'
# The last map before the next downsampling: 32, 48, 96, 192, 384 channels at strides 2 to 32.
STAGES = ('p2o.Add.11', 'p2o.Add.43', 'p2o.Add.71', 'p2o.Add.147', 'p2o.Add.215')
INSTALL = 'install the extra: pip install "odm_mmocr[ppocr]"'


@MODELS.register_module()
class PPOCRFeatures(FrozenFeatures):
    """The five stages of PP-OCRv4's mobile detector (PP-LCNetV3), as a frozen torch module.

    About a tenth of the cost of CRAFT, which the paper uses. The network comes as an ONNX file
    inside the package ``rapidocr-onnxruntime`` 1.4.4 and is turned into torch by ``onnx2torch``;
    nothing is downloaded.

    Args:
        path: The ONNX file; None: the one in the package.

    Raises:
        ImportError: A package of the extra ``ppocr`` is missing.
        FileNotFoundError: There is no file at ``path``.
        ValueError: The file is another network, or damaged.
    """

    def __init__(self, path: str | Path | None = None):
        super().__init__(load_stages(Path(path) if path else packaged_file()))


def packaged_file() -> Path:
    """Find the ONNX file in the installed package, without importing it."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None:
        raise ImportError(f'PPOCRFeatures needs the package rapidocr-onnxruntime; {INSTALL}')
    return Path(spec.submodule_search_locations[0]) / MODEL_FILE


def load_stages(path: Path) -> nn.Module:
    """Read PP-OCRv4's detector and return the part of it that ends in :data:`STAGES`."""
    try:
        import onnx
        from onnx.utils import Extractor
        from onnx2torch import convert
    except ImportError as error:
        raise ImportError(f'PPOCRFeatures needs the package {error.name}; {INSTALL}') from error
    if not path.is_file():
        raise FileNotFoundError(f'PPOCRFeatures: there is no file {path}')
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != MODEL_SHA256:
        raise ValueError(
            f'PPOCRFeatures: {path} ({len(data)} bytes) is not the PP-OCRv4 detector of '
            'rapidocr-onnxruntime 1.4.4, or it is damaged; install the package again'
        )
    model = onnx.load_model_from_string(data)
    make_initializers(model.graph)
    model.graph.value_info.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in STAGES
    )
    inputs = [value.name for value in model.graph.input]
    return convert(Extractor(model).extract_model(inputs, list(STAGES)))


def make_initializers(graph) -> None:
    """Turn Constant nodes into initializers, which onnx2torch makes parameters of."""
    constants = [node for node in graph.node if node.op_type == 'Constant']
    for node in constants:
        tensor = node.attribute[0].t
        tensor.name = node.output[0]
        graph.initializer.append(tensor)
        graph.node.remove(node)
