"""Training with several processes is training with one that has the whole batch."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed
from mmengine.model import (
    MMDistributedDataParallel,
    convert_sync_batchnorm,
    is_model_wrapper,
    revert_sync_batchnorm,
)
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmocr.registry import MODELS
from torch import nn

from odm_mmocr.models.losses import exchange, processes
from odm_mmocr.models.ocr_features.base import FrozenFeatures

SIZE = (64, 96)
# Of the largest gradient of each tensor. The network runs in float64; the losses do in float32.
TOLERANCE = 1e-5

# Name of a sample: its prompt, and the words that stand in it.
SAMPLES = dict(
    street=(['stop', 'exit'], ['stop', 'exit', 'bank']),  # bank is the prompt of others only
    money=(['bank', 'stop'], ['bank']),
    shop=(['open', 'exit', 'noise'], ['open', 'exit']),
    unsure=(['taxi'], ['taxi', 'stop']),  # with a weight for each pixel
    ignored=(['museum', 'exit'], ['museum']),  # every pixel
    empty=([], []),
    blank=([], ['exit']),  # nothing prompted, but a place of others' words
)
SHARES = {
    2: dict(
        even=[['street', 'unsure'], ['money', 'shop']],
        uneven=[['street', 'money', 'unsure'], ['shop']],
        no_words=[['empty', 'empty'], ['street', 'shop']],
        place_without_words=[['blank'], ['street', 'money']],
        all_ignored=[['street', 'unsure'], ['ignored', 'ignored']],
        no_word_anywhere=[['empty'], ['blank', 'empty']],
        all_ignored_everywhere=[['ignored', 'ignored'], ['ignored']],
        even_again=[['street', 'unsure'], ['money', 'shop']],
    ),
    4: dict(
        even=[['street'], ['unsure'], ['money'], ['shop']],
        uneven=[['street', 'unsure'], ['money'], ['shop'], ['street']],
        no_words=[['street', 'shop'], ['empty'], ['blank'], ['money']],
        all_ignored=[['ignored'], ['street', 'unsure'], ['empty'], ['ignored']],
    ),
}
LOSSES = dict(
    paper=dict(
        loss_seg=dict(type='DestylizationSegLoss'),
        loss_ocr=dict(type='OCRLPIPSLoss', features=dict(type='TwoFrozenLayers')),
    ),
    short_run=dict(
        loss_seg=dict(type='DestylizationSegLoss', positive_weight=2.0, dice_weight=1.0),
        loss_word=dict(type='WordContrastiveLoss', loss_weight=1.5),
    ),
)


class TwoLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, stride=2)

    def forward(self, pictures):
        fine = self.fine(pictures.expand(-1, 3, -1, -1))
        return fine, self.coarse(fine)


@MODELS.register_module(force=True)
def TwoFrozenLayers():
    """Feature network for OCR-LPIPS, the same in every process."""
    torch.manual_seed(1)
    return FrozenFeatures(TwoLayers())


def build(losses, small_model):
    model = small_model(
        image_encoder=dict(
            backbone=dict(type='mmdet.ResNet', depth=18, norm_eval=True), grid=(2, 3)
        ),
        head=dict(norm_cfg=dict(type='GN', num_groups=4)),
        text_controller=dict(depth=1, grid=(4, 6)),
        data_preprocessor=dict(type='ODMDataPreprocessor'),
        channels_last=False,
        **LOSSES[losses],
    )
    model = model.double().train()
    if model.loss_ocr is not None:
        model.loss_ocr.float()  # as the pictures that it compares
    return model


def make_batch(names, make_sample):
    """What the data loader would hand to the model."""
    images, samples = [], []
    for name in names:
        prompt, texts = SAMPLES[name]
        rng = torch.Generator().manual_seed(list(SAMPLES).index(name))
        images.append(torch.randint(0, 256, (3, *SIZE), dtype=torch.uint8, generator=rng))
        sample = make_sample(prompt, SIZE, shown=[text in texts for text in prompt])
        polygons = [
            np.array([8 + 9 * n, 8 + 12 * n, 60, 10 + 12 * n, 60, 18 + 12 * n, 8, 18 + 12 * n])
            for n in range(len(texts))
        ]
        sample.gt_instances = InstanceData(texts=texts, polygons=polygons)
        label = sample.gt_destylized
        label.ignore |= torch.rand(label.ignore.shape, generator=rng) > 0.7
        if name == 'ignored':
            label.ignore[:] = True
        if name == 'unsure':
            label.set_field(
                torch.randint(0, 256, label.label.shape, generator=rng).byte(), 'weight'
            )
        samples.append(sample)
    return dict(inputs=images, data_samples=samples)


def step(model, names, make_sample):
    """Logged losses and gradients of a training step, as MMEngine takes it."""
    unwrapped = model.module if is_model_wrapper(model) else model
    model.zero_grad()
    data = unwrapped.data_preprocessor(make_batch(names, make_sample), True)
    data['inputs'] = data['inputs'].double()
    total, logged = unwrapped.parse_losses(model(**data, mode='loss'))
    total.backward()
    gradients = {name: p.grad.clone() for name, p in unwrapped.named_parameters()}
    return dict(logged={name: value.item() for name, value in logged.items()}, gradients=gradients)


def micro_batches(count):
    return SHARES[count]['even'], SHARES[count]['uneven']


def accumulate(model, batches, make_sample):
    """How far a step that takes several batches moves some weights."""
    model.zero_grad()
    unwrapped = model.module if is_model_wrapper(model) else model
    weight = unwrapped.head.smooth.conv.weight
    before = weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    wrapper = OptimWrapper(optimizer, accumulative_counts=len(batches))
    wrapper.initialize_count_status(model, 0, len(batches))
    preprocessor = unwrapped.data_preprocessor
    preprocessor.register_forward_hook(
        lambda module, inputs, data: dict(data, inputs=data['inputs'].double())
    )
    for batch in batches[:-1]:
        model.train_step(make_batch(batch, make_sample), wrapper)
        assert torch.equal(weight, before)
    model.train_step(make_batch(batches[-1], make_sample), wrapper)
    return weight.detach() - before


def work(rank, count, folder):
    from conftest import _make_sample, _small_model

    init_default_scope('mmocr')
    torch.distributed.init_process_group(
        'gloo', f'file://{folder}/rendezvous', rank=rank, world_size=count
    )
    results = {}
    model = MMDistributedDataParallel(build('paper', _small_model), broadcast_buffers=False)
    shares = [batch[rank] for batch in micro_batches(count)]
    results['accumulated'] = accumulate(model, shares, _make_sample)
    for losses in LOSSES:
        model = MMDistributedDataParallel(build(losses, _small_model), broadcast_buffers=False)
        for case, shares in SHARES[count].items():
            results[f'{losses} {case}'] = step(model, shares[rank], _make_sample)
    # A second group, as where the first one sends from GPU to GPU.
    processes.distributed.get_backend = lambda group: 'nccl'
    processes._group_of_hosts.cache_clear()
    results['told'] = exchange(dict(rank=rank))
    torch.save(results, f'{folder}/{rank}.pth')
    torch.distributed.destroy_process_group()


def work_together(folder):
    """Run all processes of all numbers of them; they are forked, as imports take seconds each."""
    context = multiprocessing.get_context('fork')
    for count in SHARES:
        (folder / str(count)).mkdir()
        workers = [
            context.Process(target=work, args=(rank, count, folder / str(count)), daemon=True)
            for rank in range(count)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(120)
        if any(worker.exitcode != 0 for worker in workers):
            sys.exit(f'{count} processes ended with {[worker.exitcode for worker in workers]}')


@pytest.fixture(scope='module')
def found(tmp_path_factory):
    """For each number of processes, what each of them found."""
    folder = tmp_path_factory.mktemp('processes')
    environment = dict(os.environ, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    done = subprocess.run(
        [sys.executable, __file__, folder], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return {
        count: [torch.load(folder / str(count) / f'{rank}.pth') for rank in range(count)]
        for count in SHARES
    }


@pytest.mark.slow
@pytest.mark.parametrize('losses', LOSSES)
@pytest.mark.parametrize('count', SHARES)
def test_processes_together_are_one(found, count, losses, small_model, make_sample):
    model = build(losses, small_model)
    for case, shares in SHARES[count].items():
        whole = step(model, sum(shares, []), make_sample)
        shared = [result[f'{losses} {case}'] for result in found[count]]
        assert {name for name in whole['logged'] if name != 'loss'} == {
            *LOSSES[losses],
            'loss_contrastive',
        }
        for name, value in whole['logged'].items():
            mean = np.mean([each['logged'][name] for each in shared])
            assert mean == pytest.approx(value, rel=TOLERANCE, abs=1e-7), (case, name)
        largest = {name: value.abs().max() for name, value in whole['gradients'].items()}
        # The bias of a key has no gradient but rounding errors: softmax takes it out again.
        nothing = 1e-12 * max(largest.values())
        for name, gradient in whole['gradients'].items():
            for each in shared:
                difference = (each['gradients'][name] - gradient).abs().max()
                assert difference <= TOLERANCE * largest[name] + nothing, (case, name)


@pytest.mark.slow
@pytest.mark.parametrize('count', SHARES)
def test_accumulated_steps(found, count, small_model, make_sample):
    model = build('paper', small_model)
    whole = accumulate(model, [sum(shares, []) for shares in micro_batches(count)], make_sample)
    for each in found[count]:
        torch.testing.assert_close(each['accumulated'], whole, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize('count', SHARES)
def test_hosts_tell_each_other(found, count):
    for result in found[count]:
        assert result['told'] == [dict(rank=rank) for rank in range(count)]


def test_synchronized_batch_norm_is_in_place_of_every_other(small_model):
    """Only that it is built: it refuses to run without CUDA."""
    model = small_model()
    keys = list(model.state_dict())
    count = sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    converted = convert_sync_batchnorm(model, 'torch')
    kinds = [type(module) for module in converted.modules()]
    assert kinds.count(nn.SyncBatchNorm) == count > 0
    assert nn.BatchNorm2d not in kinds
    assert list(converted.state_dict()) == keys
    drawn = revert_sync_batchnorm(converted).eval()(torch.zeros(1, 3, 64, 96))['logits']
    assert drawn.shape == (1, 1, 64, 96)


@pytest.mark.parametrize('equal', [True, False])
def test_accumulation_weighs_batches_not_pixels(equal, small_model, make_sample):
    """Two halves have the gradient of the whole only where as many pixels are valid in each."""

    def gradient(*batches):
        model = build('paper', small_model)
        model.loss_ocr = model.loss_contrastive = None
        for names in batches:
            data = model.data_preprocessor(make_batch(names, make_sample), True)
            data['inputs'] = data['inputs'].double()
            for sample in data['data_samples']:
                sample.gt_destylized.ignore[:] = False
                if not equal and sample.prompt.texts == SAMPLES['money'][0]:
                    sample.gt_destylized.ignore[..., 16:] = True
            (model(**data, mode='loss')['loss_seg'] / len(batches)).backward()
        return model.head.smooth.conv.weight.grad

    whole = gradient(['street', 'money'])
    halves = gradient(['street'], ['money'])
    difference = (whole - halves).abs().max() / whole.abs().max()
    assert difference < TOLERANCE if equal else difference > 0.05


if __name__ == '__main__':
    work_together(Path(sys.argv[1]))
