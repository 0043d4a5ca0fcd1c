"""What a backbone is, and how its images are normalised: recorded, rebuilt, compared."""

import copy
import inspect
import math
from collections.abc import Iterable

import torch
from mmengine.model.base_module import BaseModule
from mmocr.registry import MODELS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from .configs import is_registered

# Settings that neither keys nor mathematics of a backbone depend on.
INITIALISATION = ('init_cfg', 'pretrained', '_delete_')


def describe_architecture(backbone: dict, scope: str = 'mmocr') -> dict:
    """Reduce a backbone's config to plain types from which it can be built anywhere.

    Args:
        backbone: Config of a registered backbone.
        scope: Scope of `type` where the config does not name one.

    Returns:
        The config without initialisation, `type` with its scope unless that is `mmocr`.

    Raises:
        ValueError: A setting is not of a plain type, or `type` is missing.
    """
    if 'type' not in backbone:
        raise ValueError(f'the config of the backbone has no type, only {", ".join(backbone)}')
    scope = backbone.get('_scope_', scope)
    settings = {k: _plain(v) for k, v in backbone.items() if k not in (*INITIALISATION, '_scope_')}
    if scope != 'mmocr' and '.' not in settings['type']:
        settings['type'] = f'{scope}.{settings["type"]}'
    return settings


def _plain(value):
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(v) for v in value)
    if isinstance(value, type):
        return f'{value.__module__}.{value.__qualname__}'
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise ValueError(f'{value!r} in the config of the backbone is not of a plain type')


def name_architecture(architecture: dict) -> str:
    """Name an architecture the way file names do: `resnet50`, `clip-resnet50`, `resnet50-dcnv2`.

    Args:
        architecture: What :func:`describe_architecture` gives.

    Returns:
        Lower-case name without blanks.
    """
    name = architecture['type'].rpartition('.')[2].lower().replace('clipresnet', 'clip-resnet')
    depth = architecture.get('depth', 50 if name == 'clip-resnet' else '')
    convolution = architecture.get('dcn') or {}
    return '-'.join(filter(None, [f'{name}{depth}', str(convolution.get('type', '')).lower()]))


def build_backbone(architecture: dict) -> nn.Module:
    """Build a backbone with random weights; the global random state stays as it is.

    Args:
        architecture: What :func:`describe_architecture` gives.

    Returns:
        The backbone, on the CPU.

    Raises:
        ValueError: A `type` is not the name of a network module.
    """
    _require_modules(architecture)
    with torch.random.fork_rng(devices=[]):
        return MODELS.build(copy.deepcopy(architecture))


def build_layout(architecture: dict) -> nn.Module:
    """Build a backbone to look at, without memory for its weights where the class allows that.

    Args:
        architecture: What :func:`describe_architecture` gives.

    Returns:
        The backbone, with weights on the meta device or random ones.

    Raises:
        ValueError: A `type` is not the name of a network module.
    """
    try:
        with torch.device('meta'):
            return build_backbone(architecture)
    except (NotImplementedError, RuntimeError):  # its constructor reads values of tensors
        return build_backbone(architecture)


def _require_modules(settings) -> None:
    # MMEngine resolves any dotted name, `os.system` too, and a file's record is not to be trusted.
    if isinstance(settings, dict):
        name = settings.get('type')
        module = name
        if isinstance(name, str):
            module = MODELS.get(name) if is_registered(name) else None
        if name is not None and not (isinstance(module, type) and issubclass(module, nn.Module)):
            raise ValueError(
                f'architecture names {name!r}, which is no registered network module; import the '
                'package that registers it (custom_imports)'
            )
        settings = settings.values()
    elif isinstance(settings, str) or not isinstance(settings, Iterable):
        return
    for value in settings:
        _require_modules(value)


def initialises_itself(backbone: nn.Module) -> bool:
    """Tell whether a backbone has an `init_weights` of its own, which may ignore initializers."""
    return getattr(type(backbone), 'init_weights', None) is not BaseModule.init_weights


