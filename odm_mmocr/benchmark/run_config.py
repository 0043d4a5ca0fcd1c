"""The config of one run: a detector's own, with start, labels and schedule put in."""

import copy
import math
from pathlib import Path

import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope
from mmocr.registry import DATASETS

from odm_mmocr.checkpoints import load_config, swap_backbone
from odm_mmocr.checkpoints.swap import find_network

from .options import takes_argument
from .protocol import Protocol, Run, choose_labels, split_labels

# What a learning rate schedule counts in epochs or iterations.
SPANS = ('begin', 'end', 'T_max', 'milestones', 'step_size')
PARTS = ('train_dataloader', 'train_cfg', 'optim_wrapper', 'val_dataloader', 'val_evaluator')
SCHEDULES = (
    'ConstantLR',
    'CosineAnnealingLR',
    'LinearLR',
    'MultiStepLR',
    'PolyLR',
    'StepLR',
)


def load_detector(name: str, options: dict | None = None) -> Config:
    """Load the config of a detector that can be compared.

    Args:
        name: Its path or name.
        options: Settings to replace.

    Returns:
        The config.

    Raises:
        FileNotFoundError: There is no such config.
        ValueError: It is no config, or lacks what a comparison needs.
    """
    try:
        cfg = load_config(name, options)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f'{name} does not take {", ".join(options)}: {error}') from error
    find_network(cfg)
    if missing := [part for part in PARTS if not isinstance(cfg.get(part), (dict, list))]:
        raise ValueError(
            f'{name} has no {", ".join(missing)}; a comparison trains a detector and evaluates it'
        )
    return cfg


def full_iterations(cfg: Config, images: int) -> int:
    """Iterations of a config's own schedule with all training images.

    Args:
        cfg: Config of a detector.
        images: Number of training images.

    Returns:
        Its `max_iters`, or its epochs times the batches of one.
    """
    if 'max_iters' in cfg.train_cfg:
        return cfg.train_cfg.max_iters
    return cfg.train_cfg.max_epochs * _batches(cfg, images)


def build_run_config(
    protocol: Protocol, run: Run, backbone: str | None, images: int, work_dir: str
) -> Config:
    """Put start, labels, schedule and recipe of a run into the detector's config.

    The schedule of the learning rate is stretched or compressed as a whole to the iterations of
    the protocol. All layers of the backbone learn. Random weights leave no residual branch at zero,
    as trained ones have none: in a short training such a branch hardly wakes up.

    Args:
        protocol: What all runs share.
        run: The run.
        backbone: Exported backbone file, or None for random weights.
        images: Number of training images of the config.
        work_dir: Folder of the run.

    Returns:
        The config. Its validation is that of the original, its test is on the images held out,
        where there are any.

    Raises:
        ValueError: The file does not fit, the backbone cannot freeze its statistics as the recipe
            says, or the config is of a kind that is not known here.
    """
    cfg = load_detector(protocol.config, copy.deepcopy(protocol.options))
    cfg.work_dir = work_dir
    if backbone is None:
        _start_randomly(cfg)
    else:
        swap_backbone(cfg, backbone)
    network = find_network(cfg)[0]
    _set_learning(network.backbone, run.recipe.frozen_statistics)
    pool, held = split_labels(images, protocol.holdout)
    labels = choose_labels(pool, run.fraction, run.seed)
    _set_schedule(cfg, protocol, images)
    _set_data(cfg, labels, held, run.seed)
    cfg.optim_wrapper.optimizer.lr *= run.recipe.lr_factor
    cfg.randomness = dict(seed=run.seed)
    cfg.default_hooks.checkpoint = dict(
        type='AtomicCheckpointHook',
        by_epoch=False,
        interval=cfg.train_cfg.val_interval,
        max_keep_ckpts=1,
    )
    logger = cfg.default_hooks.logger
    logger.interval = min(logger.get('interval', 10), cfg.train_cfg.val_interval)
    logger.log_metric_by_epoch = False
    cfg.log_processor = dict(cfg.get('log_processor') or {}, by_epoch=False)
    cfg.load_from, cfg.resume = None, False
    return cfg


def load_annotated(loader: ConfigDict) -> BaseDataset:
    """Load the annotation of a data loader of a detector's config, without its pipeline.

    Raises:
        FileNotFoundError: Its annotation file is missing.
        ValueError: Its data are of a kind that is not known here.
    """
    init_default_scope('mmocr')
    return DATASETS.build(dict(copy.deepcopy(_annotated(loader.dataset)), pipeline=[]))


def name_data(dataset: BaseDataset) -> str:
    """Name the images of a data set: by their folder, and as generated where they say so."""
    name = Path(dataset.data_root or '.').resolve().name
    return f'{name} (generated)' if dataset.metainfo.get('generated') else name


