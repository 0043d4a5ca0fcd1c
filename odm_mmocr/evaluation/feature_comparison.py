"""What the feature networks of OCR-LPIPS cost, and what they bring to a pre-training run."""

import math
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmocr.registry import MODELS

from odm_mmocr.checkpoints import load_config
from odm_mmocr.models.losses import OCRLPIPSLoss
from odm_mmocr.models.ocr_features import FrozenFeatures

from .step_setting import BACKWARD, PRECISIONS, Part, StepSetting

NETWORKS = {
    'ppocr-v4': dict(type='PPOCRFeatures', version='v4'),
    'ppocr-v6': dict(type='PPOCRFeatures', version='v6'),
    'craft': dict(type='CRAFTFeatures'),
}
NONE = 'none'
PROBE_SIDE = 256  # a multiple of all strides, so that sizes of maps tell them


@dataclass(frozen=True)
class FeatureContender:
    """The loss in the features of one network; None: pre-training without the loss.

    Attributes:
        name: How it is called in tables.
        features: Config of the feature network.
        scale: Of :class:`OCRLPIPSLoss`.
    """

    name: str
    features: dict | None
    scale: float = 1.0

    @classmethod
    def named(cls, text: str) -> 'FeatureContender':
        """Read ``NETWORK`` or ``NETWORK@SCALE``, such as ``craft@0.5``; or ``none``.

        Raises:
            ValueError: There is no such network, or the scale is no number above 0 and up to 1.
        """
        name, separator, scale = text.partition('@')
        if name not in NETWORKS and text != NONE:
            raise ValueError(f'{text}: the networks are {", ".join(NETWORKS)}')
        try:
            value = float(scale) if separator else 1.0
        except ValueError:
            value = math.nan
        if not 0 < value <= 1:
            raise ValueError(f'{text}: {scale} is no scale, a number above 0 and up to 1')
        return cls(text, NETWORKS.get(name), value)

    @property
    def loss(self) -> dict | None:
        """Config of the loss."""
        if self.features is None:
            return None
        return dict(type='OCRLPIPSLoss', features=self.features, scale=self.scale)

    def check(self, setting: StepSetting) -> None:
        """Nothing can be said before the network is built."""

    def build(self, setting: StepSetting) -> 'LossStep':
        """Build the loss and a batch."""
        init_default_scope('mmocr')
        return LossStep(MODELS.build(self.loss), setting)


class LossStep:
    """Value and gradient of the loss for one batch of random drawings and labels.

    Args:
        loss: The loss.
        setting: Sizes and precision.

    Attributes:
        parts: The loss and the backward pass.
    """

    def __init__(self, loss: OCRLPIPSLoss, setting: StepSetting):
        self.loss = loss.to(setting.device)
        generator = torch.Generator().manual_seed(0)
        shape = (setting.batch_size, 1, *setting.size)
        self.logits = torch.randn(shape, generator=generator).to(setting.device).requires_grad_()
        ink = torch.rand(shape, generator=generator) > 0.9
        self.label = (255 * ink).to(setting.device, torch.uint8)
        self.ignore = torch.zeros_like(self.label, dtype=torch.bool)
        self.dtype = PRECISIONS[setting.precision]
        self.device = setting.device
        self.parts = [Part('loss', self.loss, 'forward'), Part(BACKWARD, self, 'backward')]

    def __call__(self) -> None:
        """Compute value and gradient."""
        context = torch.autocast(self.device, self.dtype) if self.dtype else nullcontext()
        with context:
            value = self.loss(self.logits, self.label, self.ignore)
        self.backward(value)

    def eager(self) -> None:
        """Compute value and gradient; there is no compiled step."""
        self()

    def backward(self, value: torch.Tensor) -> None:
        """Compute the gradient."""
        self.logits.grad = None
        value.backward()


@dataclass
class FeatureSummary:
    """What a feature network is.

    Attributes:
        parameters: Number of its weights.
        channels: Of each map.
        strides: Of each map, pixels.
    """

    parameters: int
    channels: list[int]
    strides: list[int]


def summarize(features: FrozenFeatures) -> FeatureSummary:
    """Count weights and look at the maps of a feature network on the CPU."""
    with torch.no_grad():
        maps = features(torch.zeros(1, 1, PROBE_SIDE, PROBE_SIDE))
    return FeatureSummary(
        sum(parameter.numel() for parameter in features.network.parameters()),
        [m.shape[1] for m in maps],
        [PROBE_SIDE // m.shape[2] for m in maps],
    )


def pretrain_with(
    contender: FeatureContender,
    config: str,
    work_dir: str | Path,
    options: dict | None = None,
    max_iters: int | None = None,
) -> dict[str, float]:
    """Pre-train with a feature network, in a process of its own, and validate.

    A run that was stopped goes on where its last checkpoint is.

    Args:
        contender: The network, or none.
        config: Name or path of the config of pre-training.
        work_dir: Folder for the run; one for each contender.
        options: Settings to replace, with dotted keys.
        max_iters: Length of the run; None: that of the config.

    Returns:
        The figures of the validation, such as ``odm/fscore``.

    Raises:
        FileNotFoundError: There is no such config.
        ValueError: The config has no validation.
    """
    cfg = load_config(config, options)
    if not cfg.get('val_evaluator'):
        raise ValueError(f'{cfg.filename} has no validation to compare by')
    cfg.model.loss_ocr = contender.loss
    cfg.work_dir = str(work_dir)
    cfg.resume = True
    if max_iters:
        cfg.train_cfg.max_iters = max_iters
    # Validation comes once, after training, also for a run that was complete before.
    cfg.train_cfg.val_interval = cfg.train_cfg.max_iters + 1
    # Seeds, scopes and caches of one run are none of the next one's business.
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_train_and_validate, cfg).result()


def _train_and_validate(cfg: Config) -> dict[str, float]:
    runner = Runner.from_cfg(cfg)
    runner.train()
    return {name: float(value) for name, value in runner.val().items()}


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table whose first column is text and whose others are figures."""
    ruler = ['---', *['---:'] * (len(columns) - 1)]
    return '\n'.join(f'| {" | ".join(row)} |' for row in (columns, ruler, *rows))
