"""The released architecture gives what the reference implementation gives.

Weights, inputs and golden arrays are those of `shared/parity`, whose `recipe.py` describes them.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import LabelData, PixelData

from odm_mmocr.checkpoints import from_released, recognize_released, to_released
from odm_mmocr.checkpoints.released import build_odm, released_config
from odm_mmocr.structures import ODMDataSample

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def golden(parity):
    """The golden arrays by name."""
    arrays = np.load(parity[0] / 'golden_seed0.npz')
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


@pytest.fixture(scope='module')
def model(parity):
    """`odm_pretrain_reference.py` with converted weights, in evaluation mode."""
    folder, recipe = parity
    weights = {
        name: torch.from_numpy(recipe.weight(name, shape, seed=0))
        for name, shape in recipe.read_keys(folder / 'state_dict_keys.tsv')
    }
    model = build_odm(released_config(recognize_released(weights)), 'cpu')
    model.load_state_dict(from_released(weights))
    return model.eval()


@pytest.fixture(scope='module')
def batch(parity):
    """Images and samples with prompts and random labels."""
    images, tokens = (torch.from_numpy(np.asarray(array)) for array in parity[1].inputs(seed=0))
    generator = torch.Generator().manual_seed(0)
    samples = []
    for row in tokens:
        mask = row.any(1)
        sample = ODMDataSample(metainfo=dict(img_shape=images.shape[-2:]))
        texts = ['word'] * int(mask.sum())  # the tokens are of no word that could be written
        sample.prompt = LabelData(texts=texts, tokens=row, mask=mask, shown=mask.clone())
        label = torch.randint(0, 60, (1, 512, 512), dtype=torch.uint8, generator=generator)
        sample.gt_destylized = PixelData(label=label, ignore=torch.zeros_like(label, dtype=bool))
        samples.append(sample)
    return images, samples


@pytest.fixture(scope='module')
def outputs(model, batch):
    with torch.no_grad():
        return model(*batch, mode='tensor')


def relative_error(name, result, wanted):
    error = ((result - wanted).abs().max() / wanted.abs().max()).item()
    print(f'{name}: relative error {error:.1e}')
    return error


def test_golden_outputs(model, outputs, golden):
    results = dict(
        {f'c{i}_mean': stage.mean((2, 3)) for i, stage in enumerate(outputs['stages'], 2)},
        image_features=F.normalize(outputs['image_feature'], dim=-1),
        text_features=F.normalize(outputs['text_feature'], dim=-1),
        logit_scale=model.logit_scale.detach().exp(),
        logits=outputs['logits'][:, 0, ::4, ::4],
    )
    assert results.keys() == golden.keys()
    assert outputs['logits'].shape == (2, 1, 512, 512)
    errors = {name: relative_error(name, results[name], golden[name]) for name in golden}
    assert all(error <= 1e-4 for error in errors.values()), errors


def test_losses(model, batch, outputs, golden):
    with torch.no_grad():
        losses = model(*batch, mode='loss')
    labels = torch.stack([sample.gt_destylized.label for sample in batch[1]])
    target = (labels >= 30).double()
    logits = outputs['logits'].double()
    cross_entropy = -(target * logits.sigmoid().log() + (1 - target) * (-logits).sigmoid().log())
    pairs = golden['logit_scale'] * golden['image_features'] @ golden['text_features'].T
    contrastive = -(pairs.log_softmax(1).diag() + pairs.log_softmax(0).diag()).mean() / 2
    assert relative_error('loss_seg', losses['loss_seg'], cross_entropy.mean()) <= 1e-4
    weighted = 0.5 * contrastive  # its weight in the paper
    assert relative_error('loss_contrastive', losses['loss_contrastive'], weighted) <= 1e-4


def test_weights_go_back_to_the_released_names_and_shapes(model, parity):
    folder, recipe = parity
    released = to_released(model.state_dict())
    keys = dict(recipe.read_keys(folder / 'state_dict_keys.tsv'))
    assert {name: tuple(tensor.shape) for name, tensor in released.items()} == keys
    assert all(
        torch.equal(released[name], torch.from_numpy(np.asarray(recipe.weight(name, shape, 0))))
        for name, shape in keys.items()
    )
