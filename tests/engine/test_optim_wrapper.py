import pytest
import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmocr.registry import OPTIM_WRAPPERS
from torch import nn

import odm_mmocr  # noqa: F401, registers


def build(model):
    config = dict(type='CudaAmpOptimWrapper', dtype='bfloat16', clip_grad=dict(max_norm=1.0))
    return OPTIM_WRAPPERS.build(dict(config, optimizer=torch.optim.SGD(model.parameters(), 0.1)))


@pytest.mark.skipif(torch.cuda.is_available(), reason='has CUDA')
def test_plain_without_cuda():
    wrapper = build(nn.Linear(2, 1))
    assert type(wrapper) is OptimWrapper
    assert wrapper.clip_grad_kwargs == dict(max_norm=1.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')
def test_mixed_precision_with_cuda():
    model = nn.Linear(2, 1).cuda()
    wrapper = build(model)
    assert isinstance(wrapper, AmpOptimWrapper)
    with wrapper.optim_context(model):
        assert model(torch.ones(1, 2).cuda()).dtype == torch.bfloat16
