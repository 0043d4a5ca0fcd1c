"""The backbone out of an ODM checkpoint, as a file of its own."""

import os
from collections.abc import Mapping

import torch
from torch import Tensor

from odm_mmocr.version import __version__

from .architecture import (
    build_layout,
    describe_architecture,
    effective_normalization,
    name_architecture,
)
from .configs import read_config_text, require_registered
from .loading import check_fit, load_checkpoint
from .saving import save_checkpoint

PREFIX = 'image_encoder.backbone.'
# What ODM builds where its config names none.
DEFAULT_PREPROCESSOR = dict(type='ODMDataPreprocessor')


def export_backbone(
    checkpoint: str | os.PathLike | Mapping,
    out: str | os.PathLike,
    prefer_ema: bool = True,
    architecture: dict | None = None,
    normalization: dict | None = None,
) -> dict:
    """Write the backbone of an ODM checkpoint into a file that detectors start from.

    The file holds nothing but tensors and plain types: `ODMPretrained` loads it with all checks,
    plain MMOCR loads it with `init_cfg=dict(type='Pretrained', checkpoint=…)`.

    Args:
        checkpoint: Path of a training checkpoint, or its content as MMEngine saves it.
        out: The file to write, whole or not at all.
        prefer_ema: Take the averaged weights where training kept some.
        architecture: Config of the backbone, where the checkpoint carries no config.
        normalization: `mean`, `std` and `bgr_to_rgb` of pre-training, likewise.

    Returns:
        What was written: `state_dict` with bare keys (`layer1.0.conv1.weight`), and `meta` with
        `odm_mmocr` (version), `architecture`, `normalization`, `iteration` (int or None) and
        `weights` ('averaged' or 'raw').

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: It is not an ODM checkpoint, cannot be read, has weights that are not finite
            or do not fit its architecture, or says nothing of architecture or normalisation.
    """
    backbone = extract_backbone(checkpoint, prefer_ema, architecture, normalization)
    save_checkpoint(backbone, out)
    return backbone


def extract_backbone(
    checkpoint: str | os.PathLike | Mapping,
    prefer_ema: bool = True,
    architecture: dict | None = None,
    normalization: dict | None = None,
    source: str = 'the checkpoint',
) -> dict:
    """Do what :func:`export_backbone` does, without writing a file.

    `source` names a checkpoint that is given by its content, for messages.
    """
    if not isinstance(checkpoint, Mapping):
        source, checkpoint = str(checkpoint), load_checkpoint(checkpoint)
    averaged = bool(checkpoint.get('ema_state_dict'))
    state_dict = _bare(_weights(checkpoint, raw=averaged and not prefer_ema), source, checkpoint)
    meta = checkpoint.get('meta') or {}
    if architecture is None or normalization is None:
        model = model_config(meta, source)
        architecture = architecture or model['image_encoder']['backbone']
        normalization = normalization or model.get('data_preprocessor') or DEFAULT_PREPROCESSOR
    iteration = meta.get('iter')
    architecture = describe_architecture(architecture)
    _check_layout(state_dict, architecture, source)
    return dict(
        state_dict=state_dict,
        meta=dict(
            odm_mmocr=__version__,
            architecture=architecture,
            normalization=effective_normalization(normalization),
            iteration=None if iteration is None else int(iteration),
            weights='averaged' if averaged and prefer_ema else 'raw',
        ),
    )


def halve_backbone(backbone: Mapping) -> dict:
    """Store the convolutions of an exported backbone in half precision, for a file half as large.

    BatchNorm's weights and statistics stay as they are: they are few, and may be out of range.
    A network that loads the file is in its own precision as before.

    Args:
        backbone: What :func:`extract_backbone` gives.

    Returns:
        A copy, `precision` noted in `meta`.

    Raises:
        ValueError: A weight is out of the range of half precision.
    """
    halved = {
        key: tensor.half() if tensor.is_floating_point() and tensor.dim() > 1 else tensor
        for key, tensor in backbone['state_dict'].items()
    }
    for key, tensor in halved.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f'{key} has weights beyond the range of half precision, 65504')
    return dict(backbone, state_dict=halved, meta=dict(backbone['meta'], precision='float16'))


