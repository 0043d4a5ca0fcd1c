"""The config of one pre-training of an ablation, and what it is made from."""

import copy
import json
import math
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from mmocr.registry import MODELS

from odm_mmocr.checkpoints import extract_backbone, load_config, save_checkpoint, swap_backbone
from odm_mmocr.output_files import written_whole

from .ablation_plan import LENGTH, TEST, VALIDATION, AblationPlan, Variant, without_validation
from .options import apply_options, known_arguments, walk_typed
from .protocol import file_digest, read_json
from .run_config import load_detector, stretch_schedules
from .training import RESULT

MADE_FROM = 'made_from.json'
# Of a config, what a result depends on.
PARTS = (
    'model',
    'train_dataloader',
    'train_cfg',
    'optim_wrapper',
    'param_scheduler',
    'custom_hooks',
    'val_dataloader',
    'val_evaluator',
    'load_from',
    'randomness',
    'recalibrate',
)
LOADERS = ('train_dataloader', 'val_dataloader')
SEED_STEP = 1000  # so that no data set of training gets the seed of another one, or of validation
LISTED = 4  # differences in a message


def build_pretraining_config(
    plan: AblationPlan, variant: Variant, seed: int, work_dir: str
) -> Config:
    """Put a variant, a seed and the length of a plan into a pre-training config.

    A variant whose model is of the type of the base's is validated by the data and metrics of the
    base, whatever it changes; another one cannot draw, and is not validated.

    Args:
        plan: The plan.
        variant: One that pre-trains.
        seed: Of weights and data; with 0 the data are those of the config.
        work_dir: Folder of the run.

    Returns:
        The config, with `recalibrate` for :mod:`odm_mmocr.benchmark.pretraining`.

    Raises:
        FileNotFoundError: There is no such config.
        ValueError: An option is not in the config, or this is of a kind that is not known here.
    """
    base = _load(plan.pretrain.config)
    apply_options(base, {**plan.pretrain.options, **plan.shared})
    try:
        if variant.config is None:
            cfg = Config(base.to_dict())
        else:
            cfg = _load(variant.config)
            apply_options(cfg, without_validation(plan.shared))
        apply_options(cfg, variant.options)
    except ValueError as error:
        raise ValueError(f'variant {variant.name!r}: {error}') from None
    cfg.work_dir = work_dir
    for part in TEST:
        cfg[part] = None
    draws = cfg.model.get('type') == base.model.get('type')
    for part in VALIDATION:
        cfg[part] = copy.deepcopy(base.get(part)) if draws else None
    iterations = variant.iterations or plan.pretrain.iterations
    _set_length(cfg, iterations, plan.pretrain.evaluations, variant.config or plan.pretrain.config)
    _set_seed(cfg, seed)
    # The backbone is exported at the end, with statistics that are measured anew.
    cfg.custom_hooks = [
        hook for hook in cfg.get('custom_hooks') or [] if hook['type'] != 'BackboneExportHook'
    ]
    cfg.recalibrate = plan.pretrain.recalibrate
    return cfg


def check_pretraining(cfg: Config, detector: str | None, options: Mapping | None = None) -> None:
    """Find out before training whether a pre-training can be made, and a detector start from it.

    Args:
        cfg: Of the pre-training.
        detector: Config of the detector; None: there is none.
        options: Settings replaced in it, with plain names.

    Raises:
        FileNotFoundError: An annotation file is missing.
        ValueError: The model or a pipeline does not build, or the backbone does not fit.
    """
    init_default_scope(cfg.get('default_scope', 'mmocr'))
    try:
        model = MODELS.build(copy.deepcopy(cfg.model))
        for dataset in _datasets(cfg.train_dataloader['dataset']):
            Compose(copy.deepcopy(dataset.get('pipeline', [])))
    except Exception as error:
        # Constructors of any package; the message is theirs.
        raise ValueError(f'it does not build: {error}') from error
    for loader in filter(None, map(cfg.get, LOADERS)):
        for dataset in _datasets(loader['dataset']):
            path = _annotation(dataset)
            if path is not None and not path.is_file():
                raise FileNotFoundError(
                    f'the annotation file {path} does not exist; say where the data are, by '
                    '--pretrain-options with the data_root and ann_file of that data set'
                )
    checkpoint = dict(state_dict=model.state_dict(), meta=dict(cfg=cfg.pretty_text))
    backbone = extract_backbone(checkpoint, source='the pre-training')
    if detector is not None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / 'backbone.pth'
            save_checkpoint(backbone, file)
            swap_backbone(load_detector(detector, dict(options or {})), file)


