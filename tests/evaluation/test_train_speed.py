import ctypes
import math
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from odm_mmocr.checkpoints import load_config
from odm_mmocr.datasets import Vocabulary
from odm_mmocr.evaluation import step_worker, train_speed
from odm_mmocr.evaluation.config_step import ConfigContender, make_batch, optim_wrapper_for
from odm_mmocr.evaluation.step_parts import REST, Cost, PartMeter, count_flops, time_parts
from odm_mmocr.evaluation.step_setting import BACKWARD, Part, StepSetting
from odm_mmocr.evaluation.step_worker import (
    Memory,
    StepWorker,
    largest_that_fits,
    peak_resident_bytes,
)
from odm_mmocr.evaluation.train_speed import (
    Comparison,
    ContenderProcess,
    StepSpeed,
    measure_steps,
    peak_tflops,
)
from odm_mmocr.models.layers.attention_pool import AttentionPool2d

CONFIG = 'odm_pretrain_quickstart.py'
SMALL = StepSetting(size=(64, 96), batch_size=2, words=3)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')


class Clock:
    """A clock that only :class:`Spend` puts forward."""

    now = 0.0

    def read(self):
        return self.now

    perf_counter = read


class Spend(torch.autograd.Function):
    """Takes some time forward and some backward."""

    @staticmethod
    def forward(ctx, x, clock, forward, backward):
        ctx.clock, ctx.cost = clock, backward
        ctx.save_for_backward(x)
        clock.now += forward
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        ctx.saved_tensors  # which checkpointing makes anew
        ctx.clock.now += ctx.cost
        return gradient, None, None, None


class FakeStep:
    """Glue, a part with a part inside, glue, two parts that meet in the last one, an optimizer."""

    def __init__(self, clock, checkpointed=False):
        self.clock = clock
        self.checkpointed = checkpointed
        self.weight = torch.ones(3, requires_grad=True)
        names = ('outer', 'inner', 'side', 'last', 'optimizer')
        self.parts = [Part(name, self, name) for name in names] + [Part(BACKWARD, self, 'back')]

    def eager(self):
        first, further = self.outer(self.spend(self.weight, 1, 2))
        side = self.side()
        self.back(self.last(first, self.spend(further['more'], 4, 8), side=side))
        self.optimizer()

    def outer(self, x):
        x = self.spend(x, 16, 32)
        x = checkpoint(self.inner, x, use_reentrant=False) if self.checkpointed else self.inner(x)
        return x, {'more': self.spend(x, 64, 128)}

    def inner(self, x):
        return self.spend(x, 256, 512)

    def side(self):
        return self.spend(self.weight, 1024, 2048)

    def last(self, first, more, side):
        return self.spend(first + more + side, 1e4, 2e4)

    def back(self, loss):
        loss.sum().backward()

    def optimizer(self):
        self.clock.now += 1e5

    def spend(self, x, forward, backward):
        return Spend.apply(x, self.clock, forward, backward)


def costs_of(step):
    return {
        name: (cost.forward, cost.backward)
        for name, cost in PartMeter(step.clock.read).measure(step).items()
    }


def test_costs_belong_to_their_parts_forward_and_backward():
    step = FakeStep(Clock())
    costs = costs_of(step)
    assert costs == {
        'outer': (16 + 64, 32 + 128),
        'inner': (256, 512),
        'side': (1024, 2048),
        'last': (1e4, 2e4),
        'optimizer': (1e5, 0),
        REST: (1 + 4, 2 + 8),
    }
    assert list(costs) == ['outer', 'inner', 'side', 'last', 'optimizer', REST]
    assert sum(map(sum, costs.values())) == step.clock.now


def test_what_checkpointing_repeats_is_backward_cost_of_its_part():
    costs = costs_of(FakeStep(Clock(), checkpointed=True))
    assert costs['inner'] == (256, 512 + 256)
    assert costs['outer'] == (16 + 64, 32 + 128)


def test_methods_are_as_before_after_a_measurement_and_after_a_failure():
    step = FakeStep(Clock())
    before = set(vars(step))
    PartMeter(step.clock.read).measure(step)
    assert set(vars(step)) == before
    step.weight = None
    with pytest.raises(AttributeError):
        PartMeter(step.clock.read).measure(step)
    assert set(vars(step)) == before


