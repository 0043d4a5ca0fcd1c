"""The backbone out of a checkpoint of a pre-training, as a file of its own."""

import os
from collections.abc import Mapping

import torch
from mmengine.config import Config
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
from .swap import find_network, find_preprocessor, pipeline_normalizations

# Where a config has the network with the backbone, and what its weights begin with.
PREFIXES = {
    'model.image_encoder': 'image_encoder.backbone.',
    'model': 'backbone.',
    'model.cfg': 'wrapped_model.backbone.',
}
# What ODM and its rivals build where their config names none.
DEFAULT_PREPROCESSOR = dict(type='ODMDataPreprocessor')


def export_backbone(
    checkpoint: str | os.PathLike | Mapping,
    out: str | os.PathLike,
    prefer_ema: bool = True,
    architecture: dict | None = None,
    normalization: dict | None = None,
) -> dict:
    """Write the backbone of a checkpoint into a file that detectors start from.

    The checkpoint is of ODM, of one of its rivals, or of a detector whose training was the
    pre-training. The file holds nothing but tensors and plain types: `ODMPretrained` loads it with
    all checks, plain MMOCR loads it with `init_cfg=dict(type='Pretrained', checkpoint=…)`.

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
        ValueError: It is no checkpoint of a pre-training, cannot be read, has weights that are not
            finite or do not fit its architecture, or says nothing of architecture or
            normalisation.
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
    weights = _weights(checkpoint, raw=averaged and not prefer_ema)
    prefix = _find_prefix(weights, source, checkpoint)
    state_dict = _bare(weights, prefix, source)
    meta = checkpoint.get('meta') or {}
    scope = 'mmocr'
    if architecture is None or normalization is None:
        recorded = _read_config(meta, source, prefix)
        if architecture is None:
            network, _, scope = find_network(recorded)
            architecture = network.backbone
        if normalization is None:
            normalization = _find_normalization(recorded, source)
    iteration = meta.get('iter')
    architecture = describe_architecture(architecture, scope)
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


def _find_prefix(weights: Mapping, source: str, checkpoint: Mapping) -> str:
    """What the names of the backbone's weights begin with."""
    for prefix in PREFIXES.values():
        if any(str(key).startswith(prefix) for key in weights):
            return prefix
    raise ValueError(
        f'{source} is no checkpoint of a pre-training: no key starts with '
        f'{", ".join(map(repr, PREFIXES.values()))}. It {_found(weights, checkpoint)}'
    )


def _bare(weights: Mapping, prefix: str, source: str) -> dict[str, Tensor]:
    tensors = {
        # A copy of its own, in plain memory order: a view would save all the memory it is part of.
        key.removeprefix(prefix): value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, value in weights.items()
        if key.startswith(prefix)
    }
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(
                f'{source}: {key} of the backbone has values that are not finite: the training '
                'diverged, take an earlier checkpoint'
            )
    return tensors


def _find_normalization(cfg: Config, source: str) -> dict | None:
    """What images were normalised with, as `effective_normalization` takes it; None: nothing."""
    preprocessor, place = find_preprocessor(cfg)
    if preprocessor is None and find_network(cfg)[1] == 'model.image_encoder':
        preprocessor = DEFAULT_PREPROCESSOR
    in_pipelines = list(pipeline_normalizations(cfg))
    if not in_pipelines:
        return preprocessor
    where, normalization = in_pipelines[0]
    later = effective_normalization(preprocessor)
    if later['mean'] == [0, 0, 0] and later['std'] == [1, 1, 1] and not later['bgr_to_rgb']:
        return normalization
    raise ValueError(
        f'{source}: images were normalised in {where} and again by {place}.data_preprocessor; say '
        'with normalization what they were in all'
    )


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
    if any(key.startswith(('visual.', 'module.visual.')) for key in keys):
        return (
            'has the key names of the reference implementation; convert it first: '
            'tools/convert_checkpoint.py'
        )
    return f'has {len(keys)} keys, the first are {", ".join(keys[:3]) or "none"}'


def architecture_name(checkpoint: Mapping) -> str:
    """Name the backbone of a checkpoint the way file names do.

    Args:
        checkpoint: Content of a training checkpoint or of an exported backbone.

    Returns:
        `resnet50`, `clip-resnet50`, `resnet50-dcnv2`, …

    Raises:
        ValueError: It carries neither an architecture nor the config of a pre-training.
    """
    meta = checkpoint.get('meta') or {}
    architecture, scope = meta.get('architecture'), 'mmocr'
    if not architecture:
        network, _, scope = find_network(_read_config(meta, 'the checkpoint'))
        architecture = network.backbone
    return name_architecture(describe_architecture(architecture, scope))


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
    model = _read_config(meta, source, PREFIXES['model.image_encoder']).model.to_dict()
    if missing := {'text_controller', 'head'} - model.keys():
        raise ValueError(
            f'{source} does not carry the config of an ODM model: that of a {model.get("type")} '
            f'has no {" and no ".join(sorted(missing))}'
        )
    return model


def _read_config(meta: Mapping, source: str, prefix: str | None = None) -> Config:
    """The config of a training, whose network has a backbone where `prefix` says, or anywhere."""
    try:
        cfg = Config(read_config_text(meta['cfg']))
        place = find_network(cfg)[1]
        require_registered(cfg.model.to_dict(), 'it')
        if prefix in (None, PREFIXES[place]):
            return cfg
        reason = f'its backbone is in {place}, that of the weights in {prefix[:-1]}'
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f'no {error}' if isinstance(error, KeyError) else str(error)
    kind = 'an ODM model' if prefix == PREFIXES['model.image_encoder'] else 'its model'
    raise ValueError(
        f'{source} does not carry the config of {kind} ({reason}); give architecture and '
        'normalization, or a config'
    )