def made_from(cfg: Config) -> dict[str, Any]:
    """List what a pre-training is made from.

    Args:
        cfg: Of the pre-training.

    Returns:
        Plain values by the dotted names of settings. Of files the content counts, not the place:
        they are `file …`, and the hexadecimal SHA-256 of those that are there.
    """
    found: dict[str, Any] = {}
    content = json.loads(json.dumps({part: cfg.get(part) for part in PARTS}, default=str))
    for name, settings in _flatten(content):
        if name.rpartition('.')[2] in ('data_root', 'ann_file'):
            continue
        if isinstance(settings, str) and (digest := _digest(Path(settings))):
            found[f'file {name}'] = digest
        else:
            found[name] = settings
    for place, dataset in walk_typed({loader: content[loader] for loader in LOADERS}):
        if (path := _annotation(dataset)) and (digest := _digest(path)):
            found[f'file {".".join(map(str, place))}.ann_file'] = digest
    return found


def keep_made_from(made: Mapping[str, Any], folder: str | Path, add: bool = True) -> None:
    """Record what a pre-training is made from, or compare it with what it was made from.

    What failed before its first checkpoint may be made from something else.

    Args:
        made: By :func:`made_from`.
        folder: Of the run.
        add: Whether to record it, where nothing is recorded yet.

    Raises:
        ValueError: It was made from something else; it names what differs.
    """
    path = Path(folder) / MADE_FROM
    if not path.is_file() or not _is_begun(path.parent):
        if not add:
            return
        with written_whole(path) as file:
            file.write(json.dumps(made, indent=1).encode())
        return
    old = read_json(path)
    # A file that is gone since, or was not there before, cannot be compared.
    names = [n for n in {**old, **made} if not n.startswith('file ') or (n in old and n in made)]
    differing = [n for n in names if n not in old or n not in made or not _same(old[n], made[n])]
    if differing:
        told = '; '.join(
            f'another content of the {name}'
            if name.startswith('file ')
            else f'{name} {_tell(old, name)}, not {_tell(made, name)}'
            for name in differing[:LISTED]
        )
        more = f', and {len(differing) - LISTED} more' if len(differing) > LISTED else ''
        raise ValueError(
            f'{folder} is a pre-training made with {told}{more}; give another --out, or a changed '
            'variant another name, or delete that folder'
        )


def _is_begun(folder: Path) -> bool:
    return (folder / RESULT).is_file() or any(folder.glob('*.pth'))


def _load(name: str) -> Config:
    # Parts of a config that inherits can be one object; changing one must not change the other.
    return Config(load_config(name).to_dict())


def _set_length(cfg: Config, iterations: int | None, evaluations: int, name: str) -> None:
    full = cfg.get('train_cfg', {}).get('max_iters')
    if full is None:
        raise ValueError(f'{name} has no {LENGTH}; a pre-training counts iterations')
    iterations = iterations or full
    if evaluations > iterations:
        raise ValueError(f'{name}: {iterations} iterations with {evaluations} evaluations')
    if iterations != full:
        stretch_schedules(cfg, iterations / full, name)
    interval = math.ceil(iterations / evaluations)
    cfg.train_cfg.update(max_iters=iterations, val_interval=interval)
    hooks = cfg.setdefault('default_hooks', {})
    saved = hooks.get('checkpoint', {}).get('interval', interval)
    hooks['checkpoint'] = dict(
        type='AtomicCheckpointHook',
        by_epoch=False,
        interval=max(1, min(saved, interval)),
        max_keep_ckpts=1,
    )
    logger = hooks.setdefault('logger', dict(type='LoggerHook'))
    logger['interval'] = min(logger.get('interval', 10), interval)


def _set_seed(cfg: Config, seed: int) -> None:
    cfg.randomness = dict(cfg.get('randomness') or {}, seed=seed)
    if not seed:
        return
    for dataset in _datasets(cfg.train_dataloader['dataset'], unused=True):
        if 'seed' in dataset or 'seed' in known_arguments(dataset)[0]:
            dataset['seed'] = dataset.get('seed', 0) + SEED_STEP * seed


def _datasets(dataset: dict, unused: bool = False) -> Iterator[dict]:
    """A data set and those in it; of a mixture those that have a share, or all."""
    yield dataset
    inner = dataset.get('datasets', [])
    if 'dataset' in dataset:
        inner = [dataset['dataset']]
    shares = dataset.get('ratios') or [1] * len(inner)
    for part, share in zip(inner, shares):
        if share or unused:
            yield from _datasets(part, unused)


def _annotation(dataset: Mapping) -> Path | None:
    file = dataset.get('ann_file')
    return Path(dataset.get('data_root') or '', file) if file else None


def _digest(path: Path) -> str | None:
    try:
        return file_digest(path) if path.is_file() else None
    except (OSError, ValueError):  # a text that is no path
        return None


def _flatten(settings: Any, name: str = '') -> Iterator[tuple[str, Any]]:
    if isinstance(settings, dict) and settings:
        items = settings.items()
    elif isinstance(settings, list) and settings:
        items = enumerate(settings)
    else:
        yield name, settings
        return
    for key, value in items:
        yield from _flatten(value, f'{name}.{key}' if name else str(key))


def _tell(settings: Mapping[str, Any], name: str) -> str:
    return repr(settings[name]) if name in settings else 'none'


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one) == json.dumps(other)  # a number that is none equals itself
