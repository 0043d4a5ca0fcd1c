"""Checkpoints: read safely, written whole; backbones exported, checked, put into detectors."""

from .configs import (
    ConfigOptions,
    find_config,
    load_config,
    read_config_text,
    require_registered,
    walk_settings,
)
from .conversion import Conversion, convert_released, read_characters, released_checkpoint
from .export import architecture_name, export_backbone, extract_backbone, halve_backbone
from .guarding import guard_mmengine
from .initializer import ODMPretrained, load_backbone
from .loading import (
    UnreadableCheckpoint,
    check_fit,
    latest_checkpoint,
    load_checkpoint,
    unwrap,
    without_counters,
)
from .recalibration import recalibrate_backbone, recalibrate_batch_norm
from .released import ReleasedModel, from_released, recognize_released, to_released
from .saving import save_checkpoint, save_whole_files
from .swap import swap_backbone, write_swapped_config

__all__ = [
    'ConfigOptions',
    'Conversion',
    'ODMPretrained',
    'ReleasedModel',
    'UnreadableCheckpoint',
    'architecture_name',
    'check_fit',
    'convert_released',
    'export_backbone',
    'extract_backbone',
    'find_config',
    'from_released',
    'guard_mmengine',
    'halve_backbone',
    'latest_checkpoint',
    'load_backbone',
    'load_checkpoint',
    'load_config',
    'read_characters',
    'read_config_text',
    'recalibrate_backbone',
    'recalibrate_batch_norm',
    'recognize_released',
    'released_checkpoint',
    'require_registered',
    'save_checkpoint',
    'save_whole_files',
    'swap_backbone',
    'to_released',
    'unwrap',
    'walk_settings',
    'without_counters',
    'write_swapped_config',
]
