"""How fast, how large and how costly a training step is, whole and part by part.

Contenders are measured in turns, each in a process of its own, so that what slows the machine down
slows all of them, and the memory of one is not that of another.
"""

import gc
import logging
import multiprocessing
import operator
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.utils import ProgressBar
from mmocr.registry import MODELS
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from odm_mmocr.checkpoints import load_config
from odm_mmocr.datasets.transforms import PackODMInputs
from odm_mmocr.datasets.vocabulary import Vocabulary
from odm_mmocr.engine import keep_freed_memory
from odm_mmocr.evaluation.data_speed import Spread
from odm_mmocr.models import ODM

PRECISIONS = {'fp32': None, 'bf16': torch.bfloat16, 'fp16': torch.float16}
STRIDE = 32  # of the coarsest stage; sizes are multiples of it
MAX_WORDS = 32  # rows of a prompt, as in the configs for real runs
REST = 'rest'
BACKWARD = 'backward'

# Dense bf16 peaks from the data sheets, in TFLOP a second; more specific names stand first.
_PEAK_TFLOPS = {
    'H200': 989.0,
    'H100 PCIe': 756.0,
    'H100': 989.0,
    'A100': 312.0,
    'L40S': 362.0,
    'RTX 4090': 165.0,
}


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


@dataclass
class Cost:
    """Cost of a part, in seconds or FLOP.

    Attributes:
        forward: Outside the backward pass.
        backward: In the backward pass.
    """

    forward: float = 0.0
    backward: float = 0.0

    @property
    def total(self) -> float:
        """Both together."""
        return self.forward + self.backward


@dataclass
class Memory:
    """Peak memory in bytes.

    Attributes:
        peak: With CUDA, of the tensors on the GPU; else the peak resident set of the process.
        idle: That of the process after its imports; 0 with CUDA.
    """

    peak: int
    idle: int

    @property
    def above_idle(self) -> int:
        """What model, optimizer and step take."""
        return self.peak - self.idle


@dataclass
class LoaderSpeed:
    """Training on the images of the config's own data loader.

    Attributes:
        images_per_second: With the loader.
        waiting: Share of the time, 0 to 1, in which the loop stands waiting for a batch. With
            CUDA the GPU may still be at work meanwhile.
        lost: Share of the time, 0 to 1, that a batch at hand would save.
    """

    images_per_second: float
    waiting: float
    lost: float


@dataclass
class LargestBatch:
    """The largest batch that fits into the GPU's memory.

    Attributes:
        batch_size: Images.
        images_per_second: With that batch.
        memory: Of that batch.
    """

    batch_size: int
    images_per_second: float
    memory: Memory


@dataclass
class StepSpeed:
    """Figures of a contender.

    Attributes:
        name: Of the contender.
        setting: What it was measured with.
        seconds: Of a step, one figure a repeat.
        memory: Peak memory over all repeats.
        flops: For each part, FLOP an image, 2 for each multiply-add. Matrix products, convolutions
            and attention are counted; what activation checkpointing repeats is counted twice.
        parts: For each part, seconds of a step, median over the repeats; None: not asked for.
        loader: With the config's data loader; None: not asked for.
        largest: The largest batch; None: not asked for.
    """

    name: str
    setting: StepSetting
    seconds: list[float]
    memory: Memory
    flops: dict[str, Cost]
    parts: dict[str, Cost] | None = None
    loader: LoaderSpeed | None = None
    largest: LargestBatch | None = None

    @property
    def images_per_second(self) -> Spread:
        """Median and quartiles over the repeats."""
        return Spread.of([self.setting.batch_size / seconds for seconds in self.seconds])

    @property
    def flops_per_image(self) -> Cost:
        """Of all parts."""
        costs = self.flops.values()
        return Cost(sum(cost.forward for cost in costs), sum(cost.backward for cost in costs))

    @property
    def flops_per_second(self) -> float:
        """Forward and backward FLOP a second, at the median speed."""
        return self.flops_per_image.total * self.images_per_second.median


@dataclass
class Comparison:
    """One contender against another.

    Attributes:
        speed: How many times as fast, by the medians.
        paired: The same repeat by repeat.
        memory: Its peak memory as a share of the other's.
        memory_above_idle: Likewise without what a process takes when idle.
    """

    speed: float
    paired: Spread
    memory: float
    memory_above_idle: float

    @classmethod
    def of(cls, one: StepSpeed, other: StepSpeed) -> 'Comparison':
        """Compare figures that were measured in the same run, by time for an image."""
        mine, theirs = (np.divide(s.seconds, s.setting.batch_size) for s in (one, other))
        return cls(
            float(np.median(theirs) / np.median(mine)),
            Spread.of(theirs / mine),
            one.memory.peak / other.memory.peak,
            one.memory.above_idle / other.memory.above_idle,
        )


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
    zeroed gradients. The batch lies in the memory of the host, as a data loader leaves it.

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
        torch.manual_seed(0)
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
        wrapper['type'] = 'OptimWrapper' if dtype is None else 'CpuAmpOptimWrapper'
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