def module_differences(
    reference: nn.Module, network: nn.Module, additions: tuple[str, ...] = ()
) -> list[str]:
    """Compare the network of a file with another one by what was built, layer by layer.

    Configs are a poor measure: `style` changes a ResNet-50 and does not touch a ResNet-18, other
    `out_indices` or `frozen_stages` change nothing. Class and settings (kernel, stride, eps, …)
    of every layer decide; dropout, momentum and kind of BatchNorm are a matter of training.

    Args:
        reference: The network in the file.
        network: The network to check.
        additions: Names of children that `network` may have in addition; the class of a layer
            with such a child is not compared.

    Returns:
        One line for each layer that differs, in the order of the layers; empty if none does.
    """
    layers, others = _layers(reference), _layers(network)
    changed = {name.rpartition('.')[0] for name in others if name.rpartition('.')[2] in additions}
    differences = []
    for name in dict.fromkeys([*layers, *others]):
        if name in changed or any(part in additions for part in name.split('.')):
            continue
        first, second = layers.get(name, 'nothing'), others.get(name, 'nothing')
        if first != second:
            differences.append(
                f'{name or "the whole"}: {first} in the file, {second} in the network'
            )
    return differences


def _layers(network: nn.Module) -> dict[str, str]:
    return {
        name: _layer(module)
        for name, module in network.named_modules()
        if not isinstance(module, nn.Identity) and 'Drop' not in type(module).__name__
    }


def _layer(module: nn.Module) -> str:
    if isinstance(module, _BatchNorm):
        return f'BatchNorm({module.num_features}, eps={module.eps}, affine={module.affine})'
    settings = module.extra_repr()
    return type(module).__name__ + (f'({settings})' if settings else '')


def effective_normalization(preprocessor: dict | None) -> dict:
    """Read from a data preprocessor's config what it does to pixel values.

    Args:
        preprocessor: Config of a data preprocessor; what it leaves out is taken from the
            defaults of its class. None: no normalisation.

    Returns:
        `mean` and `std`, one float for each channel on the scale 0 to 255, and `bgr_to_rgb`;
        mean 0 and std 1 where it does not normalise.
    """
    settings = dict(preprocessor or {})
    network = MODELS.get(settings['type']) if isinstance(settings.get('type'), str) else None
    if network is not None:
        parameters = inspect.signature(network).parameters
        for name in ('mean', 'std', 'bgr_to_rgb'):
            if name in parameters and parameters[name].default is not inspect.Parameter.empty:
                settings.setdefault(name, parameters[name].default)
    return dict(
        mean=[float(value) for value in settings.get('mean') or (0, 0, 0)],
        std=[float(value) for value in settings.get('std') or (1, 1, 1)],
        # Both names of the setting reverse the channels.
        bgr_to_rgb=bool(settings.get('bgr_to_rgb') or settings.get('rgb_to_bgr')),
    )


def same_normalization(first: dict, second: dict) -> bool:
    """Tell whether two normalisations agree, up to the digits that configs write out.

    Args:
        first: What :func:`effective_normalization` gives.
        second: Likewise.

    Returns:
        Whether channel order is equal and mean and std are within 0.05 of 255 grey levels.
    """
    return first['bgr_to_rgb'] == second['bgr_to_rgb'] and all(
        len(first[name]) == len(second[name])
        and all(math.isclose(a, b, abs_tol=0.05) for a, b in zip(first[name], second[name]))
        for name in ('mean', 'std')
    )


def format_normalization(normalization: dict) -> str:
    """Write a normalisation out for a message."""
    mean, std = (
        '[' + ', '.join(f'{value:g}' for value in normalization[name]) + ']'
        for name in ('mean', 'std')
    )
    return f'mean={mean}, std={std}, bgr_to_rgb={normalization["bgr_to_rgb"]}'
