import copy

import pytest
import torch
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

from odm_mmocr.checkpoints import load_config
from odm_mmocr.engine import FiniteOptimWrapper
from odm_mmocr.engine.optimizer_groups import lay_out_state

SETTINGS = dict(
    optimizer=dict(type='AdamW', lr=0.1, weight_decay=0.5, fused=True),
    paramwise_cfg=dict(
        norm_decay_mult=0, bias_decay_mult=0, custom_keys={'2': dict(lr_mult=0.1, decay_mult=2)}
    ),
)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmocr')


def make_model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, bias=False),  # before BatchNorm its gradient would be rounding alone
        nn.BatchNorm2d(3),
        nn.Conv2d(3, 4, 3),
    )


def make_wrapper(model, kind='FiniteOptimWrapper'):
    return build_optim_wrapper(model, dict(copy.deepcopy(SETTINGS), type=kind))


def train(model, wrapper, steps, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        images = torch.randn(2, 2, 6, 6, generator=generator)
        wrapper.update_params(model(images).square().sum())
    return model


def same(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_parameters_with_equal_settings_make_a_group():
    model = make_model()
    wrapper = make_wrapper(model)
    groups = wrapper.optimizer.param_groups
    assert len(make_wrapper(model, 'OptimWrapper').optimizer.param_groups) == 5
    assert [(g['lr'], g['weight_decay'], len(g['params'])) for g in groups] == [
        (0.1, 0.5, 1),
        (0.1, 0.0, 2),
        (pytest.approx(0.01), 1.0, 2),
    ]
    of_all = [id(p) for group in groups for p in group['params']]
    assert sorted(of_all) == sorted(map(id, model.parameters()))


def test_it_learns_the_same():
    one, other = make_model(), make_model()
    train(one, make_wrapper(one), 3)
    train(other, make_wrapper(other, 'OptimWrapper'), 3)
    assert same(one, other)


def test_a_run_goes_on_from_groups_that_were_not_merged():
    """As MMEngine's wrappers save them; the order of the parameters is another there."""
    whole = make_model()
    wrapper = make_wrapper(whole, 'OptimWrapper')
    train(whole, wrapper, 2)
    saved = copy.deepcopy((whole.state_dict(), wrapper.state_dict()))
    train(whole, wrapper, 2, seed=1)
    for kind in ('FiniteOptimWrapper', 'OptimWrapper'):
        resumed = make_model()
        resumed.load_state_dict(saved[0])
        again = make_wrapper(resumed, kind)
        again.load_state_dict(copy.deepcopy(saved[1]))
        train(resumed, again, 2, seed=1)
        assert same(resumed, whole)
    merged = make_wrapper(resumed)
    merged.load_state_dict(copy.deepcopy(saved[1]))
    assert len(merged.state_dict()['param_groups']) == 3


def test_a_run_goes_on_from_merged_groups():
    whole = make_model()
    wrapper = make_wrapper(whole)
    train(whole, wrapper, 2)
    resumed = make_model()
    resumed.load_state_dict(whole.state_dict())
    again = make_wrapper(resumed)
    again.load_state_dict(copy.deepcopy(wrapper.state_dict()))
    assert same(train(resumed, again, 2, seed=1), train(whole, wrapper, 2, seed=1))


def test_a_state_of_other_parameters_is_refused():
    wrapper = make_wrapper(make_model())
    other = make_wrapper(nn.Sequential(nn.Conv2d(2, 3, 3)), 'OptimWrapper')
    with pytest.raises(ValueError, match='parameter group'):
        wrapper.load_state_dict(other.state_dict())


def test_a_run_goes_on_in_another_memory_order():
    whole = make_model()
    wrapper = make_wrapper(whole)
    train(whole, wrapper, 2)
    resumed = make_model().to(memory_format=torch.channels_last)
    resumed.load_state_dict(whole.state_dict())
    again = make_wrapper(resumed)
    again.load_state_dict(copy.deepcopy(wrapper.state_dict()))
    for parameter, kept in again.optimizer.state.items():
        assert kept['exp_avg'].stride() == parameter.stride()
    train(resumed, again, 2, seed=1)
    train(whole, wrapper, 2, seed=1)
    for one, other in zip(resumed.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_what_has_the_order_already_stays():
    model = make_model()
    wrapper = make_wrapper(model)
    train(model, wrapper, 1)
    before = [kept['exp_avg'] for kept in wrapper.optimizer.state.values()]
    lay_out_state(wrapper.optimizer)
    assert all(a is kept['exp_avg'] for a, kept in zip(before, wrapper.optimizer.state.values()))


def test_a_run_in_bfloat16_goes_on_in_another_precision():
    model = make_model()
    wrapper = make_wrapper(model)
    train(model, wrapper, 1)
    wrapper.load_state_dict(dict(wrapper.state_dict(), loss_scaler={}))


@pytest.mark.parametrize('config', ['odm_pretrain.py', 'odm_pretrain_laptop.py'])
def test_shipped_configs_have_few_groups(config):
    cfg = load_config(config)
    wrapper = build_optim_wrapper(make_model(), dict(cfg.optim_wrapper))
    assert isinstance(wrapper, (FiniteOptimWrapper, OptimWrapper))
    assert len(wrapper.optimizer.param_groups) == 2