def _start_randomly(cfg: Config) -> None:
    network, _, _ = find_network(cfg)
    network.backbone.init_cfg = None
    if takes_argument(network.backbone, 'zero_init_residual'):
        network.backbone.zero_init_residual = False
    for settings, key in ((network, 'init_cfg'), (network.backbone, 'pretrained')):
        if settings.get(key):
            settings[key] = None


def _set_learning(backbone: ConfigDict, frozen_statistics: bool) -> None:
    if takes_argument(backbone, 'frozen_stages'):
        backbone.frozen_stages = -1
    if takes_argument(backbone, 'norm_eval'):
        backbone.norm_eval = frozen_statistics
    elif frozen_statistics:
        raise ValueError(
            f'{backbone.type} has no norm_eval, which frozen statistics need; leave batch_norm at '
            'learning'
        )


def _batches(cfg: Config, images: int) -> int:
    return math.ceil(images / cfg.train_dataloader.batch_size)


def stretch_schedules(cfg: Config, factor: float, name: str, epoch: int = 0) -> None:
    """Stretch or compress the schedules of a config's learning rate; they count iterations then.

    Args:
        cfg: The config, changed in place.
        factor: The new length of the training, relative to the old one.
        name: Of the config, for messages.
        epoch: Iterations of an epoch, where schedules count epochs.

    Raises:
        ValueError: A schedule is of a kind that is not known here.
    """
    schedules = cfg.get('param_scheduler') or []
    for schedule in [schedules] if isinstance(schedules, dict) else schedules:
        if schedule.type not in SCHEDULES:
            raise ValueError(
                f'{name}: a schedule of the kind {schedule.type} cannot be given '
                f'another length; known are {", ".join(SCHEDULES)}'
            )
        unit = epoch if schedule.get('by_epoch', True) else 1
        for key in SPANS:
            if key not in schedule:
                continue
            value = schedule[key]
            schedule[key] = (
                [round(v * unit * factor) for v in value]
                if isinstance(value, (list, tuple))
                # Some are divided by.
                else max(round(value * unit * factor), int(key in ('T_max', 'step_size')))
            )
        if 'end' in schedule:
            schedule.end = max(schedule.end, schedule.get('begin', 0) + 1)
        schedule.by_epoch = False
        schedule.pop('convert_to_iter_based', None)


def _set_schedule(cfg: Config, protocol: Protocol, images: int) -> None:
    factor = protocol.iterations / full_iterations(cfg, images)
    stretch_schedules(cfg, factor, protocol.config, _batches(cfg, images))
    cfg.train_cfg = ConfigDict(
        type='ResumableIterTrainLoop',
        max_iters=protocol.iterations,
        val_interval=math.ceil(protocol.iterations / protocol.evaluations),
    )


def _set_data(cfg: Config, labels: np.ndarray, held: np.ndarray, seed: int) -> None:
    loader = cfg.train_dataloader
    original = _annotated(loader.dataset)
    dataset = copy.deepcopy(original)
    dataset.indices = _within(original, labels)
    loader.dataset = dict(type='SeededDataset', seed=seed, dataset=dataset)
    loader.sampler = dict(type='SeededInfiniteSampler')
    loader.pop('batch_sampler', None)
    if not len(held):
        cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
        return
    tested = copy.deepcopy(cfg.val_dataloader)
    # The data set of the training, for its indices: a test mode, as a filter, would shift them.
    tested.dataset = copy.deepcopy(original)
    tested.dataset.pipeline = _annotated(cfg.val_dataloader.dataset).pipeline
    tested.dataset.indices = _within(original, held)
    cfg.test_dataloader = tested
    cfg.test_cfg = dict(type='TestLoop')
    cfg.test_evaluator = copy.deepcopy(cfg.val_evaluator)


def _within(dataset: ConfigDict, numbers: np.ndarray) -> list[int]:
    """Indices of images that are counted within those which a data set takes of its file."""
    taken = dataset.get('indices')
    if isinstance(taken, (list, tuple)):
        return [taken[number] for number in numbers]
    # A negative number takes the last ones.
    return [number + min(taken or 0, 0) for number in numbers.tolist()]


def _annotated(dataset: ConfigDict) -> ConfigDict:
    """The one data set of an annotation file within wrappers."""
    while 'ann_file' not in dataset:
        inner = dataset.get('dataset') or dataset.get('datasets')
        if isinstance(inner, (list, tuple)):
            if len(inner) != 1:
                raise ValueError(
                    f'a comparison needs one annotation file, the config has {len(inner)} data sets'
                )
            inner = ConfigDict(inner[0], **_inherited(dataset))
        if inner is None:
            raise ValueError(
                f'the training data ({dataset.get("type", "a list")}) have no annotation file to '
                'take labels from'
            )
        dataset = inner
    return dataset


def _inherited(dataset: ConfigDict) -> dict:
    # MMOCR's ConcatDataset hands its pipeline to its parts.
    return {'pipeline': dataset.pipeline} if dataset.get('pipeline') else {}
