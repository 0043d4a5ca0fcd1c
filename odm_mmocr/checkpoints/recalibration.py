"""BatchNorm statistics, measured anew before a backbone is exported."""

from collections.abc import Callable, Iterable
from itertools import islice

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.utils import ProgressBar
from mmocr.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .architecture import build_backbone
from .export import DEFAULT_PREPROCESSOR


@torch.no_grad()
def recalibrate_batch_norm(
    model: nn.Module,
    batches: Iterable,
    num_batches: int,
    data_preprocessor: Callable | None = None,
) -> int:
    """Replace the running statistics of a backbone by their mean over batches.

    Running statistics trail weights that move, and belong to the raw weights where averaged ones
    are exported. Detectors with `norm_eval=True` use them as they are, so they should be good.
    Everything but BatchNorm stays in evaluation mode; afterwards the backbone is in it as well.

    Args:
        model: A backbone, or an ODM model, of which the backbone is taken.
        batches: Normalised images (B, 3, H, W) float32; or what `data_preprocessor` takes, such
            as the batches of a data loader. May be endless.
        num_batches: How many batches to use at most.
        data_preprocessor: Turns a batch into a dictionary with `inputs`, on the model's device.
            For an ODM model and batches that are no tensors: its own.

    Returns:
        Number of batches used.

    Raises:
        ValueError: There is no BatchNorm, or no batch.
    """
    backbone = model.image_encoder.backbone if hasattr(model, 'image_encoder') else model
    norms = [module for module in backbone.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        raise ValueError(f'{type(backbone).__name__} has no BatchNorm, nothing to recalibrate')
    if num_batches < 1:
        raise ValueError(f'num_batches={num_batches}: at least one batch is needed')
    data_preprocessor = data_preprocessor or getattr(model, 'data_preprocessor', None)
    device = next(backbone.parameters()).device
    # Not backbone.train(): with norm_eval=True, the default, that leaves BatchNorm as it is.
    backbone.eval()
    momentum = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches instead of a moving one
        norm.train()
    used = 0
    try:
        for batch in islice(batches, num_batches):
            if not isinstance(batch, Tensor):
                batch = data_preprocessor(batch, False)['inputs']
            backbone(batch.to(device))
            used += 1
    finally:
        for norm, value in zip(norms, momentum):
            norm.momentum = value
        backbone.eval()
    if not used:
        raise ValueError('no batch to recalibrate with: the data loader is empty')
    return used


def recalibrate_backbone(
    backbone: dict, cfg: Config, num_batches: int, device: str | torch.device = 'cpu'
) -> dict:
    """Recalibrate an extracted backbone on the training data of a config.

    Args:
        backbone: What :func:`extract_backbone` gives.
        cfg: Config with a `train_dataloader` and a `model.data_preprocessor`: the one of the
            pre-training, or one with images of the kind that the detector will see.
        num_batches: How many batches to use at most.
        device: Where to compute.

    Returns:
        The same with new statistics, and `recalibrated_batches` in its `meta`.

    Raises:
        ValueError: There is no BatchNorm, no batch, or the config has no training data.
    """
    if 'train_dataloader' not in cfg:
        raise ValueError('the config has no train_dataloader to recalibrate with')
    init_default_scope(cfg.get('default_scope', 'mmocr'))
    network = build_backbone(backbone['meta']['architecture'])
    network.load_state_dict(backbone['state_dict'])
    network.to(device)
    preprocessor = cfg.model.get('data_preprocessor') or DEFAULT_PREPROCESSOR
    used = recalibrate_batch_norm(
        network,
        _with_progress(Runner.build_dataloader(cfg.train_dataloader, seed=0), num_batches),
        num_batches,
        MODELS.build(preprocessor).to(device),
    )
    print()  # ends the line of the progress bar
    return dict(
        state_dict={key: value.cpu().contiguous() for key, value in network.state_dict().items()},
        meta=dict(backbone['meta'], recalibrated_batches=used),
    )


def _with_progress(batches: Iterable, count: int) -> Iterable:
    bar = ProgressBar(count)
    for batch in batches:
        bar.update()
        yield batch