@pytest.fixture(scope='module')
def step():
    return ConfigContender(CONFIG).build(SMALL)


def test_a_step_trains(step):
    before = {name: value.clone() for name, value in step.model.named_parameters()}
    step()
    same = [n for n, p in step.model.named_parameters() if torch.equal(p, before[n])]
    assert len(same) < len(before) / 10
    assert all(value.isfinite().all() for value in step.model.parameters())
    assert all(value.grad is None for value in step.model.parameters())


def test_flops_of_a_part_are_those_of_the_part_alone(step):
    costs = count_flops(step)
    backbone = step.model.image_encoder.backbone
    images = torch.rand(2, 3, 64, 96)
    with FlopCounterMode(display=False) as counter:
        stages = backbone(images)
        assert costs['backbone'].forward == counter.get_total_flops()
        sum(stage.sum() for stage in stages).backward()
    step.model.zero_grad()
    assert costs['backbone'].total == counter.get_total_flops()
    head = [costs['fusion'], costs['head']]
    assert all(cost.backward == 2 * cost.forward > 0 for cost in head)
    assert costs['loss_seg'].total == costs['optimizer'].total == costs[REST].total == 0


def test_attention_is_counted():
    class Pooling:
        """The attention pool alone."""

        def __init__(self):
            self.parts = [Part('pool', self, 'eager')]

        def eager(self):
            pool(torch.rand(2, 512, 2, 3))

    channels, tokens, batch = 512, 7, 2
    pool = AttentionPool2d(channels, 128, 8, (2, 3))  # at its own grid, nothing to resample
    linear = 2 * tokens * channels * (3 * channels + 128)
    attention = 2 * 2 * tokens**2 * channels
    assert count_flops(Pooling())['pool'].forward == batch * (linear + attention)


def test_times_of_parts_add_up_to_the_step(step):
    step()
    start = time.perf_counter()
    costs = time_parts(step, 'cpu')
    spent = time.perf_counter() - start
    assert sum(cost.total for cost in costs.values()) == pytest.approx(spent, rel=0.1)
    assert costs['backbone'].backward > costs['text'].backward > 0
    assert {'preprocessing', 'pool', 'cross-attention', 'head', 'loss_word'} <= set(costs)
    assert 'loss_ocr' not in costs


def test_batch_is_what_a_pipeline_packs():
    init_default_scope('mmocr')
    vocabulary = Vocabulary(characters='abc', max_characters=6)
    batch = make_batch(vocabulary, SMALL)
    assert [tuple(image.shape) for image in batch['inputs']] == [(3, 64, 96)] * 2
    assert not torch.equal(*batch['inputs'])
    for sample in batch['data_samples']:
        assert (
            sample.prompt.mask.sum() == sample.prompt.shown.sum() == len(sample.prompt.texts) == 3
        )
        assert set(''.join(sample.prompt.texts)) <= set('abc')
        assert sample.gt_instances.ignored.tolist() == [False] * 3 + [True]
        label = sample.gt_destylized
        assert 0.05 < (label.label > 0).float().mean() < 0.5
        assert label.ignore.any()
        assert not label.label[label.ignore].any()


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(size=(100, 512)), 'size 100x512: both must be multiples of 32'),
        (dict(size=(512, 0)), 'multiples of 32'),
        (dict(batch_size=0), 'batch_size=0: at least 1'),
        (dict(threads=0), 'threads=0: at least 1'),
        (dict(words=33), 'at most 32'),
        (dict(device='tpu'), "'tpu' is neither"),
        (dict(precision='fp8'), "'fp8' is none of fp32, bf16, fp16"),
        (dict(precision='fp16'), "'fp16' needs device='cuda'"),
    ],
)
def test_settings_that_cannot_be_measured(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **changes).check()


@pytest.mark.skipif(torch.cuda.is_available(), reason='has CUDA')
def test_no_cuda():
    with pytest.raises(ValueError, match='finds no CUDA device'):
        replace(SMALL, device='cuda').check()


