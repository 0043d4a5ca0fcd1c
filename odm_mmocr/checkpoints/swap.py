"""A pre-trained backbone into the config of a detector."""

import inspect
import os
from pathlib import Path

from mmengine.config import Config
from torch import nn

from odm_mmocr.output_files import written_whole

from .architecture import (
    build_layout,
    describe_architecture,
    effective_normalization,
    format_normalization,
    initialises_itself,
    same_normalization,
)
from .configs import external_name
from .initializer import check_backbone, check_normalization, describe_additions, load_backbone

# Settings of a ResNet that change how its layers compute, and neither channels nor strides of what
# it hands on: necks and heads do not notice.
ADAPTABLE = ('style', 'deep_stem', 'stem_channels', 'avg_down')


def swap_backbone(
    cfg: Config,
    backbone_file: str | os.PathLike,
    adapt_normalization: bool = False,
    adapt_architecture: bool = False,
) -> list[str]:
    """Let a detector start from a backbone file, after checking that it can.

    Args:
        cfg: Config of any detector with a `model.backbone`, or of an `MMDetWrapper` with a
            `model.cfg.backbone`. Changed in place, and only when everything fits.
        backbone_file: File that `export_backbone` has written.
        adapt_normalization: Give the detector the normalisation of the file where they differ,
            instead of an error.
        adapt_architecture: Likewise with the place of the strides and the kind of stem of a
            ResNet (:data:`ADAPTABLE`), by which several stock detectors differ from others.

    Returns:
        One line for each change, for the user.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no exported backbone; the config has no backbone, or one that does
            not build; architecture, keys or normalisation differ.
    """
    content = load_backbone(backbone_file)
    network, place, scope = find_network(cfg)
    backbone, count, settings = _fit_architecture(
        describe_architecture(network.backbone, scope), content, backbone_file, adapt_architecture
    )
    changes = _swap_normalization(cfg, content, backbone_file, adapt_normalization)
    for name, value in settings.items():
        before = network.backbone.get(name, 'not set')
        changes.append(f'{place}.backbone.{name}: {before} -> {value}, as in pre-training')
    network.backbone.update(settings)

    init_cfg = dict(
        type='ODMPretrained',
        checkpoint=str(Path(backbone_file).expanduser().resolve()),
        normalization=effective_normalization(content['meta']['normalization']),
    )
    carrier, where = network.backbone, f'{place}.backbone'
    if initialises_itself(backbone):
        # Such a backbone never calls initializers: the network around it does.
        network.backbone.init_cfg = None
        init_cfg['submodule'] = 'backbone'
        carrier, where = network, place
    elif network.get('init_cfg'):
        changes.append(f'{place}.init_cfg: {_sources(network.init_cfg)} -> None, it would win')
        network.init_cfg = None
    changes.append(
        f'{where}.init_cfg: {_sources(carrier.get("init_cfg"))} -> {backbone_file} '
        f'({count} tensors{describe_additions(backbone)})'
    )
    carrier.init_cfg = init_cfg
    if network.backbone.get('pretrained'):
        changes.append(f'{place}.backbone.pretrained: {network.backbone.pretrained} -> None')
        network.backbone.pretrained = None
    if cfg.get('load_from'):
        changes.append(f'load_from: {cfg.load_from} -> None, it would replace the backbone')
        cfg.load_from = None
    imports = cfg.get('custom_imports') or dict(imports=[], allow_failed_imports=False)
    names = [imports['imports']] if isinstance(imports['imports'], str) else imports['imports']
    if 'odm_mmocr' not in names:
        cfg.custom_imports = dict(imports, imports=[*names, 'odm_mmocr'])
        changes.append('custom_imports: odm_mmocr added')
    return changes


def write_swapped_config(
    base: str | os.PathLike, original: Config, swapped: Config, out: str | os.PathLike
) -> None:
    """Write what :func:`swap_backbone` has changed as a small config that inherits the original.

    Args:
        base: Path of the original config.
        original: The config as it was.
        swapped: The config as it is now.
        out: The file to write.

    Raises:
        ValueError: `out` is the original, or the original is of a kind that no file can inherit by
            its path.
    """
    base, out = Path(base).resolve(), Path(out).resolve()
    if base == out:
        raise ValueError(f'{out} would inherit itself; give another file to write')
    if not isinstance(original.model.get('type'), str):
        raise ValueError(
            f'{base} imports its classes, such a config cannot be inherited by its path; '
            'tools/train.py --backbone starts it without another file'
        )
    name = external_name(base) or Path(os.path.relpath(base, out.parent)).as_posix()
    changes = Config(_changes(original.to_dict(), swapped.to_dict())).pretty_text
    with written_whole(out) as file:
        file.write(f'_base_ = {name!r}\n\n{changes}'.encode())


