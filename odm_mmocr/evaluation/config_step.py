"""The training step of an ODM config, to be measured."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, set_random_seed
from mmocr.registry import MODELS

from odm_mmocr.checkpoints import load_config
from odm_mmocr.datasets.transforms import PackODMInputs
from odm_mmocr.datasets.vocabulary import Vocabulary
from odm_mmocr.engine import keep_freed_memory
from odm_mmocr.models import ODM

from .step_setting import BACKWARD, MAX_WORDS, PRECISIONS, Part, StepSetting


@dataclass(frozen=True)
class ConfigContender:
    """The training step of an ODM config, its weights random.

    Attributes:
        config: Name or path, see :func:`odm_mmocr.checkpoints.find_config`.
        options: Settings to replace, with dotted keys.
        name: How it is called in tables; empty: after config and options.
    """

    config: str
    options: dict = field(default_factory=dict)
    name: str = ''

    def __post_init__(self) -> None:
        if not self.name:
            changes = [f'{key}={value}' for key, value in self.options.items()]
            object.__setattr__(self, 'name', ' '.join([Path(self.config).stem, *changes]))

    def check(self, setting: StepSetting) -> None:
        """Look the config up.

        Raises:
            FileNotFoundError: There is no such config.
            ValueError: It is no config of an ODM that can be trained.
        """
        cfg = load_config(self.config, self.options)
        kind = cfg.get('model', {}).get('type')
        if str(kind).rpartition('.')[-1] != 'ODM':
            raise ValueError(f'{cfg.filename} has a model of type {kind}, ODM is needed')
        if 'optim_wrapper' not in cfg:
            raise ValueError(f'{cfg.filename} has no optim_wrapper, so it cannot be trained')

    def build(self, setting: StepSetting) -> 'ConfigStep':
        """Build model, optimizer and batch."""
        return ConfigStep(load_config(self.config, self.options), setting)


class ConfigStep:
    """What MMEngine's runner does in an iteration, on one batch of random images.

    Preprocessing, forward pass, losses, backward pass, clipping where it is configured, optimizer,
    zeroed gradients. The batch lies in the memory of the host, as a data loader leaves it. Of the
    config's ``randomness`` only ``deterministic`` counts, which is set for the whole process.

    Args:
        cfg: Config of an ODM.
        setting: Sizes and precision. The precision replaces that of the config.

    Attributes:
        parts: ``pool`` is the image encoder without its backbone, ``fusion`` the head before its
            refining convolution, ``head`` the rest of the head.
    """

    def __init__(self, cfg: Any, setting: StepSetting):
        self.cfg = cfg
        self.setting = setting
        init_default_scope(cfg.get('default_scope', 'mmocr'))
        deterministic = cfg.get('randomness', {}).get('deterministic', False)
        if deterministic:
            torch.backends.cudnn.benchmark = False  # MMEngine's function warns before it does so
        set_random_seed(0, deterministic)
        changes = dict(compile_cfg={}) if setting.compile else {}
        self.model = model = MODELS.build({**cfg.model, **changes})
        if not isinstance(model, ODM):
            raise ValueError(f'{cfg.filename} has a model of type {type(model).__name__}, not ODM')
        hooks = [hook['type'] for hook in cfg.get('custom_hooks', [])]
        if setting.device == 'cpu' and 'KeepFreedMemoryHook' in hooks:
            keep_freed_memory()
        model.to(setting.device).train()
        self.optim_wrapper = build_optim_wrapper(
            model, optim_wrapper_for(cfg.optim_wrapper, setting)
        )
        self.batch = make_batch(model.text_controller.vocabulary, setting)
        controller = model.text_controller
        losses = [name for name, _ in model.named_children() if name.startswith('loss_')]
        self.parts = [
            Part('preprocessing', model.data_preprocessor, 'forward'),
            Part('backbone', model.image_encoder.backbone, 'forward'),
            Part('pool', model.image_encoder, 'forward'),
            Part('text', controller, 'encode_words'),
            Part('text', controller, 'pool_words'),
            Part('cross-attention', controller, 'forward'),
            Part('cross-attention', controller, 'match_words'),
            Part('fusion', model.head, 'fuse'),
            Part('head', model.head, 'forward'),
            *(Part(name, getattr(model, name), 'forward') for name in losses),
            Part('loss_word', model, 'score_places'),
            Part(BACKWARD, self.optim_wrapper, 'backward'),
            Part('optimizer', self.optim_wrapper, 'step'),
            Part('optimizer', self.optim_wrapper, 'zero_grad'),
        ]

    def __call__(self, batch: dict | None = None) -> None:
        """Make one step; on a batch of a data loader, if one is given."""
        self.model.train_step(batch or self.batch, self.optim_wrapper)

    def eager(self) -> None:
        """Make one step, not compiled."""
        with torch.compiler.set_stance('force_eager'):
            self()

    def load_batches(self) -> Iterator[dict]:
        """Batches of the config's training data, with the batch size of the setting, endless.

        Raises:
            ValueError: The config has no training data.
        """
        if 'train_dataloader' not in self.cfg:
            raise ValueError(f'{self.cfg.filename} has no train_dataloader')
        loader = dict(self.cfg.train_dataloader, batch_size=self.setting.batch_size)
        loader = Runner.build_dataloader(loader, seed=0)
        while True:
            yield from loader


def optim_wrapper_for(cfg: dict, setting: StepSetting) -> dict:
    """Config of the optimizer wrapper that trains with the precision of a setting."""
    dtype = PRECISIONS[setting.precision]
    wrapper = {key: value for key, value in cfg.items() if key not in ('dtype', 'cpu_bfloat16')}
    if dtype is None or setting.device == 'cpu':
        wrapper.pop('loss_scale', None)
        wrapper['type'] = 'FiniteOptimWrapper' if dtype is None else 'CpuAmpOptimWrapper'
    else:
        wrapper.update(type='AutoAmpOptimWrapper', dtype=str(dtype).removeprefix('torch.'))
    return wrapper


def make_batch(vocabulary: Vocabulary, setting: StepSetting) -> dict:
    """Make what the data loader gives: random images, random words in rows, bars for ink.

    Args:
        vocabulary: Characters that the words are made of.
        setting: Size, number of images and of prompted words.

    Returns:
        ``inputs``, a list of uint8 (3, H, W), and ``data_samples``, with prompt, label, ignore map
        and annotation; one word more than the prompted ones is ignored.
    """
    rng = np.random.default_rng(0)
    pack = PackODMInputs(vocabulary, max_words=MAX_WORDS)
    samples = [pack(_random_sample(rng, vocabulary, setting)) for _ in range(setting.batch_size)]
    return {key: [sample[key] for sample in samples] for key in ('inputs', 'data_samples')}


def _random_sample(rng: np.random.Generator, vocabulary: Vocabulary, setting: StepSetting) -> dict:
    height, width = setting.size
    rows = setting.words + 1
    lengths = rng.integers(1, vocabulary.max_characters, rows)
    texts = [''.join(rng.choice(list(vocabulary.characters), length)) for length in lengths]
    left, right = width // 8, width - width // 8
    label, ignore = np.zeros((height, width), np.uint8), np.zeros((height, width), bool)
    polygons = []
    for row in range(rows):
        top, bottom = (int((row + share) * height / rows) for share in (0.2, 0.8))
        polygons.append(np.array([left, top, right, top, right, bottom, left, bottom], np.float32))
        if row == setting.words:
            ignore[top:bottom, left:right] = True
        else:
            label[top:bottom, left:right:3] = 255
    return dict(
        img=rng.integers(0, 256, (height, width, 3), np.uint8),
        img_shape=(height, width),
        prompt_texts=texts[: setting.words],
        gt_polygons=polygons,
        gt_texts=texts,
        gt_ignored=np.arange(rows) == setting.words,
        gt_prompted=np.arange(rows) < setting.words,
        gt_destylized=label,
        gt_destylized_ignore=ignore,
    )