class PartMeter:
    """Splits the cost of a step among its parts by reading a meter where one gives way to another.

    Forward, that is where a method of a part begins and ends; what runs inside another part counts
    for the inner one only. Backward, autograd goes through the operations in reverse order; hooks
    read the meter before each operation that made an output of a part, which begins the part, or an
    input, which ends it. What belongs to no part is :data:`REST`: stacking of prompts and labels,
    the sum of the losses, and backward what made the inputs of a part. Other operations between two
    parts count, backward, for the part that comes before them there.

    Args:
        read: Gives the reading of the meter.
        subtract: What lies between two readings, the later one first.
    """

    def __init__(
        self, read: Callable[[], Any], subtract: Callable[[Any, Any], float] = operator.sub
    ):
        self._read = read
        self._subtract = subtract

    def measure(self, step: TrainStep) -> dict[str, Cost]:
        """Make one step and return the cost of every part that ran, in the order of the parts."""
        self._marks: list[tuple[Any, str, bool]] = []  # reading; the part from here on; backward
        self._running = [REST]
        self._backward = False
        self._nodes: set[Any] = set()  # of the graph, with a hook
        for part in step.parts:
            method = getattr(part.owner, part.method)
            if part.name == BACKWARD:
                method = self._wrap_backward(method)
            else:
                method = self._wrap(part.name, method)
            setattr(part.owner, part.method, method)
        try:
            self._mark(REST)
            step.eager()
            self._mark(REST)
        finally:
            for part in step.parts:
                delattr(part.owner, part.method)  # the class still has it
            self._nodes.clear()
        seen = {part for _, part, _ in self._marks}
        names = dict.fromkeys([*(part.name for part in step.parts), REST])
        costs = {name: Cost() for name in names if name in seen}
        for (start, part, backward), (end, *_) in zip(self._marks, self._marks[1:]):
            cost = costs[part]
            spent = self._subtract(end, start)
            if backward:
                cost.backward += spent
            else:
                cost.forward += spent
        return costs

    def _mark(self, part: str) -> None:
        self._marks.append((self._read(), part, self._backward))

    def _wrap(self, name: str, method: Callable) -> Callable:
        def measured(*args, **kwargs):
            if self._backward:  # activation checkpointing runs it again
                return method(*args, **kwargs)
            self._watch((args, kwargs), self._running[-1])
            self._running.append(name)
            self._mark(name)
            result = method(*args, **kwargs)
            self._running.pop()
            self._watch(result, name)
            self._mark(self._running[-1])
            return result

        return measured

    def _wrap_backward(self, method: Callable) -> Callable:
        def measured(*args, **kwargs):
            self._backward = True
            self._mark(REST)
            method(*args, **kwargs)
            self._backward = False
            self._mark(self._running[-1])

        return measured

    def _watch(self, values: Any, part: str) -> None:
        """Let the backward pass of operations that made these values count for a part."""
        for tensor in _tensors(values):
            node = tensor.grad_fn
            if node is not None and node not in self._nodes:
                self._nodes.add(node)
                node.register_prehook(lambda gradients: self._mark(part))


