"""From a config and a checkpoint to destylized pictures of samples."""

import logging
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmocr.registry import DATASETS, EVALUATOR, MODELS

from odm_mmocr.checkpoints import check_fit, load_checkpoint, read_config_text, require_registered
from odm_mmocr.devices import find_device
from odm_mmocr.models import ODM

# Parts without which there is no prompt and no drawing.
_PARTS = ('image_encoder', 'text_controller', 'head')


def build_model(
    cfg: Config,
    checkpoint: str | os.PathLike | None = None,
    device: str = 'cpu',
    content: dict | None = None,
) -> ODM:
    """Build the model of a pre-training config, in evaluation mode.

    Args:
        cfg: Config with an ODM as ``model``.
        checkpoint: Training checkpoint of that model; None: the initial weights, which depend
            on ``randomness.seed`` of the config.
        device: Where the model goes.
        content: What is in the checkpoint, where it has been read already.

    Returns:
        The model.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: There is no such device, the config has another model, or the checkpoint does
            not fit: the message names what it lacks, or the first keys that differ.
    """
    place = find_device(device)
    init_default_scope(cfg.get('default_scope', 'mmocr'))
    _check_is_odm(cfg)
    torch.manual_seed(cfg.get('randomness', {}).get('seed') or 0)
    model = MODELS.build(cfg.model)
    if checkpoint is None:
        with _quiet():
            model.init_weights()
    else:
        content = content or load_checkpoint(checkpoint)
        weights = content.get('state_dict', content)
        check_is_whole(content, str(checkpoint))
        check_fit(weights, model, str(checkpoint))
        model.load_state_dict(weights, strict=False)
    return model.to(place).eval()


def check_is_whole(content: Mapping, source: str) -> None:
    """Refuse a checkpoint that has no text side, as backbones and detectors have none.

    Args:
        content: What is in the file.
        source: Where it comes from, for messages.

    Raises:
        ValueError: Parts of ODM are missing; the message names them and says what to give.
    """
    names = list(content.get('state_dict', content))
    missing = [part for part in _PARTS if not any(n.startswith(f'{part}.') for n in names)]
    if not missing:
        return
    if any(name.startswith('visual.') for name in names):
        what, give = 'released weights', 'convert it by tools/convert_checkpoint.py'
    elif any(name.startswith(('backbone.', 'neck.', 'det_head.')) for name in names):
        what, give = (
            'a detector',
            "give the checkpoint of ODM's pre-training, such as iter_5000.pth",
        )
    else:
        what = 'a backbone' if missing == list(_PARTS) else 'a part of ODM'
        give = 'give the training checkpoint that it was exported from, such as iter_5000.pth'
    raise ValueError(
        f'{source} is of another model than ODM: it has no {", no ".join(missing)}, only '
        f'{len(names)} tensors such as {", ".join(names[:2])} ({what}). Words cannot be prompted '
        f'with it; {give}'
    )


def stored_config(content: Mapping, source: str) -> Config:
    """Read the config that a training has stored in its checkpoint, without executing it.

    Args:
        content: What is in the file.
        source: Where it comes from, for messages.

    Raises:
        ValueError: There is no config, or it is not what MMEngine writes, or it names a class by
            its import path, which would run whatever stands there.
    """
    meta = content.get('meta')
    text = meta.get('cfg') if isinstance(meta, Mapping) else None
    if not isinstance(text, str):
        raise ValueError(f'{source} has no config in its meta; give the config (model) besides')
    try:
        settings = read_config_text(text)
    except ValueError as error:
        raise ValueError(f'{source}: {error}; give the config (model) besides') from error
    try:
        require_registered(settings.get('model'), f'{source}: its config')
    except ValueError as error:
        raise ValueError(f'{error}. Give the config (model) besides') from error
    return Config(settings)


def validation_samples(cfg: Config, count: int) -> list[dict]:
    """Take the first samples of a config's validation set.

    Args:
        cfg: Config with a ``val_dataloader``.
        count: How many at most.

    Returns:
        Dicts of ``inputs`` and ``data_samples``, as the pipeline packs them.

    Raises:
        ValueError: The config's model is no ODM.
    """
    _check_is_odm(cfg)
    init_default_scope(cfg.get('default_scope', 'mmocr'))
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    return [dataset[index] for index in range(min(count, len(dataset)))]


@torch.no_grad()
def evaluate_model(model: ODM, cfg: Config) -> dict[str, float]:
    """Compute the validation figures of a model.

    Args:
        model: In evaluation mode.
        cfg: Config with a ``val_dataloader`` and a ``val_evaluator``.

    Returns:
        Name and value of each figure, such as ``odm/kept``.
    """
    init_default_scope(cfg.get('default_scope', 'mmocr'))
    loader = Runner.build_dataloader(cfg.val_dataloader)
    metrics = cfg.val_evaluator
    if isinstance(metrics, dict) and 'metrics' in metrics:  # of several data sets
        evaluator = EVALUATOR.build(metrics)
    else:
        evaluator = Evaluator(metrics)
    evaluator.dataset_meta = loader.dataset.metainfo
    for batch in loader:
        evaluator.process(model.val_step(batch), batch)
    return evaluator.evaluate(len(loader.dataset))


def figures_table(figures: Mapping[str, Mapping[str, float]]) -> str:
    """Set figures of several models side by side.

    Args:
        figures: For each title what :func:`evaluate_model` gives.

    Returns:
        A line of titles, and one for each figure; ``nan`` where a model lacks it.
    """
    names = list(dict.fromkeys(name for of_one in figures.values() for name in of_one))
    longest = max(map(len, names))
    columns = []
    for title, of_one in figures.items():
        cells = [title, *(f'{of_one.get(name, math.nan):.3f}' for name in names)]
        width = max(8, len(title))
        columns.append([f'{cell:>{width}}' for cell in cells])
    rows = zip([' ' * longest, *(f'{name:{longest}}' for name in names)], *columns, strict=True)
    return '\n'.join('  '.join(row) for row in rows)


@torch.no_grad()
def predict_samples(model: ODM, samples: Sequence[dict], batch_size: int = 8) -> list[np.ndarray]:
    """Let a model draw the prompted words of samples.

    Args:
        model: In evaluation mode.
        samples: Dicts of ``inputs`` and ``data_samples``; they stay as they are.
        batch_size: Samples at once.

    Returns:
        For each sample the probability of ink, float32 (H, W) from 0 to 1.
    """
    maps = []
    for start in range(0, len(samples), batch_size):
        batch = pseudo_collate(
            [
                dict(inputs=sample['inputs'], data_samples=sample['data_samples'].clone())
                for sample in samples[start : start + batch_size]
            ]
        )
        predicted = model.val_step(batch)
        maps += [s.pred_destylized.probability[0].cpu().numpy() for s in predicted]
    return maps


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MMEngine from listing how each of hundreds of parameters was initialised."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _check_is_odm(cfg: Config) -> None:
    found = cfg.get('model', {}).get('type')
    if found != 'ODM':
        raise ValueError(f'{cfg.filename or "the config"}: the model is {found}, expected ODM')
