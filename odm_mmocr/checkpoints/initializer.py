"""`ODMPretrained`: start a backbone from a file, completely or not at all."""

import os

from mmengine.logging import print_log
from mmengine.model.weight_init import update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import nn

from .architecture import (
    build_layout,
    effective_normalization,
    format_normalization,
    module_differences,
    same_normalization,
)
from .loading import load_checkpoint, without_counters

# What a variation of a backbone adds to it: the offsets of deformable convolutions.
ADDITIONS = ('conv_offset',)


@WEIGHT_INITIALIZERS.register_module()
class ODMPretrained:
    """Load a backbone that `export_backbone` has written, and accept no half measures.

    MMEngine's `Pretrained` only warns about keys that do not fit: a ResNet-50 takes 77 of its
    265 tensors from a ResNet-18. Here the architecture in the file is built and compared with
    the module, then every key and shape, and any difference is an error that names it.

    Use: `backbone=dict(…, init_cfg=dict(type='ODMPretrained', checkpoint='backbone_….pth'))`.

    Args:
        checkpoint: Path of the file.
        normalization: What the images of this network are normalised with: `mean`, `std` and
            `bgr_to_rgb`, or the whole config of a data preprocessor. Compared with the file's
            when given.
        allow_missing: Names of sub-modules which the module may have beyond the file's.
        submodule: Dotted name of the backbone within the module that carries this `init_cfg`,
            for backbones whose own `init_weights` ignores initializers.
    """

    def __init__(
        self,
        checkpoint: str | os.PathLike,
        normalization: dict | None = None,
        allow_missing: tuple[str, ...] = ADDITIONS,
        submodule: str = '',
    ):
        self.checkpoint = checkpoint
        self.normalization = normalization
        self.allow_missing = tuple(allow_missing)
        self.submodule = submodule

    def __call__(self, module: nn.Module) -> None:
        """Initialise the children, then load.

        Args:
            module: The backbone, or the module that has it as `submodule`.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is no exported backbone, or does not fit.
        """
        # MMEngine runs every initializer except `Pretrained` before those of the children, which
        # would then write over what is loaded here.
        for child in module.children():
            if hasattr(child, 'init_weights') and not getattr(child, 'is_init', False):
                child.init_weights()
                child.is_init = True
        content = load_backbone(self.checkpoint)
        if self.normalization is not None:
            check_normalization(content, self.normalization, str(self.checkpoint))
        backbone = module.get_submodule(self.submodule)
        count = load_into(backbone, content, str(self.checkpoint), self.allow_missing)
        print_log(
            f'{count} of {count} tensors loaded from {self.checkpoint}'
            + describe_additions(backbone, self.allow_missing),
            logger='current',
        )
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=f'ODMPretrained: {self.checkpoint}')


def load_backbone(path: str | os.PathLike) -> dict:
    """Read a file that `export_backbone` has written.

    Args:
        path: The file.

    Returns:
        Its `state_dict` and `meta`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read, or is something else.
    """
    content = load_checkpoint(path)
    meta = content.get('meta')
    if not isinstance(content.get('state_dict'), dict) or not isinstance(meta, dict):
        raise ValueError(
            f'{path} is no exported backbone: state_dict or meta is missing. {_ADVICE}'
        )
    for name in ('architecture', 'normalization'):
        if not isinstance(meta.get(name), dict):
            raise ValueError(f'{path} is no exported backbone: meta has no {name}. {_ADVICE}')
    return content


_ADVICE = (
    'tools/export_backbone.py makes one from a checkpoint of the pre-training; weights from '
    "elsewhere are loaded, unchecked, by init_cfg=dict(type='Pretrained', checkpoint=…)"
)


