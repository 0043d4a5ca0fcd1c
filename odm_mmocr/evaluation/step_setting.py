"""What a training step is measured with, and what a contender has to offer for it."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch

PRECISIONS = {'fp32': None, 'bf16': torch.bfloat16, 'fp16': torch.float16}
STRIDE = 32  # of the coarsest stage; sizes are multiples of it
MAX_WORDS = 32  # rows of a prompt, as in the configs for real runs
BACKWARD = 'backward'


@dataclass(frozen=True)
class StepSetting:
    """What a training step is measured with.

    Attributes:
        size: (height, width) of the images, pixels, multiples of 32.
        batch_size: Images a step.
        device: ``'cpu'`` or ``'cuda'``.
        precision: ``'fp32'``, or the autocast type ``'bf16'`` or, with CUDA, ``'fp16'``.
        threads: Threads of PyTorch's operators; None: as many as PyTorch takes.
        compile: Compile the model's parts, as its ``compile_cfg={}`` does.
        words: Prompted words an image, at most 32.
    """

    size: tuple[int, int] = (512, 512)
    batch_size: int = 4
    device: str = 'cpu'
    precision: str = 'fp32'
    threads: int | None = None
    compile: bool = False
    words: int = 7

    def check(self) -> None:
        """Refuse what cannot be measured.

        Raises:
            ValueError: A size that is no multiple of 32, a count below one, an unknown device or
                precision, one that the device has not, or no CUDA where it is asked for.
        """
        height, width = self.size
        if min(self.size) < 1 or height % STRIDE or width % STRIDE:
            raise ValueError(f'size {height}x{width}: both must be multiples of {STRIDE}')
        for name in ('batch_size', 'threads', 'words'):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f'{name}={value}: at least 1')
        if self.words > MAX_WORDS:
            raise ValueError(f'words={self.words}: a prompt has at most {MAX_WORDS}')
        if self.device not in ('cpu', 'cuda'):
            raise ValueError(f"device={self.device!r} is neither 'cpu' nor 'cuda'")
        if self.precision not in PRECISIONS:
            raise ValueError(f'precision={self.precision!r} is none of {", ".join(PRECISIONS)}')
        if self.device == 'cuda' and not torch.cuda.is_available():
            raise ValueError("device='cuda': PyTorch finds no CUDA device here; use 'cpu'")
        if self.device == 'cpu' and self.precision == 'fp16':
            raise ValueError("precision='fp16' needs device='cuda'; a CPU has 'bf16'")


class Part(NamedTuple):
    """A part of the step: what its methods do is counted for it.

    Attributes:
        name: Several methods may share one; :data:`BACKWARD` is the backward pass.
        owner: Object whose method it is.
        method: Name of the method.
    """

    name: str
    owner: Any
    method: str


class TrainStep(Protocol):
    """A model with optimizer and data, ready for steps.

    Attributes:
        parts: Its parts; one method may run inside another.
    """

    parts: list[Part]

    def __call__(self) -> None:
        """Make one step, as set."""

    def eager(self) -> None:
        """Make one step, not compiled."""


class Contender(Protocol):
    """Something with a training step to measure; travels to a process of its own.

    Attributes:
        name: How it is called in tables.
    """

    name: str

    def check(self, setting: StepSetting) -> None:
        """Raise ValueError or OSError for what cannot be built, without building it."""

    def build(self, setting: StepSetting) -> TrainStep:
        """Build model, optimizer and batch."""
