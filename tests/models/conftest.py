import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import LabelData, PixelData
from mmocr.registry import MODELS

import odm_mmocr  # noqa: F401, registers
from odm_mmocr.structures import ODMDataSample


@pytest.fixture(scope='session', autouse=True)
def scope():
    init_default_scope('mmocr')


@pytest.fixture(scope='session')
def small_model():
    """Function that builds a small ODM; keyword arguments change parts of its config."""
    return _small_model


@pytest.fixture(scope='session')
def make_sample():
    """Function (words, size, shown) -> sample with ink in a rectangle for each shown word."""
    return _make_sample


@pytest.fixture(scope='session')
def make_batch():
    """Function (model, prompts, sizes) -> preprocessed batch, one sample for each prompt."""
    return _make_batch


@pytest.fixture(scope='session')
def parity(shared_data, load_script):
    """Folder of the golden arrays of the reference, and its recipe as a module."""
    folder = shared_data.parent / 'parity'
    if not (folder / 'recipe.py').is_file():
        pytest.skip(f'golden arrays are not at {folder}')
    return folder, load_script(folder / 'recipe.py')


def _small_model(**changes):
    """An ODM with a ResNet-18 and otherwise narrow layers; seconds to train a step."""
    torch.manual_seed(0)
    config = dict(
        type='ODM',
        image_encoder=dict(
            type='ODMImageEncoder',
            backbone=dict(type='mmdet.ResNet', depth=18, norm_eval=False),
            embed_dims=32,
            grid=(4, 4),
        ),
        text_controller=dict(
            type='TextController',
            vocabulary=dict(type='Vocabulary', max_characters=12),
            depth=2,
            num_heads=2,
            word_dims=16,
            word_depth=1,
            word_heads=2,
            grid=(8, 8),
        ),
        head=dict(type='DestylizationHead', channels=32, hidden_channels=(16, 8)),
        loss_seg=dict(type='DestylizationSegLoss'),
        loss_contrastive=dict(type='BatchContrastiveLoss'),
    )
    for name, change in changes.items():
        if isinstance(change, dict):
            change = {**config.get(name, {}), **change}
        config[name] = change
    return MODELS.build(config)


def _make_sample(words, size=(128, 128), shown=None, max_words=8, vocabulary=None):
    """A sample with ink in a rectangle for each shown word."""
    from odm_mmocr.datasets.vocabulary import Vocabulary

    vocabulary = vocabulary or Vocabulary(max_characters=12)
    tokens, mask = map(torch.as_tensor, vocabulary.encode(words, max_words))
    sample = ODMDataSample(metainfo=dict(img_shape=size))
    sample.prompt = LabelData(texts=words, tokens=tokens, mask=mask, shown=mask.clone())
    if shown is not None:
        sample.prompt.shown[: len(words)] = torch.tensor(shown, dtype=torch.bool)
    label = torch.zeros(1, *size, dtype=torch.uint8)
    for index in range(int(sample.prompt.shown.sum())):
        label[:, 8 + 16 * index : 18 + 16 * index, 10:90] = 255
    ignore = torch.zeros(1, *size, dtype=torch.bool)
    sample.gt_destylized = PixelData(label=label, ignore=ignore)
    return sample


def _make_batch(model, prompts, sizes=None, seed=0):
    """A preprocessed batch, one sample for each prompt."""
    generator = torch.Generator().manual_seed(seed)
    sizes = sizes or [(128, 128)] * len(prompts)
    images = [
        torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator) for size in sizes
    ]
    samples = [_make_sample(words, size) for words, size in zip(prompts, sizes, strict=True)]
    return model.data_preprocessor(dict(inputs=images, data_samples=samples), True)