@pytest.mark.parametrize(
    ('config', 'options', 'error', 'message'),
    [
        ('none.py', {}, FileNotFoundError, r'no config none\.py'),
        ('mmocr::textdet/dbnet/dbnet_resnet50_1200e_icdar2015.py', {}, ValueError, 'type DBNet'),
        (CONFIG, {'model.type': 'mmdet.ODMs'}, ValueError, 'type mmdet.ODMs, ODM is needed'),
    ],
)
def test_configs_that_cannot_be_measured(config, options, error, message):
    with pytest.raises(error, match=message):
        ConfigContender(config, options).check(SMALL)


def test_name_of_a_config_tells_its_options():
    assert ConfigContender('a/b.py', {'model.x': None}).name == 'b model.x=None'
    assert ConfigContender('b.py', {'model.x': 1}, 'mine').name == 'mine'


def test_precision_replaces_that_of_the_config():
    cfg = load_config('odm_pretrain.py').optim_wrapper
    for precision, kind in (('fp32', 'FiniteOptimWrapper'), ('bf16', 'CpuAmpOptimWrapper')):
        wrapper = optim_wrapper_for(cfg, replace(SMALL, precision=precision))
        assert wrapper == dict(type=kind, optimizer=cfg.optimizer, paramwise_cfg=cfg.paramwise_cfg)
    wrapper = optim_wrapper_for(cfg, replace(SMALL, device='cuda', precision='fp16'))
    assert (wrapper['type'], wrapper['dtype']) == ('AutoAmpOptimWrapper', 'float16')


def test_deterministic_kernels_as_the_config_has_it(monkeypatch):
    for name in ('deterministic', 'benchmark'):  # as they are now, once this is over
        monkeypatch.setattr(torch.backends.cudnn, name, getattr(torch.backends.cudnn, name))
    try:
        step = ConfigContender(CONFIG, {'randomness.deterministic': True}).build(SMALL)
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
        step()
    finally:
        torch.use_deterministic_algorithms(False)
    ConfigContender(CONFIG).build(SMALL)
    assert not torch.are_deterministic_algorithms_enabled()


def test_bfloat16_step():
    step = ConfigContender(CONFIG).build(replace(SMALL, precision='bf16'))
    seen = []
    step.model.head.draw.register_forward_hook(lambda m, i, output: seen.append(output.dtype))
    step()
    assert seen == [torch.bfloat16]


@pytest.mark.parametrize('limit', [0, 1, 2, 3, 31, 32, 33, 100])
@pytest.mark.parametrize('start', [1, 4, 32])
def test_largest_that_fits(limit, start):
    tried = []

    def fits(number):
        tried.append(number)
        return number <= limit

    assert largest_that_fits(fits, start) == limit
    assert len(tried) <= 2 * math.log2(max(limit, start)) + 3
    assert len(set(tried)) == len(tried)


def speed_of(seconds, peak, idle, batch=4, **further):
    flops = dict(backbone=Cost(3e9, 6e9), head=Cost(1e9, 2e9))
    setting = StepSetting(batch_size=batch)
    return StepSpeed('a', setting, seconds, Memory(peak, idle), flops, **further)


def test_comparison_is_by_image_and_by_pairs():
    one = speed_of([1.0, 2.0, 4.0], 600, 100)
    other = speed_of([3.0, 4.0, 16.0], 1100, 100, batch=8)
    ratio = Comparison.of(one, other)
    assert ratio.speed == 1.0
    assert (ratio.paired.low, ratio.paired.median, ratio.paired.high) == (1.25, 1.5, 1.75)
    assert ratio.memory == pytest.approx(6 / 11)
    assert ratio.memory_above_idle == 0.5
    assert one.images_per_second.median == 2
    assert one.flops_per_image == Cost(4e9, 8e9)
    assert one.flops_per_second == 24e9


def test_peaks_of_gpus():
    assert peak_tflops('NVIDIA H100 PCIe') < peak_tflops('NVIDIA H100 80GB HBM3')
    assert peak_tflops('some other') is None


def test_peak_memory_sees_what_is_gone_again():
    # What earlier tests have freed, and the allocator has kept, would hold a part of the block.
    if trim := getattr(ctypes.CDLL(None), 'malloc_trim', None):
        trim(0)
    try:
        Path('/proc/self/clear_refs').write_text('5')  # the peak begins anew
    except OSError:
        pytest.skip('the peak of this process cannot be reset')
    before = peak_resident_bytes()
    block = torch.ones(64, 2**20)  # 256 MiB
    del block
    assert 200 * 2**20 < peak_resident_bytes() - before < 300 * 2**20


