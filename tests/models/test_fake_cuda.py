"""The forward of a training step on a GPU that is not there: no result, but devices and waiting."""

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmocr.registry import MODELS
from torch._subclasses import FakeTensorMode
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
)
from torch.utils._python_dispatch import TorchDispatchMode

from odm_mmocr.checkpoints import load_config
from odm_mmocr.structures import map_tensors

CONFIGS = ['odm_pretrain.py', 'odm_pretrain_laptop.py', 'odm_pretrain_reference.py']
QUAD = np.array([10, 10, 60, 10, 60, 30, 10, 30], np.float32)


class RefuseWaiting(TorchDispatchMode):
    """Refuses copies between host and GPU that wait for it; reads a fake refuses by itself."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.ops.aten._to_copy.default and not kwargs.get('non_blocking'):
            devices = {args[0].device.type, torch.device(kwargs.get('device', args[0].device)).type}
            assert len(devices) == 1, f'a copy waits: {args[0].shape}, {devices}'
        return func(*args, **kwargs)


@pytest.fixture
def gpu(monkeypatch):
    """Mode in which tensors on `cuda` can be made; skips where this PyTorch cannot."""
    monkeypatch.setattr('torch.cuda.amp.common.amp_definitely_not_available', lambda: False)
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda *args, **kwargs: True)
    mode = FakeTensorMode()
    try:
        with mode, torch.autocast('cuda', torch.bfloat16):
            ones = torch.ones(2, 2, device='cuda')
            assert (ones @ ones).dtype == torch.bfloat16
    except (RuntimeError, AssertionError) as error:
        pytest.skip(f'this PyTorch has no fake CUDA tensors: {error}')
    return mode


def to_gpu(model, mode):
    """Replace all tensors of a model by fakes on the GPU."""
    torch.__future__.set_overwrite_module_params_on_conversion(True)

    def move(tensor):
        fake = mode.from_tensor(tensor.detach())
        with mode:
            return fake.to('cuda')

    try:
        model._apply(move)
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)
    with mode:
        model.data_preprocessor.to('cuda')  # notes where to take batches
    return model


def make_batch(model, make_sample, size=(128, 192)):
    """A batch as a loader leaves it."""
    samples = []
    for words in (['stop', 'exit'], ['bank']):
        sample = make_sample(words, size, vocabulary=model.text_controller.vocabulary)
        sample.gt_instances = InstanceData(
            texts=words, polygons=[QUAD] * len(words), ignored=torch.zeros(len(words)).bool()
        )
        samples.append(sample)
    # Stacked: what MMEngine reads of a list's sizes is on the host, which a fake cannot tell.
    images = torch.zeros(len(samples), 3, *size, dtype=torch.uint8)
    return dict(inputs=images, data_samples=samples)


@pytest.mark.parametrize('config', CONFIGS)
def test_devices_agree_and_nothing_waits(config, gpu, make_sample):
    model = to_gpu(MODELS.build(load_config(config).model).train(), gpu)
    batch = map_tensors(make_batch(model, make_sample), gpu.from_tensor, leave=['gt_instances'])
    with gpu, RefuseWaiting(), torch.autocast('cuda', torch.bfloat16):
        losses = model(**model.data_preprocessor(batch, True), mode='loss')
    assert {loss.device.type for loss in losses.values()} == {'cuda'}
    assert ('loss_word' in losses) == (config == 'odm_pretrain_laptop.py')


@pytest.mark.parametrize(
    ('mistake', 'error'),
    [
        (lambda x: x + torch.ones(3), RuntimeError),
        (lambda x: x.sum().item(), DataDependentOutputException),
        (lambda x: x.tolist(), DataDependentOutputException),
        (lambda x: x[x > 0], DynamicOutputShapeException),
        (lambda x: x.new_tensor([1, 2, 3]), AssertionError),
        (lambda x: x.cpu(), AssertionError),
    ],
    ids=['devices', 'item', 'tolist', 'mask', 'new_tensor', 'cpu'],
)
def test_mistakes_are_found(gpu, mistake, error):
    with gpu, RefuseWaiting(), pytest.raises(error):
        mistake(torch.ones(3, device='cuda'))
