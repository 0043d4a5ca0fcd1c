"""What a backbone starts from, as a file that every run checks in the same way."""

import hashlib
import os
from pathlib import Path

from mmengine.config import Config
from torch import uint8

from odm_mmocr.checkpoints import load_checkpoint
from odm_mmocr.checkpoints.architecture import (
    build_layout,
    describe_architecture,
    effective_normalization,
    format_normalization,
)
from odm_mmocr.checkpoints.initializer import check_backbone
from odm_mmocr.checkpoints.loading import without_counters
from odm_mmocr.checkpoints.saving import save_checkpoint
from odm_mmocr.checkpoints.swap import find_network, find_preprocessor

from .protocol import RANDOM, RANDOM_WEIGHTS, Start

PREFIXES = ('module.', 'backbone.')
# Of a classifier, not of a backbone.
CLASSIFIER = ('fc.', 'head.')


def parse_start(text: str) -> Start:
    """Read `random`, or `NAME=FILE`.

    Raises:
        ValueError: It is neither.
    """
    if text == RANDOM:
        return Start(RANDOM)
    name, separator, file = text.partition('=')
    if not separator or not file:
        raise ValueError(f'{text!r} is no start: random, or NAME=FILE with a backbone file')
    if name == RANDOM or not name or not all(c.isalnum() or c in '-.' for c in name):
        raise ValueError(
            f'{name!r} cannot name a start: letters, digits, "-" and "." can, {RANDOM} is taken'
        )
    return Start(name, file)


def prepare_start(start: Start, cfg: Config, folder: str | os.PathLike) -> tuple[Start, str]:
    """Check that a file fits the backbone of a config, and make it one that says what it is.

    Exported backbones are copied as they are: a pre-training that goes on writes its own anew.
    Bare weights, such as those that torchvision publishes for ImageNet, are written into one, with
    the detector's architecture and normalisation as theirs.

    Args:
        start: The start.
        cfg: Config of the detector.
        folder: For the files that are written; the name of each has the fingerprint of its
            content.

    Returns:
        The start with the file to use, and what it is, for people. A file with a fingerprint that
        is gone is none that can be used; the runs that it was needed for may be made already.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It does not fit; it says where.
    """
    if start.file is None:
        return start, RANDOM_WEIGHTS
    if start.fingerprint:
        kept = _kept_file(start.name, start.fingerprint, folder)
        if kept.is_file() or not Path(start.file).is_file():
            return Start(start.name, str(kept)), 'exported backbone'
    content = load_checkpoint(start.file)
    network, _, scope = find_network(cfg)
    architecture = describe_architecture(network.backbone, scope)
    meta = content.get('meta')
    if isinstance(meta, dict) and 'architecture' in meta:
        check_backbone(build_layout(architecture), content, start.file)
        what = f'exported backbone, iteration {meta.get("iteration")}'
        if meta.get('converted_from'):
            what = f'converted from {meta["converted_from"]}'
        return _keep(start, content, folder), what
    weights = _bare(content.get('state_dict', content))
    normalization = network_normalization(cfg)
    exported = dict(
        state_dict=weights,
        meta=dict(architecture=architecture, normalization=normalization),
    )
    count = check_backbone(build_layout(architecture), exported, start.file)
    return (
        _keep(start, exported, folder),
        f'bare weights, {count} tensors, used with {format_normalization(normalization)}',
    )


def network_normalization(cfg: Config) -> dict:
    """What the detector of a config does to pixel values; see :func:`effective_normalization`."""
    return effective_normalization(find_preprocessor(cfg)[0])


def _keep(start: Start, content: dict, folder: str | os.PathLike) -> Start:
    path = _kept_file(start.name, fingerprint(content), folder)
    if not path.is_file():
        save_checkpoint(content, path)
    return Start(start.name, str(path))


def _kept_file(name: str, content: str, folder: str | os.PathLike) -> Path:
    return Path(folder).resolve() / f'{name}-{content}.pth'


def fingerprint(content: dict) -> str:
    """Tell exported backbones apart by what they hold, not by their files.

    Args:
        content: An exported backbone.

    Returns:
        Twelve hexadecimal digits.
    """
    meta = content['meta']
    digest = hashlib.sha256(repr((meta['architecture'], meta.get('normalization'))).encode())
    for name, tensor in sorted(content['state_dict'].items()):
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        digest.update(tensor.contiguous().reshape(-1).view(uint8).numpy().tobytes())
    return digest.hexdigest()[:12]


def _bare(weights: dict) -> dict:
    """Strip what training wraps around a backbone, and what classifiers have besides."""
    bare = dict(weights)
    for prefix in PREFIXES:
        inner = {k.removeprefix(prefix): v for k, v in bare.items() if k.startswith(prefix)}
        bare = inner or bare
    return {
        key: tensor
        for key, tensor in without_counters(bare).items()
        if not key.startswith(CLASSIFIER)
    }
