"""The same model on a GPU; all of this is skipped without one."""

import pytest
import torch
from mmocr.registry import OPTIM_WRAPPERS

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')
PROMPTS = [['stop', 'exit'], ['bank']]


def make_wrapper(model, dtype, fused=True):
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, fused=fused)
    return OPTIM_WRAPPERS.build(dict(type='AutoAmpOptimWrapper', dtype=dtype, optimizer=optimizer))


def test_equals_the_cpu(small_model, make_batch):
    model = small_model().eval()
    batch = make_batch(model, PROMPTS)
    expected = model(**batch, mode='loss')
    model.cuda()
    losses = model(**make_batch(model, PROMPTS), mode='loss')
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(expected[name].item(), rel=1e-2)


@pytest.mark.parametrize('fused', [False, True])
@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_mixed_precision_learns(small_model, make_batch, dtype, fused):
    model = small_model().cuda().train()
    wrapper, batch, totals = make_wrapper(model, dtype, fused), make_batch(model, PROMPTS), []
    for _ in range(12):
        with wrapper.optim_context(model):
            loss, _ = model.parse_losses(model(**batch, mode='loss'))
        wrapper.update_params(loss)
        totals.append(loss.item())
    assert totals[-1] < totals[0]
    assert all(p.isfinite().all() for p in model.parameters())


def test_a_step_never_waits_for_the_gpu(small_model, make_batch):
    model = small_model().cuda().train()
    wrapper, batch = make_wrapper(model, 'bfloat16'), make_batch(model, PROMPTS)
    samples = [sample.to('cpu').pin_memory() for sample in batch['data_samples']]
    images = [torch.zeros(3, 128, 128, dtype=torch.uint8).pin_memory() for _ in samples]

    def step():
        model.train_step(dict(inputs=images, data_samples=samples), wrapper)

    step()
    torch.cuda.set_sync_debug_mode('error')
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode('default')