def check_normalization(content: dict, wanted: dict, source: str) -> None:
    """Compare the normalisation in a file with that of a network.

    Args:
        content: What :func:`load_backbone` gives.
        wanted: `mean`, `std` and `bgr_to_rgb`, or the config of a data preprocessor.
        source: Name of the file, for messages.

    Raises:
        ValueError: They differ.
    """
    learned = effective_normalization(content['meta']['normalization'])
    wanted = effective_normalization(wanted)
    if not same_normalization(learned, wanted):
        raise ValueError(
            f'{source} was pre-trained with {format_normalization(learned)}, the network has '
            f'{format_normalization(wanted)}. Give its data_preprocessor the values of the '
            'pre-training (--adapt-normalization does), or pre-train with those of the network'
        )


def check_backbone(
    backbone: nn.Module, content: dict, source: str, allow_missing: tuple[str, ...] = ADDITIONS
) -> int:
    """Compare a backbone with the one in a file: layers, keys and shapes.

    Args:
        backbone: The network to load into.
        content: What :func:`load_backbone` gives.
        source: Name of the file, for messages.
        allow_missing: Names of sub-modules which the network may have beyond the file's.

    Returns:
        Number of tensors that will be loaded, BatchNorm's batch counters left out.

    Raises:
        ValueError: Something is missing, unexpected, or of another kind or shape.
    """
    architecture = content['meta']['architecture']
    name = type(backbone).__name__
    reference = build_layout(architecture)
    if type(reference) is not type(backbone):
        kinds = [f'{t.__module__}.{t.__qualname__}' for t in (type(reference), type(backbone))]
        raise ValueError(
            f'{source} holds another architecture: {kinds[0]} in the file, {kinds[1]} in the '
            f'network. Its config: {architecture}'
        )
    if differences := module_differences(reference, backbone, allow_missing):
        raise ValueError(
            f'{source} holds another {name}: {_shorten(differences)}. Config in the file: '
            f'{architecture}. Use a detector with that backbone, or pre-train with this one'
        )
    tensors = without_counters(content['state_dict'])
    wanted = without_counters(backbone.state_dict())
    missing = [
        f'{key} is missing in the file'
        for key in wanted
        if key not in tensors and not set(key.split('.')) & set(allow_missing)
    ]
    unexpected = [f'{key} is not in the network' for key in tensors if key not in wanted]
    shapes = [
        f'{key} is {tuple(tensor.shape)} in the file, {tuple(wanted[key].shape)} in the network'
        for key, tensor in tensors.items()
        if key in wanted and tensor.shape != wanted[key].shape
    ]
    if missing or unexpected or shapes:
        fitting = len(tensors) - len(unexpected) - len(shapes)
        raise ValueError(
            f'{source} does not fit {name}, only {fitting} of {len(tensors)} tensors do: '
            f'{len(missing)} missing, {len(unexpected)} unexpected, {len(shapes)} of another '
            f'shape: {_shorten([*missing, *unexpected, *shapes])}'
        )
    return len(tensors)


def describe_additions(backbone: nn.Module, allow_missing: tuple[str, ...] = ADDITIONS) -> str:
    """Say what a backbone has beyond the one in a file, as the end of a message.

    Args:
        backbone: The network to load into.
        allow_missing: Names of sub-modules which the network may have beyond the file's.

    Returns:
        `; 13 layers of the network are not in the file: …`, or nothing.
    """
    names = (name for name, _ in backbone.named_modules())
    added = [name for name in names if name.rpartition('.')[2] in allow_missing]
    if not added:
        return ''
    return f'; {len(added)} layers of the network are not in the file: {_shorten(added, 1)}'


def load_into(
    backbone: nn.Module, content: dict, source: str, allow_missing: tuple[str, ...] = ADDITIONS
) -> int:
    """Check a file against a backbone (:func:`check_backbone`), then load it."""
    count = check_backbone(backbone, content, source, allow_missing)
    backbone.load_state_dict(content['state_dict'], strict=False)
    return count


def _shorten(lines: list[str], count: int = 3) -> str:
    more = f'; and {len(lines) - count} more' if len(lines) > count else ''
    return '; '.join(lines[:count]) + more
