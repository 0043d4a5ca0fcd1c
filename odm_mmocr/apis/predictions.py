"""From a config and a checkpoint to destylized pictures of samples."""

import os
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmocr.registry import DATASETS, MODELS

from odm_mmocr.checkpoints import check_fit, load_checkpoint
from odm_mmocr.models import ODM


def build_model(
    cfg: Config, checkpoint: str | os.PathLike | None = None, device: str = 'cpu'
) -> ODM:
    """Build the model of a pre-training config, in evaluation mode.

    Args:
        cfg: Config with an ODM as ``model``.
        checkpoint: Training checkpoint of that model; None: the initial weights, which depend
            on ``randomness.seed`` of the config.
        device: Where the model goes.

    Returns:
        The model.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: The config has another model, or the checkpoint does not fit: the message
            names the first keys that differ.
    """
    init_default_scope(cfg.get('default_scope', 'mmocr'))
    _check_is_odm(cfg)
    torch.manual_seed(cfg.get('randomness', {}).get('seed') or 0)
    model = MODELS.build(cfg.model)
    if checkpoint is None:
        model.init_weights()
    else:
        content = load_checkpoint(checkpoint)
        weights = content.get('state_dict', content)
        check_fit(weights, model, str(checkpoint))
        model.load_state_dict(weights, strict=False)
    return model.to(device).eval()


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
    evaluator = Evaluator(cfg.val_evaluator)
    for batch in loader:
        evaluator.process(model.val_step(batch), batch)
    return evaluator.evaluate(len(loader.dataset))


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


def _check_is_odm(cfg: Config) -> None:
    found = cfg.get('model', {}).get('type')
    if found != 'ODM':
        raise ValueError(f'{cfg.filename}: the model is {found}, expected ODM')