def _tensors(values: Any) -> Iterator[Tensor]:
    """All tensors in nested lists, tuples and dictionaries."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (list, tuple, dict)):
        for value in values.values() if isinstance(values, dict) else values:
            yield from _tensors(value)


def _attention_flop(query, key, value, *others, **named) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_backward_flop(gradient, query, key, value, *others, **named) -> int:
    return sdpa_backward_flop_count(gradient, query, key, value)


# PyTorch itself counts the attention kernels of GPUs only.
_CPU_ATTENTION_FLOP = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flop,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward_flop,
}


def count_flops(step: TrainStep) -> dict[str, Cost]:
    """Count the FLOP of one step, for each part.

    Args:
        step: Makes one step.

    Returns:
        FLOP of the whole batch, 2 for each multiply-add, of matrix products, convolutions and
        attention; causal attention counts in full.
    """
    with FlopCounterMode(display=False, custom_mapping=_CPU_ATTENTION_FLOP) as counter:
        return PartMeter(counter.get_total_flops).measure(step)


def time_parts(step: TrainStep, device: str) -> dict[str, Cost]:
    """Measure the seconds of one step, for each part; with CUDA by events on its stream."""
    if device == 'cuda':
        return PartMeter(_record_event, _seconds_between).measure(step)
    return PartMeter(time.perf_counter).measure(step)


def _record_event() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def _seconds_between(later: torch.cuda.Event, earlier: torch.cuda.Event) -> float:
    later.synchronize()
    return earlier.elapsed_time(later) / 1e3


def peak_resident_bytes() -> int:
    """Peak resident set of this process so far."""
    # Linux starts ru_maxrss of a new process with the peak of its parent, which may be larger.
    status = Path('/proc/self/status')
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith('VmHWM'))
        return 1024 * int(peak.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else 1024 * peak


def largest_that_fits(fits: Callable[[int], bool], start: int = 1) -> int:
    """Find the largest number that fits, by doubling and bisection.

    Args:
        fits: Tries a number; whatever is larger than one that does not fit does not fit either.
        start: First number to try.

    Returns:
        That number, 0 where not even 1 fits.
    """
    low, high = 0, start
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low


def peak_tflops(device_name: str) -> float | None:
    """Dense bf16 peak of a GPU in TFLOP a second, None for one that is not in the table."""
    return next((peak for name, peak in _PEAK_TFLOPS.items() if name in device_name), None)


class StepWorker:
    """A contender inside its own process; the methods are what it can be told to do.

    Args:
        contender: Is built here.
        setting: What to measure with.
    """

    def __init__(self, contender: Contender, setting: StepSetting):
        self.contender = contender
        self.setting = setting
        self.cuda = setting.device == 'cuda'
        self.idle = 0 if self.cuda else peak_resident_bytes()
        if setting.threads:
            torch.set_num_threads(setting.threads)
        torch.backends.cudnn.benchmark = True  # as the configs have it
        self.step = contender.build(setting)

    def warm_up(self, steps: int) -> None:
        """Make steps that do not count, and forget the GPU memory that they took."""
        for _ in range(steps):
            self.step()
        self._finish()
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()

    def repeat(self, steps: int) -> float:
        """Make steps and return the seconds of one."""
        if self.cuda:
            self.step()  # takes the memory again that the last repeat gave back
            self._finish()
        start = time.perf_counter()
        for _ in range(steps):
            self.step()
        self._finish()
        seconds = (time.perf_counter() - start) / steps
        if self.cuda:
            torch.cuda.empty_cache()  # for the other contenders
        return seconds

    def memory(self) -> Memory:
        """Peak memory so far."""
        if self.cuda:
            return Memory(torch.cuda.max_memory_allocated(), 0)
        return Memory(peak_resident_bytes(), self.idle)

    def count_flops(self) -> dict[str, Cost]:
        """FLOP an image."""
        costs = count_flops(self.step)
        images = self.setting.batch_size
        return {part: Cost(c.forward / images, c.backward / images) for part, c in costs.items()}

    def time_parts(self) -> dict[str, Cost]:
        """Seconds of one step, for each part."""
        return time_parts(self.step, self.setting.device)

    def run_loader(self, steps: int) -> LoaderSpeed:
        """Train on the config's own data; the steps before the timed ones fill the queues."""
        at_hand = self.repeat(steps)
        batches = self.step.load_batches()
        self.step(next(batches))
        self._finish()
        waited = 0.0
        start = time.perf_counter()
        for _ in range(steps):
            asked = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - asked
            self.step(batch)
        self._finish()
        seconds = time.perf_counter() - start
        return LoaderSpeed(
            steps * self.setting.batch_size / seconds,
            waited / seconds,
            max(0.0, 1 - steps * at_hand / seconds),
        )

    def find_largest_batch(self, steps: int) -> LargestBatch:
        """Find the largest batch that fits, and measure it. The step is gone afterwards.

        Raises:
            ValueError: Not one image fits.
        """
        size = largest_that_fits(self._fits, self.setting.batch_size)
        if not size:
            raise ValueError('not even one image fits into the memory of the GPU')
        self._rebuild(size)
        self.warm_up(1)
        rate = size / self.repeat(steps)
        return LargestBatch(size, rate, self.memory())

    def _fits(self, batch_size: int) -> bool:
        try:
            self._rebuild(batch_size)
            for _ in range(2):  # the optimizer's state is there from the first step on
                self.step()
            self._finish()
        except torch.cuda.OutOfMemoryError:
            return False
        return True

    def _rebuild(self, batch_size: int) -> None:
        # A step that ran out of memory is in no state to go on; nor may it stay in memory.
        self.step = None
        gc.collect()
        torch.cuda.empty_cache()
        self.step = self.contender.build(replace(self.setting, batch_size=batch_size))

    def _finish(self) -> None:
        if self.cuda:
            torch.cuda.synchronize()


EXPECTED_ERRORS = (OSError, ValueError, KeyError, ImportError)


