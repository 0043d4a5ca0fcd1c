import pytest
import torch
from mmengine.optim import AmpOptimWrapper
from mmocr.registry import OPTIM_WRAPPERS
from torch import nn

from odm_mmocr.engine import CpuAmpOptimWrapper, FiniteOptimWrapper, optim_wrapper

without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason='has CUDA')


def build(model, **settings):
    config = dict(type='AutoAmpOptimWrapper', clip_grad=dict(max_norm=1.0), **settings)
    return OPTIM_WRAPPERS.build(dict(config, optimizer=torch.optim.SGD(model.parameters(), 0.1)))


@without_cuda
def test_plain_without_cuda():
    wrapper = build(nn.Linear(2, 1), dtype='bfloat16')
    assert type(wrapper) is FiniteOptimWrapper
    assert wrapper.clip_grad_kwargs == dict(max_norm=1.0)


@without_cuda
@pytest.mark.parametrize('able', [False, True])
def test_bfloat16_on_a_cpu_that_multiplies_it(monkeypatch, able):
    monkeypatch.setattr(optim_wrapper, 'multiplies_bfloat16', lambda: able)
    model = nn.Linear(2, 1)
    wrapper = build(model, cpu_bfloat16=True)
    assert isinstance(wrapper, CpuAmpOptimWrapper) is able
    with wrapper.optim_context(model):
        output = model(torch.ones(1, 2))
    assert output.dtype == (torch.bfloat16 if able else torch.float32)
    before = model.weight.detach().clone()
    wrapper.update_params(output.float().sum())
    assert model.weight.dtype == torch.float32
    assert not torch.equal(model.weight, before)


@pytest.mark.parametrize(('native', 'dtype'), [(True, 'bfloat16'), (False, 'float16')])
def test_bfloat16_that_a_gpu_only_emulates_is_not_taken(monkeypatch, native, dtype):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda including_emulation: native)
    monkeypatch.setattr(optim_wrapper, 'FiniteAmpOptimWrapper', dict)
    settings = optim_wrapper.AutoAmpOptimWrapper()
    assert settings['dtype'] == dtype
    assert settings['loss_scale'] == (dict(enabled=False) if native else 'dynamic')


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')
def test_mixed_precision_with_cuda():
    model = nn.Linear(2, 1).cuda()
    wrapper = build(model, dtype='bfloat16')
    assert isinstance(wrapper, AmpOptimWrapper)
    with wrapper.optim_context(model):
        assert model(torch.ones(1, 2).cuda()).dtype == torch.bfloat16
