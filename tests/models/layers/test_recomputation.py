import copy

import pytest
import torch
from torch import nn

from odm_mmocr.models.layers import recompute_in_backward


def network():
    torch.manual_seed(0)
    block = [nn.Sequential(nn.Conv2d(4, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.ReLU()) for _ in '123']
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(*block)).double()


def step(model, seed=1):
    torch.manual_seed(seed)
    image = torch.randn(2, 3, 6, 6, dtype=torch.double)
    loss = model(image).square().mean()
    model.zero_grad()
    loss.backward()
    return [loss, *(p.grad for p in model.parameters()), *model.buffers()]


def test_same_loss_gradients_and_running_statistics():
    plain, frugal = network(), network()
    assert recompute_in_backward(frugal, ['1.*']) == ['1.0', '1.1', '1.2']
    for _ in range(2):
        for ours, expected in zip(step(frugal), step(plain), strict=True):
            torch.testing.assert_close(ours, expected, rtol=0, atol=0)
    assert set(frugal.state_dict()) == set(plain.state_dict())


def test_less_is_kept():
    kept = {}
    for name, patterns in dict(plain=[], frugal=['1.*']).items():
        model, sizes = network(), []
        recompute_in_backward(model, patterns)
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, sizes=sizes: (sizes.append(x.numel()), x)[1], lambda x: x
        ):
            model(torch.randn(2, 3, 6, 6, dtype=torch.double))
        kept[name] = sum(sizes)
    assert kept['frugal'] < kept['plain'] / 2


def test_a_copy_runs_on_its_own_weights():
    model = network()
    recompute_in_backward(model, ['1'])
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert twin(torch.ones(2, 3, 6, 6, dtype=torch.double)).abs().sum() > 0


@pytest.mark.parametrize(
    ('patterns', 'message'),
    [(['2'], "checkpoint='2' fits no part"), (['1', '1.*'], '1.0 and also 1,')],
)
def test_wrong_names_are_refused(patterns, message):
    with pytest.raises(ValueError, match=message):
        recompute_in_backward(network(), patterns)


def test_a_single_name_needs_no_list():
    assert recompute_in_backward(nn.Sequential(nn.Linear(2, 2)), '0') == ['0']
