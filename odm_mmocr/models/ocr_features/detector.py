"""Features of any MMOCR text detector."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmocr.registry import MODELS
from torch import Tensor, nn

from odm_mmocr.checkpoints import check_fit, load_checkpoint, load_config
from odm_mmocr.checkpoints.architecture import (
    build_backbone,
    describe_architecture,
    effective_normalization,
)
from odm_mmocr.checkpoints.swap import find_network

from .base import FrozenFeatures

# What stands before `backbone.` in checkpoints of a detector, of one in a wrapper for several
# processes, and of one of MMDetection.
PREFIXES = ('', 'module.', 'wrapped_model.', 'module.wrapped_model.')
# Large enough for any backbone to have something at its last stage.
PROBE_SIDE = 64


@MODELS.register_module()
class DetectorFeatures(FrozenFeatures):
    """The backbone of a trained MMOCR detector, with its neck on request.

    Pictures are normalised as the detector's ``data_preprocessor`` does. Its order of channels
    does not matter, for the three channels of a grey picture are equal.

    Args:
        config: Config of the detector: path, ``mmocr::textdet/…``, bare name, or loaded.
        checkpoint: Checkpoint of the detector; without ``with_neck`` also a file with the bare
            weights of the backbone, such as ``tools/export_backbone.py`` writes.
        stages: Indices of the maps to compare, from those that the backbone (or the neck) gives;
            None: all.
        with_neck: Whether to pass the maps of the backbone through the neck.

    Raises:
        FileNotFoundError: There is no such config or checkpoint.
        ValueError: The config has no backbone (or neck); the checkpoint is cut off, unsafe to
            load or of another network; or there is no such stage.
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path,
        stages: Sequence[int] | None = None,
        with_neck: bool = False,
    ):
        cfg = config if isinstance(config, Config) else load_config(str(config))
        source = f'DetectorFeatures: {cfg.filename or "the config"}'
        network, _, scope = find_network(cfg)
        parts = ('backbone', 'neck') if with_neck else ('backbone',)
        modules = [build_part(network, name, scope, source) for name in parts]
        weights = load_checkpoint(checkpoint)
        weights = weights.get('state_dict', weights)
        for name, module in zip(parts, modules):
            found = select_weights(weights, name, bare=not with_neck)
            check_fit(found, module, f'DetectorFeatures: the {name} in {checkpoint}')
            module.load_state_dict(found, strict=False)
        normalization = effective_normalization(
            network.get('data_preprocessor') or cfg.model.get('data_preprocessor')
        )
        super().__init__(
            DetectorStages(modules, stages, source),
            mean=[value / 255 for value in normalization['mean']],
            std=[value / 255 for value in normalization['std']],
        )


class DetectorStages(nn.Module):
    """Some of the maps that a backbone and perhaps a neck give.

    Args:
        parts: The backbone, or backbone and neck.
        stages: Indices of the maps; None: all.
        source: Where they come from, for messages.

    Raises:
        ValueError: There is no such stage.
    """

    def __init__(self, parts: Sequence[nn.Module], stages: Sequence[int] | None, source: str):
        super().__init__()
        self.parts = nn.Sequential(*parts).eval()
        with torch.no_grad():
            count = len(self.all_maps(torch.zeros(1, 3, PROBE_SIDE, PROBE_SIDE)))
        self.stages = tuple(range(count) if stages is None else stages)
        if not self.stages or any(not 0 <= index < count for index in self.stages):
            raise ValueError(
                f'{source}: stages={list(self.stages)}, but there are {count} maps; give indices '
                f'from 0 to {count - 1}, at least one'
            )

    def all_maps(self, images: Tensor) -> Sequence[Tensor]:
        """Return all maps of normalised images (B, 3, H, W)."""
        maps = self.parts(images)
        return [maps] if isinstance(maps, Tensor) else list(maps)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the chosen maps of normalised images (B, 3, H, W)."""
        maps = self.all_maps(images)
        return [maps[index] for index in self.stages]


def build_part(network: Mapping, name: str, scope: str, source: str) -> nn.Module:
    """Build the backbone or the neck of a detector."""
    if not network.get(name):
        raise ValueError(f'{source} has no {name}; give with_neck=False')
    return build_backbone(describe_architecture(network[name], scope))


def select_weights(weights: Mapping[str, Tensor], name: str, bare: bool) -> dict[str, Tensor]:
    """Take the weights of one part out of a checkpoint.

    Args:
        weights: By name.
        name: ``backbone`` or ``neck``.
        bare: Whether weights without any such name are those of this part.

    Returns:
        The weights by their names in the part.
    """
    for prefix in PREFIXES:
        start = f'{prefix}{name}.'
        found = {k.removeprefix(start): v for k, v in weights.items() if k.startswith(start)}
        if found:
            return found
    return dict(weights) if bare else {}