def _changes(before: dict, after: dict) -> dict:
    changes = {}
    for key, value in after.items():
        if key in before and before[key] == value:
            continue
        if isinstance(value, dict) and isinstance(before.get(key), dict):
            value = (
                dict(value, _delete_=True) if key == 'init_cfg' else _changes(before[key], value)
            )
        elif isinstance(value, dict) and key in before:
            value = dict(value, _delete_=True)
        changes[key] = value
    return changes


def find_network(cfg: Config):
    """Find what has the backbone, its place in the config, and the scope of its type."""
    model = cfg.get('model') or {}
    for network, place, scope in (
        (model, 'model', 'mmocr'),
        (model.get('cfg'), 'model.cfg', 'mmdet'),
        (model.get('image_encoder'), 'model.image_encoder', 'mmocr'),
    ):
        if isinstance(network, dict) and isinstance(network.get('backbone'), dict):
            return network, place, scope
    raise ValueError(
        f'{cfg.filename or "the config"} has no model.backbone (nor model.cfg.backbone); the '
        f'settings of its model are: {", ".join(model) or "none"}'
    )


def find_preprocessor(cfg: Config):
    """Find the config of the data preprocessor, or None, and the place of what has it."""
    network, place, _ = find_network(cfg)
    # A wrapper of an MMDetection network leaves it to that network.
    if 'data_preprocessor' not in network:
        network, place = cfg.model, 'model'
    return network.get('data_preprocessor'), place


def _fit_architecture(
    settings: dict, content: dict, source: str | os.PathLike, adapt: bool
) -> tuple[nn.Module, int, dict]:
    """Check the backbone; return it, the number of tensors, and the settings it had to be given."""
    try:
        backbone = build_layout(settings)
    except (TypeError, AssertionError, KeyError) as error:
        raise ValueError(
            f'the backbone of the config does not build: {type(error).__name__}: {error}'
        ) from error
    try:
        return backbone, check_backbone(backbone, content, str(source)), {}
    except ValueError as misfit:
        known = inspect.signature(type(backbone)).parameters
        wanted = {
            name: content['meta']['architecture'].get(name, known[name].default)
            for name in ADAPTABLE
            if name in known
        }
        given = {name: settings.get(name, known[name].default) for name in wanted}
        changed = {name: value for name, value in wanted.items() if value != given[name]}
        adapted = build_layout({**settings, **changed})
        try:
            count = check_backbone(adapted, content, str(source))
        except ValueError:
            raise misfit from None
        if not adapt:
            listed = ', '.join(f'{name}={value!r}' for name, value in changed.items())
            raise ValueError(
                f'{misfit}, or give this one {listed}, as in pre-training (--adapt-architecture '
                'does)'
            ) from None
        return adapted, count, changed


def _sources(init_cfg: dict | list | None) -> str:
    """Name what initializers load, or their kinds."""
    several = init_cfg if isinstance(init_cfg, (list, tuple)) else [init_cfg or {}]
    return ', '.join(str(one.get('checkpoint') or one.get('type', 'random')) for one in several)


def _swap_normalization(cfg, content, source, adapt) -> list[str]:
    learned = effective_normalization(content['meta']['normalization'])
    preprocessor, place = find_preprocessor(cfg)
    current = effective_normalization(preprocessor)
    in_pipelines = list(pipeline_normalizations(cfg))
    if in_pipelines and current['mean'] == [0, 0, 0] and current['std'] == [1, 1, 1]:
        # The pipelines do what usually the data preprocessor does.
        for where, normalization in in_pipelines:
            try:
                check_normalization(content, normalization, str(source))
            except ValueError as error:
                raise ValueError(f'{where} normalises: {error}') from error
        return []
    if in_pipelines:
        where = in_pipelines[0][0]
        raise ValueError(
            f'{where} normalises images and {place}.data_preprocessor does it again '
            f'({format_normalization(current)}); remove one of them'
        )
    if same_normalization(learned, current):
        return []
    if not adapt or preprocessor is None:
        check_normalization(content, current, str(source))
    if preprocessor.get('rgb_to_bgr'):
        preprocessor.rgb_to_bgr = False
    preprocessor.update(learned)
    return [
        f'{place}.data_preprocessor: {format_normalization(current)} -> '
        f'{format_normalization(learned)}'
    ]


def pipeline_normalizations(cfg: Config):
    """Yield place and normalisation of each `Normalize` in a pipeline that will run."""
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        yield from _find_normalize(cfg.get(loader), loader)


def _find_normalize(node, place: str):
    if isinstance(node, dict):
        if str(node.get('type')).rpartition('.')[2] == 'Normalize':
            yield (
                place,
                dict(mean=node['mean'], std=node['std'], bgr_to_rgb=node.get('to_rgb', True)),
            )
        children = node.items()
    elif isinstance(node, (list, tuple)):
        children = enumerate(node)
    else:
        return
    for key, child in children:
        yield from _find_normalize(child, f'{place}.{key}')
