"""Checkpoints: read safely, written whole; backbones exported, checked, put into detectors."""

from .configs import ConfigOptions, find_config, load_config, read_config_text
from .export import architecture_name, export_backbone, extract_backbone
from .initializer import ODMPretrained, load_backbone
from .loading import check_fit, latest_checkpoint, load_checkpoint, without_counters
from .recalibration import recalibrate_backbone, recalibrate_batch_norm
from .saving import save_checkpoint, save_whole_files
from .swap import swap_backbone, write_swapped_config

__all__ = [
    'ConfigOptions',
    'ODMPretrained',
    'architecture_name',
    'check_fit',
    'export_backbone',
    'extract_backbone',
    'find_config',
    'latest_checkpoint',
    'load_backbone',
    'load_checkpoint',
    'load_config',
    'read_config_text',
    'recalibrate_backbone',
    'recalibrate_batch_norm',
    'save_checkpoint',
    'save_whole_files',
    'swap_backbone',
    'without_counters',
    'write_swapped_config',
]
