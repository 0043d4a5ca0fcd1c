import copy
import pickle

import pytest
import torch
from torch import nn

from odm_mmocr.models.ocr_features import FrozenFeatures


class Maps(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.Dropout())

    def forward(self, x):
        return (self.layer(x),)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.trained = nn.Linear(2, 2)
        self.features = FrozenFeatures(Maps())


@pytest.fixture
def model():
    return Model()


PICTURE = torch.rand(2, 1, 12, 16, generator=torch.Generator().manual_seed(0))


def weight(model):
    return model.features.network.network.layer[0].weight


def test_is_no_part_of_the_model(model):
    assert set(model.state_dict()) == {'trained.weight', 'trained.bias'}
    assert len(list(model.parameters())) == 2
    assert not list(model.buffers())
    assert not weight(model).requires_grad


def test_stays_in_evaluation_mode(model):
    model.train()
    first, second = (model.features(PICTURE)[0] for _ in range(2))
    assert torch.equal(first, second)  # dropout is off
    assert not model.features.network.network.layer[1].num_batches_tracked


def test_follows_the_model(model):
    model.double()
    assert weight(model).dtype == torch.double
    assert model.features(PICTURE.double())[0].dtype == torch.double


def test_pictures_are_normalised_as_the_network_wants_it():
    features = FrozenFeatures(nn.ModuleList([nn.Conv2d(3, 1, 1)]), mean=(0, 0.5, 1), std=(1, 2, 4))
    features.network.network.forward = lambda images: [images]
    (images,) = features(torch.full((1, 1, 1, 1), 0.75))
    torch.testing.assert_close(images.flatten(), torch.tensor([0.75, 0.125, -0.0625]))


def test_copy_shares_the_weights_until_one_is_moved(model):
    clone = copy.deepcopy(model)
    assert weight(clone) is weight(model)
    clone.double()
    assert weight(clone).dtype == torch.double
    assert weight(model).dtype == torch.float
    other = copy.deepcopy(model)
    model.half()
    assert weight(other).dtype == torch.float
    assert weight(model).dtype == torch.half


def test_averaged_model_is_built_updated_and_loaded(model):
    from mmengine.model import ExponentialMovingAverage

    averaged = ExponentialMovingAverage(model)
    assert weight(averaged.module) is weight(model)
    averaged.update_parameters(model)
    averaged.load_state_dict(averaged.state_dict())
    assert torch.equal(averaged.module.features(PICTURE)[0], model.features(PICTURE)[0])


def test_pickling_keeps_everything(model):
    restored = pickle.loads(pickle.dumps(model))
    assert torch.equal(restored.features(PICTURE)[0], model.features(PICTURE)[0])
    assert set(restored.state_dict()) == set(model.state_dict())


def test_weights_and_maps_are_channels_last(model):
    assert weight(model).is_contiguous(memory_format=torch.channels_last)
    assert model.features(PICTURE)[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')
def test_follows_to_a_gpu_and_leaves_copies_where_they_are(model):
    clone = copy.deepcopy(model)
    model.cuda()
    assert model.features(PICTURE.cuda())[0].is_cuda
    assert not clone.features(PICTURE)[0].is_cuda
