"""Rivals too train with several processes as with one that has the whole batch."""

import multiprocessing
import os
import subprocess
import sys

import pytest
import torch
import torch.distributed
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import init_default_scope

from odm_mmocr.models.rivals import masked_image

SIZES = dict(a=(64, 64), b=(64, 64), none=(64, 64), small=(40, 50))
# One character a word: there is one way to mask it.
WORDS = dict(a=['a', 'b'], b=['c'], none=[], small=['d', 'e', 'f'])
SHARES = dict(even=[['a', 'b'], ['small', 'none']], uneven=[['a', 'small', 'b'], ['none']])
NAMES = ['oclip', 'stkm', 'mim']


def build(name, build_rival):
    # In evaluation: in training, BatchNorm's statistics would be those of a process.
    return build_rival(name).double().eval()


def make_batch(model, names, make_sample):
    images, samples = [], []
    for name in names:
        rng = torch.Generator().manual_seed(list(WORDS).index(name))
        images.append(torch.randint(0, 256, (3, *SIZES[name]), dtype=torch.uint8, generator=rng))
        samples.append(make_sample(WORDS[name], SIZES[name]))
    # As large for a process with the small image alone as for one with all.
    images.append(torch.zeros(3, 64, 64, dtype=torch.uint8))
    samples.append(make_sample([], (64, 64)))
    batch = model.data_preprocessor(dict(inputs=images, data_samples=samples), True)
    return dict(inputs=batch['inputs'][:-1].double(), data_samples=batch['data_samples'][:-1])


def left_half(images, patch_size, ratio):
    masked = torch.zeros_like(images[:, :1], dtype=torch.bool)
    masked[..., : images.shape[-1] // 2] = True
    return masked


def step(model, names, make_sample):
    """Logged values and gradients of a training step."""
    unwrapped = getattr(model, 'module', model)
    model.zero_grad()
    batch = make_batch(unwrapped, names, make_sample)
    total, logged = unwrapped.parse_losses(model(**batch, mode='loss'))
    total.backward()
    gradients = {key: value.grad.clone() for key, value in unwrapped.named_parameters()}
    return dict(logged={key: value.item() for key, value in logged.items()}, gradients=gradients)


def work(rank, folder):
    # pytest imports conftest.py by its path; here it is a plain module.
    sys.path[:0] = [os.path.dirname(__file__)]
    from conftest import _build_rival

    sys.modules.pop('conftest')
    sys.path[0] = os.path.dirname(sys.path[0])
    from conftest import _make_sample

    init_default_scope('mmocr')
    masked_image.draw_patches = left_half
    torch.distributed.init_process_group(
        'gloo', f'file://{folder}/rendezvous', rank=rank, world_size=2
    )
    results = {}
    for name in NAMES:
        model = MMDistributedDataParallel(build(name, _build_rival), broadcast_buffers=False)
        for case, shares in SHARES.items():
            results[name, case] = step(model, shares[rank], _make_sample)
    torch.save(results, f'{folder}/{rank}.pth')
    torch.distributed.destroy_process_group()


def work_together(folder):
    context = multiprocessing.get_context('fork')
    workers = [context.Process(target=work, args=(rank, folder), daemon=True) for rank in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(240)
    if any(worker.exitcode != 0 for worker in workers):
        sys.exit(f'the processes ended with {[worker.exitcode for worker in workers]}')


@pytest.fixture(scope='module')
def found(tmp_path_factory):
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp('processes')
    environment = dict(os.environ, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    done = subprocess.run(
        [sys.executable, __file__, folder], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [torch.load(folder / f'{rank}.pth') for rank in (0, 1)]


@pytest.mark.slow
@pytest.mark.parametrize('case', SHARES)
@pytest.mark.parametrize('name', NAMES)
def test_two_processes_are_one(found, build_rival, make_sample, monkeypatch, name, case):
    monkeypatch.setattr(masked_image, 'draw_patches', left_half)
    whole = step(build(name, build_rival), sum(SHARES[case], []), make_sample)
    shared = [result[name, case] for result in found]
    for key, value in whole['logged'].items():
        mean = sum(each['logged'][key] for each in shared) / 2
        assert mean == pytest.approx(value, rel=1e-5, abs=1e-7), key
    largest = max(gradient.abs().max() for gradient in whole['gradients'].values())
    for key, gradient in whole['gradients'].items():
        for each in shared:
            difference = (each['gradients'][key] - gradient).abs().max()
            assert difference <= 1e-5 * gradient.abs().max() + 1e-9 * largest, key


if __name__ == '__main__':
    work_together(sys.argv[1])