def _weights(checkpoint: Mapping, raw: bool) -> Mapping:
    # MMEngine's EMAHook exchanges the two when it saves: `state_dict` has the averaged weights,
    # so that a checkpoint tests as it was validated, and `ema_state_dict` the raw ones.
    if not raw:
        return checkpoint.get('state_dict', checkpoint)
    return {
        key.removeprefix('module.'): value
        for key, value in checkpoint['ema_state_dict'].items()
        if key.startswith('module.')
    }


def _bare(weights: Mapping, source: str, checkpoint: Mapping) -> dict[str, Tensor]:
    tensors = {
        # A copy of its own, in plain memory order: a view would save all the memory it is part of.
        key.removeprefix(PREFIX): value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, value in weights.items()
        if key.startswith(PREFIX)
    }
    if not tensors:
        raise ValueError(
            f'{source} is no ODM checkpoint: no key starts with {PREFIX!r}. '
            f'It {_found(weights, checkpoint)}'
        )
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(
                f'{source}: {key} of the backbone has values that are not finite: the training '
                'diverged, take an earlier checkpoint'
            )
    return tensors


def _check_layout(state_dict: Mapping[str, Tensor], architecture: dict, source: str) -> None:
    try:
        layout = build_layout(architecture)
    except ValueError:
        return  # of a package that is not imported here; the detector that takes it compares
    check_fit(state_dict, layout, f'the backbone of {source}')


def _found(weights: Mapping, checkpoint: Mapping) -> str:
    meta = checkpoint.get('meta')
    keys = [str(key) for key in weights]
    if isinstance(meta, Mapping) and 'odm_mmocr' in meta:
        return 'is a backbone that was exported already; use it as it is'
    if any(key.startswith(('backbone.', 'wrapped_model.backbone.')) for key in keys):
        return 'is the checkpoint of a detector or recognizer; give the one of the pre-training'
    if any(key.startswith(('visual.', 'module.visual.')) for key in keys):
        return (
            'has the key names of the reference implementation; convert it first: '
            'tools/convert_checkpoint.py'
        )
    return f'has {len(keys)} keys, the first are {", ".join(keys[:3]) or "none"}'


def architecture_name(checkpoint: Mapping) -> str:
    """Name the backbone of a checkpoint the way file names do.

    Args:
        checkpoint: Content of an ODM training checkpoint or of an exported backbone.

    Returns:
        `resnet50`, `clip-resnet50`, `resnet50-dcnv2`, …

    Raises:
        ValueError: It carries neither an architecture nor the config of an ODM model.
    """
    meta = checkpoint.get('meta') or {}
    backbone = (
        meta.get('architecture')
        or model_config(meta, 'the checkpoint')['image_encoder']['backbone']
    )
    return name_architecture(describe_architecture(backbone))


def model_config(meta: Mapping, source: str) -> dict:
    """Read the config of the ODM model out of a checkpoint's meta.

    Args:
        meta: `checkpoint['meta']`.
        source: Name of the checkpoint, for messages.

    Returns:
        The settings of `model`, as plain types.

    Raises:
        ValueError: There is none, or it is not of an ODM.
    """
    try:
        model = read_config_text(meta['cfg'])['model']
        if 'backbone' in model['image_encoder']:
            require_registered(model, 'it')
            return model
        reason = "no 'backbone'"
    except (KeyError, TypeError, ValueError) as error:
        reason = f'no {error}' if isinstance(error, KeyError) else str(error)
    raise ValueError(
        f'{source} does not carry the config of an ODM model ({reason}); give architecture and '
        'normalization, or a config'
    )