def _serve(connection: Connection, contender: Contender, setting: StepSetting) -> None:
    """Main function of a contender's process: does what it is told until it is told to stop."""
    logging.disable(logging.INFO)  # of each parameter's weight decay, for example
    try:
        worker = StepWorker(contender, setting)
        connection.send((None, None))
        while (command := _receive(connection)) is not None:
            method, *arguments = command
            connection.send((None, getattr(worker, method)(*arguments)))
    except Exception as error:
        message = str(error)
        if not isinstance(error, EXPECTED_ERRORS):
            traceback.print_exc()
            message = f'{type(error).__name__}: {message.splitlines()[0] if message else ""}'
        connection.send((message, None))


def _receive(connection: Connection) -> tuple | None:
    try:
        return connection.recv()
    except EOFError:  # the parent is gone
        return None


class ContenderProcess:
    """A fresh process that holds a contender and waits to be told what to do.

    Args:
        contender: Is built there.
        setting: What to measure with; the threads are set before the process imports PyTorch.

    Raises:
        RuntimeError: Building failed.
    """

    def __init__(self, contender: Contender, setting: StepSetting):
        self.name = contender.name
        context = multiprocessing.get_context('spawn')
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, contender, setting))
        threads = {} if setting.threads is None else {'OMP_NUM_THREADS': str(setting.threads)}
        before = {name: os.environ.get(name) for name in threads}
        os.environ.update(threads)
        try:
            self._process.start()
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        theirs.close()

    def __enter__(self) -> 'ContenderProcess':
        self._answer()  # is built
        return self

    def __exit__(self, *error) -> None:
        self._connection.close()  # it ends by itself
        self._process.join()

    def call(self, method: str, *arguments) -> Any:
        """Let it run a method of :class:`StepWorker` and return the result.

        Raises:
            RuntimeError: It failed there, or the process is gone.
        """
        return self._answer((method, *arguments))

    def _answer(self, command: tuple = ()) -> Any:
        try:
            if command:
                self._connection.send(command)
            error, result = self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            raise RuntimeError(
                f'{self.name}: its process ended with code {self._process.exitcode}; mostly it is '
                'the system that kills one, for want of memory: use a smaller batch or size'
            ) from None
        if error is not None:
            raise RuntimeError(f'{self.name}: {error}')
        return result


def measure_steps(
    contenders: Sequence[tuple[Contender, StepSetting]],
    steps: int = 2,
    repeats: int = 5,
    warmup: int = 1,
    parts: bool = False,
    loader: bool = False,
    largest_batch: bool = False,
) -> list[StepSpeed]:
    """Measure contenders in turns.

    Args:
        contenders: Contenders and their settings, at least one.
        steps: Training steps a repeat.
        repeats: How often each contender has its turn.
        warmup: Steps of each before the first repeat.
        parts: Also time the parts, in a further step a repeat.
        loader: Also train the first contender, a :class:`ConfigContender`, on its own data.
        largest_batch: Also find the largest batch of each that fits into the GPU's memory.

    Returns:
        The figures of each.

    Raises:
        ValueError, OSError: A setting or contender that cannot be measured.
        RuntimeError: Building or running one failed.
    """
    for contender, setting in contenders:
        setting.check()
        contender.check(setting)
    turns = len(contenders) * (2 + repeats * (1 + parts) + largest_batch) + loader
    print('\ntraining steps', file=sys.stderr)
    bar = ProgressBar(turns, file=sys.stderr)

    def turn(process: ContenderProcess, method: str, *arguments) -> Any:
        result = process.call(method, *arguments)
        bar.update()
        return result

    with ExitStack() as stack:
        processes = [stack.enter_context(ContenderProcess(*pair)) for pair in contenders]
        for process in processes:
            turn(process, 'warm_up', warmup)
        seconds = [[turn(p, 'repeat', steps) for p in processes] for _ in range(repeats)]
        memories = [process.call('memory') for process in processes]
        flops = [turn(process, 'count_flops') for process in processes]
        timed = [[turn(p, 'time_parts') for p in processes] for _ in range(repeats * parts)]
        speeds = [
            StepSpeed(contender.name, setting, list(of_repeats), memory, flop)
            for (contender, setting), of_repeats, memory, flop in zip(
                contenders, zip(*seconds), memories, flops
            )
        ]
        for speed, costs in zip(speeds, zip(*timed)):
            speed.parts = _median_costs(costs)
        if loader:
            speeds[0].loader = turn(processes[0], 'run_loader', steps * repeats)
    if largest_batch:
        for speed, pair in zip(speeds, contenders):
            with ContenderProcess(*pair) as process:  # alone on the GPU
                speed.largest = turn(process, 'find_largest_batch', steps)
    return speeds


def _median_costs(costs: Sequence[dict[str, Cost]]) -> dict[str, Cost]:
    return {
        part: Cost(
            float(np.median([cost[part].forward for cost in costs])),
            float(np.median([cost[part].backward for cost in costs])),
        )
        for part in costs[0]
    }