class Worked:
    """A contender that takes a second a step, and a step of its data that takes three to load."""

    name = 'worked'

    def __init__(self, clock):
        self.clock = clock

    def build(self, setting):
        return self

    def __call__(self, batch=None):
        self.clock.now += 1

    def load_batches(self):
        while True:
            self.clock.now += 3
            yield {}


def test_time_that_waits_for_data(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(step_worker, 'time', clock)
    worker = StepWorker(Worked(clock), SMALL)
    assert worker.repeat(5) == 1
    speed = worker.run_loader(5)
    assert (speed.images_per_second, speed.waiting, speed.lost) == (0.5, 0.75, 0.75)


def test_contenders_take_turns(monkeypatch):
    calls = []

    class InProcess:
        def __init__(self, contender, setting):
            self.name = contender.name

        def __enter__(self):
            return self

        def __exit__(self, *error):
            calls.append((self.name, 'end'))

        def call(self, method, *arguments):
            calls.append((self.name, method))
            if method == 'repeat':
                return float(len(calls))
            return dict(memory=Memory(2, 1), count_flops={}, time_parts={'head': Cost(1, 2)}).get(
                method
            )

    monkeypatch.setattr(train_speed, 'ContenderProcess', InProcess)
    contenders = [(ConfigContender(CONFIG, name=name), SMALL) for name in 'ab']
    one, other = measure_steps(contenders, repeats=3, parts=True, largest_batch=True)
    told = [name for name, method in calls if method == 'repeat']
    assert told == list('ababab')
    assert one.seconds[0] < other.seconds[0] < one.seconds[1] < other.seconds[1]
    assert one.parts == {'head': Cost(1, 2)}
    # Memory is asked for before anything but plain steps has run.
    assert calls.index(('a', 'memory')) < calls.index(('a', 'count_flops'))
    assert calls[-4:] == [
        ('a', 'find_largest_batch'), ('a', 'end'), ('b', 'find_largest_batch'), ('b', 'end'),
    ]  # fmt: skip


@pytest.mark.slow
def test_processes_of_their_own():
    setting = replace(SMALL, threads=1)
    large = replace(setting, size=(256, 256), batch_size=4)
    contenders = [(ConfigContender(CONFIG), s) for s in (setting, large)]
    small, large = measure_steps(contenders, steps=1, repeats=2, parts=True, loader=True)
    assert large.memory.above_idle > 1.5 * small.memory.above_idle > 0
    assert small.images_per_second.median > large.images_per_second.median
    assert small.flops_per_image.forward < large.flops_per_image.forward
    assert 0 <= small.loader.waiting <= 1
    assert small.parts['backbone'].total > 0


@pytest.mark.slow
def test_processes_that_fail_or_die_are_named():
    broken = ConfigContender(CONFIG, {'model.text_controller.match': False}, 'broken')
    with pytest.raises(RuntimeError, match='^broken: loss_word needs'):
        ContenderProcess(broken, SMALL).__enter__()
    with ContenderProcess(ConfigContender(CONFIG), SMALL) as process:
        os.kill(process._process.pid, signal.SIGKILL)
        with pytest.raises(RuntimeError, match='quickstart: its process ended with code -9'):
            process.call('repeat', 1)


@needs_cuda
def test_parts_by_events_add_up_with_cuda():
    worker = StepWorker(ConfigContender(CONFIG), replace(SMALL, device='cuda', precision='bf16'))
    worker.warm_up(3)
    seconds = worker.repeat(5)
    costs = worker.time_parts()
    assert sum(cost.total for cost in costs.values()) < 10 * seconds
    assert costs['backbone'].forward > 0
    assert costs['backbone'].backward > 0
    assert worker.count_flops()['backbone'].backward > worker.count_flops()['backbone'].forward
    assert 0 < worker.memory().peak < 2**30


@needs_cuda
@pytest.mark.slow
def test_largest_batch_with_cuda():
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(2e9 / whole)
    try:
        setting = replace(SMALL, device='cuda', size=(256, 256))
        largest = StepWorker(ConfigContender(CONFIG), setting).find_largest_batch(1)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert 1e9 < largest.memory.peak <= 2e9
    assert largest.batch_size > 2
