import pytest
import torch
from mmengine.registry import init_default_scope
from mmocr.registry import MODELS

BACKBONE = dict(type='mmdet.ResNet', depth=18, base_channels=8, norm_eval=False)
ENCODER = dict(type='ODMImageEncoder', backbone=BACKBONE, embed_dims=32, grid=(2, 2))
VOCABULARY = dict(type='Vocabulary', max_characters=12)
WORD_ENCODER = dict(
    type='WordEncoder', vocabulary=VOCABULARY, word_dims=16, word_depth=1, word_heads=2
)
SIZES = dict(num_heads=2, grid=(4, 4))
RIVALS = dict(
    oclip=dict(type='OCLIP', image_encoder=ENCODER, word_encoder=WORD_ENCODER, depth=2, **SIZES),
    stkm=dict(
        type='STKM',
        image_encoder=dict(type='BackboneEncoder', backbone=BACKBONE),
        vocabulary=VOCABULARY,
        embed_dims=32,
        depth=1,
        hidden_dims=64,
        dropout=0.0,
        **SIZES,
    ),
    mim=dict(
        type='MaskedImageModel',
        image_encoder=dict(type='BackboneEncoder', backbone=BACKBONE),
        patch_size=16,
    ),
)


@pytest.fixture(autouse=True)
def rivals_scope():
    """As for all models; tests of other rooms, which may run in between, leave another."""
    init_default_scope('mmocr')


@pytest.fixture(scope='session')
def build_rival():
    """Function (name, **changes of its config) -> a small rival of ODM: oclip, stkm or mim."""
    return _build_rival


def _build_rival(name, **changes):
    torch.manual_seed(0)
    return MODELS.build({**RIVALS[name], **changes})
